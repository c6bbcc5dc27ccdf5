"""The exporter `otlp_http`: OTLP over HTTP to any backend, as protobuf or JSON."""

import time
from typing import Literal

import orjson
import urllib3
from urllib3.exceptions import HTTPError

from whence.collect.auth import ClientAuth, client_auth
from whence.collect.component import Host, Plug
from whence.collect.exporters.http_client import compressed, headers_of, is_url, pool_of, read_answer, said_of
from whence.collect.exporters.projecting import Projections
from whence.collect.exporters.queue import Request
from whence.collect.exporters.retry import GivenUp, Retry, Verdict, judge_http
from whence.collect.exporters.sending import Sender, terms_of
from whence.collect.settings import HTTPClient, RetryOnFailure, SendingQueue
from whence.errors import ConfigError
from whence.otlp import wire
from whence.otlp.wire import Signal


class OTLPHTTPSettings(HTTPClient):
    """The Collector's keys. `endpoint` gets `/v1/traces` and so on; the endpoints by signal are taken as they are."""

    traces_endpoint: str | None = None
    logs_endpoint: str | None = None
    metrics_endpoint: str | None = None
    encoding: Literal["proto", "json"] = "proto"
    retry_on_failure: RetryOnFailure = RetryOnFailure.model_validate({})
    sending_queue: SendingQueue = SendingQueue.model_validate({})
    projections: Projections = "none"
    """For a trace viewer: which events it gets as spans, in place of log records. whence's own."""


class HTTPTransport:
    """A pool of connections to one backend."""

    def __init__(self, settings: OTLPHTTPSettings, auth: ClientAuth | None) -> None:
        self._settings = settings
        self._auth = auth
        kind = "application/json" if settings.encoding == "json" else "application/x-protobuf"
        self._headers = headers_of(settings, kind)
        self._pool = pool_of(settings, settings.sending_queue.num_consumers)

    def send(self, request: Request, timeout: float) -> Verdict:
        """One POST. Redirects are not followed: they would carry headers to somewhere else."""
        data = request.data
        if self._settings.encoding == "json":
            data = orjson.dumps(wire.tree_of_protobuf(request.signal, data))
        try:
            answer = self._pool.request(
                "POST",
                url_of(self._settings, request.signal),
                body=compressed(data, self._settings.compression, self._settings.compression_params.level),
                headers=self._headers | dict(self._auth.headers() if self._auth else {}),
                timeout=urllib3.Timeout(total=timeout),
                redirect=False,
                retries=False,
                preload_content=False,
            )
            body = read_answer(answer, timeout)
        except (HTTPError, OSError) as trouble:
            return Retry(f"cannot reach {url_of(self._settings, request.signal)}: {said_of(trouble)}")
        except UnicodeError as trouble:
            return GivenUp(f"cannot write the headers: {trouble}; they must be Latin-1")
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return judge_http(request.signal, answer.status, headers, body, time.time())

    def close(self) -> None:
        """Idle connections are closed; one in use closes after its answer."""
        self._pool.clear()


def url_of(settings: OTLPHTTPSettings, signal: Signal) -> str:
    """Where a signal's requests go. Raises ConfigError where nothing says so."""
    given: str | None = getattr(settings, f"{signal}_endpoint")
    if given:
        return given
    if not settings.endpoint:
        raise ConfigError(f"cannot send {signal}: set endpoint or {signal}_endpoint")
    return f"{settings.endpoint.rstrip('/')}/v1/{signal}"


def build(settings: OTLPHTTPSettings, host: Host) -> Sender:
    """The exporter; nothing is opened yet. Raises ConfigError."""
    urls = [settings.endpoint, settings.traces_endpoint, settings.logs_endpoint, settings.metrics_endpoint]
    if not any(urls):
        raise ConfigError(f"cannot send by {host.id}: set endpoint, such as http://localhost:4318")
    for url in filter(None, urls):
        if not is_url(url):
            raise ConfigError(f"cannot send to {url}: an endpoint is such as http://localhost:4318 or https://host")
    terms = terms_of(settings.timeout or 30.0, settings.retry_on_failure, settings.sending_queue, settings.projections)
    return Sender(terms, host, lambda: HTTPTransport(settings, client_auth(host, settings.auth)))


PLUG = Plug(OTLPHTTPSettings, build)
