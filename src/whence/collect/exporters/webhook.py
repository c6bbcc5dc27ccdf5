"""The exporter `webhook`: posts the events that a filter matches, signed, from a queue, and never holds up the pipeline."""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import urllib3
from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from urllib3.exceptions import HTTPError

from whence.collect.auth import ClientAuth, client_auth
from whence.collect.batch import ACCEPTED, Batch, Receipt
from whence.collect.component import Health, Host, Plug
from whence.collect.exporters.connections import Connections
from whence.collect.exporters.http_client import compressed, headers_of, is_url, read_answer, said_of
from whence.collect.exporters.queue import Request
from whence.collect.exporters.retry import GivenUp, PartiallyRejected, Retry, Sent, Verdict
from whence.collect.exporters.sending import Sender, terms_of
from whence.collect.exporters.webhook_request import (
    Delivery,
    Send,
    deliveries,
    headers_for,
    judge_answer,
    key_of,
    packed,
)
from whence.collect.outcome import Refused, Unacceptable
from whence.collect.processors.demands import checked
from whence.collect.processors.statements import never
from whence.collect.records.events import asked
from whence.collect.seldom import Seldom
from whence.collect.settings import MIB, HTTPClient, RetryOnFailure, Secret, SendingQueue, Size
from whence.errors import ConfigError
from whence.event.misfits import Misfit
from whence.event.model import Event
from whence.filter.match import Matcher
from whence.otlp.decode import Place, decode_each

_NONCE: Final = 16
_BEGUN: Final = 1000
"""Requests of which is remembered how far they were sent."""
_AROUND: Final = 16
"""Bytes of a body beside its only event."""


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


def _usable(secret: Secret) -> Secret:
    key_of(secret.get_secret_value())
    return secret


Question = Annotated[str, AfterValidator(checked(lambda text: asked(text, never)))]


class PostSettings(HTTPClient):
    """How to reach a webhook, and what is posted to it."""

    endpoint: Secret  # type: ignore[assignment]
    """Where to. Whoever knows it can post, so it is shown nowhere."""
    filter: Question = ""
    """Which events, in whence's filter language; empty: all."""
    send: Send = "batch"
    max_events: int = Field(100, ge=1)
    """In one request, with `send: batch`."""
    max_body_size: Size = Field(MIB, ge=1024)
    """Bytes of one request before it is compressed; an event that alone is larger goes without its largest fields."""
    secret: Annotated[tuple[Annotated[Secret, AfterValidator(_usable)], ...], BeforeValidator(_one_or_more)] = ()
    """What requests are signed with: one, or several while it is being changed."""
    compression: Literal["gzip", "zstd", "zlib", "deflate", "none", ""] = "none"
    retry_on_failure: RetryOnFailure = RetryOnFailure.model_validate({})

    @property
    def url(self) -> str:
        """The endpoint as it is."""
        return self.endpoint.get_secret_value()


class WebhookSettings(PostSettings):
    """The keys of `otlp_http`, and what is posted."""

    sending_queue: SendingQueue = SendingQueue.model_validate({})

    @model_validator(mode="after")
    def _never_waits(self) -> "WebhookSettings":
        queue = self.sending_queue
        if not queue.enabled or queue.wait_for_result or queue.block_on_overflow:
            raise Misfit(
                "a webhook never holds up a pipeline: leave out enabled, wait_for_result and block_on_overflow"
            )
        return self


@dataclass(slots=True)
class Progress:
    """How far one queued request was sent."""

    settled: set[str] = field(default_factory=set)
    """The deliveries that arrived, or never will."""
    arrived: int = 0
    """Events."""
    reason: str = ""
    """Why others never will."""


class Poster:
    """Posts to one webhook. Thread-safe."""

    def __init__(
        self, settings: PostSettings, auth: ClientAuth | None, now: Callable[[], int], at_once: int = 1
    ) -> None:
        """`now`: nanoseconds since the epoch. `at_once`: requests that are sent at the same time. Raises ConfigError."""
        self._settings = settings
        self._auth = auth
        self._now = now
        self._keys = [key_of(secret.get_secret_value()) for secret in settings.secret]
        self._headers = headers_of(settings, "application/json")
        self._url = settings.url
        self._connections = Connections(settings, at_once, [self._url])
        self._closed = False
        self._begun: OrderedDict[bytes, Progress] = OrderedDict()
        self._lock = threading.Lock()

    def send(self, request: Request, timeout: float) -> Verdict:
        """Every delivery of a request that has not arrived yet, each in `timeout` seconds."""
        settings, progress = self._settings, self._progress(request.data)
        for delivery in deliveries(request.data, settings.send, settings.max_events, settings.max_body_size):
            if delivery.id in progress.settled:
                continue
            if self._closed:
                return Retry("the exporter is stopping")
            verdict = self.post(delivery, timeout)
            if isinstance(verdict, Retry):
                return verdict
            progress.settled.add(delivery.id)
            if not isinstance(verdict, GivenUp):
                progress.arrived += delivery.events
                continue
            progress.reason = verdict.reason
            if not verdict.in_parts:
                break  # the others would fare no better
        self._forget(request.data)
        rejected = request.items - progress.arrived
        if rejected and progress.arrived:
            return PartiallyRejected(rejected, progress.reason)
        return GivenUp(progress.reason) if rejected else Sent()

    def _progress(self, data: bytes) -> Progress:
        with self._lock:
            found = self._begun.setdefault(hashlib.sha256(data).digest(), Progress())
            while len(self._begun) > _BEGUN:
                self._begun.popitem(last=False)
            return found

    def _forget(self, data: bytes) -> None:
        with self._lock:
            self._begun.pop(hashlib.sha256(data).digest(), None)

    def post(self, delivery: Delivery, timeout: float) -> Verdict:
        """Once. Redirects are not followed: they would carry events and headers to somewhere else."""
        settings, now = self._settings, self._now() // 1_000_000_000
        headers = self._headers | dict(self._auth.headers() if self._auth else {})
        try:
            answer = self._connections.to(self._url).request(
                "POST",
                self._url,
                body=compressed(delivery.body, settings.compression, settings.compression_params.level),
                headers=headers | headers_for(delivery, self._keys, now),
                timeout=urllib3.Timeout(total=timeout),
                redirect=False,
                retries=False,
                preload_content=False,
            )
            read_answer(answer, timeout)
        except (HTTPError, OSError) as trouble:
            return Retry(f"cannot reach {host_of(self._url)}: {said_of(trouble)}")
        except UnicodeError as trouble:
            return GivenUp(f"cannot write the headers: {trouble}; they must be Latin-1")
        return judge_answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, now)

    def close(self) -> None:
        """After what is being posted, no more is."""
        self._closed = True
        self._connections.leave()


def host_of(url: str) -> str:
    """As much of it as may be shown: the rest is often what stands for a password."""
    found = urllib3.util.parse_url(url)
    return f"{found.scheme}://{found.netloc}"


class Webhook:
    """Filters, queues, and lets the queue be sent."""

    def __init__(self, settings: WebhookSettings, host: Host) -> None:
        self._settings = settings
        self._host = host
        self._matcher = asked(settings.filter, host.now)
        terms = terms_of(settings.timeout or 30.0, settings.retry_on_failure, settings.sending_queue)
        at_once = settings.sending_queue.num_consumers
        self._sender = Sender(
            terms, host, lambda: Poster(settings, client_auth(host, settings.auth), host.now, at_once)
        )
        self._dropping: str | None = None
        self._is_to_be_said = Seldom(host.monotonic)

    def start(self, host: Host) -> None:
        """Connections are made when they are needed. Raises ConfigError, StorageError."""
        self._sender.start(host)

    def stop(self, deadline: float) -> None:
        """As every exporter that sends."""
        self._sender.stop(deadline)

    def health(self) -> Health:
        """Whether what was posted last arrived, and everything finds room in the queue."""
        return Health(False, self._dropping) if self._dropping else self._sender.health()

    def consume(self, batch: Batch) -> Receipt:
        """Queue what matches. What finds no room is dropped, counted and said: the pipeline goes on. Raises DataError."""
        events = list(_matching(batch, self._host.id, self._matcher()))
        if not events:
            return ACCEPTED
        data = packed(events, os.urandom(_NONCE), self._settings.max_body_size - _AROUND)
        try:
            self._sender.take(Request(batch.signal, data, len(events)))
        except (Refused, Unacceptable) as trouble:
            self._dropping = f"events for the webhook are dropped: {trouble}"
            self._tell(len(events), str(trouble))
        else:
            self._dropping = None
        return ACCEPTED

    def _tell(self, events: int, reason: str) -> None:
        """Now and then: there is a counter too."""
        if self._is_to_be_said():
            self._host.log.error("%s drops %d events, and may go on so: %s", self._host.id, events, reason)


def _matching(batch: Batch, origin: str, test: Matcher) -> Iterator[Event]:
    for found in decode_each(batch.opened().tree or {}, Place(origin, 0), []):
        yield from (event for event in found if test(event) is True)


def build(settings: WebhookSettings, host: Host) -> Webhook:
    """The exporter; nothing is opened yet. Raises ConfigError."""
    if not is_url(settings.url):
        raise ConfigError(f"cannot post to the endpoint of {host.id}: an endpoint is such as https://host/path")
    return Webhook(settings, host)


PLUG = Plug(WebhookSettings, build)
