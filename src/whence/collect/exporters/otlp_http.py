"""The exporter `otlp_http`: OTLP over HTTP to any backend, as protobuf or JSON."""

import threading
import time
from typing import Literal

import orjson
import urllib3
from urllib3.exceptions import HTTPError

from whence.collect.auth import ClientAuth, client_auth
from whence.collect.component import Host, Plug
from whence.collect.exporters.connections import Connections
from whence.collect.exporters.http_client import compressed, headers_of, is_url, read_answer, said_of
from whence.collect.exporters.projecting import Projections
from whence.collect.exporters.queue import Request
from whence.collect.exporters.retry import GivenUp, Retry, Verdict, judge_http
from whence.collect.exporters.sending import Sender, terms_of
from whence.collect.exporters.tls import Watched, refuse_over_http
from whence.collect.settings import HTTPClient, RetryOnFailure, SendingQueue, TLSClient
from whence.errors import ConfigError
from whence.otlp import wire
from whence.otlp.decode import SIGNALS
from whence.otlp.service import PATHS
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

    def __init__(self, settings: OTLPHTTPSettings, auth: ClientAuth | None, host: Host) -> None:
        """Raises ConfigError."""
        self._settings = settings
        self._auth = auth
        kind = "application/json" if settings.encoding == "json" else "application/x-protobuf"
        self._headers = headers_of(settings, kind)
        self._urls = {signal: url for signal in SIGNALS.values() if (url := _url(settings, signal))}
        self._lock = threading.Lock()
        self._watched = Watched(settings.tls or TLSClient(), host)
        self._connections = self._connect()

    def send(self, request: Request, timeout: float) -> Verdict:
        """One POST. Redirects are not followed: they would carry headers to somewhere else."""
        data, url = request.data, self._urls.get(request.signal)
        if url is None:
            return GivenUp(f"nothing says where {request.signal} go: set endpoint or {request.signal}_endpoint")
        if self._settings.encoding == "json":
            data = orjson.dumps(wire.tree_of_protobuf(request.signal, data))
        try:
            answer = (
                self._current()
                .to(url)
                .request(
                    "POST",
                    url,
                    body=compressed(data, self._settings.compression, self._settings.compression_params.level),
                    headers=self._headers | dict(self._auth.headers() if self._auth else {}),
                    timeout=urllib3.Timeout(total=timeout),
                    redirect=False,
                    retries=False,
                    preload_content=False,
                )
            )
            body = read_answer(answer, timeout)
        except (HTTPError, OSError) as trouble:
            return Retry(f"cannot reach {url}: {said_of(trouble)}")
        except UnicodeError as trouble:
            return GivenUp(f"cannot write the headers: {trouble}; they must be Latin-1")
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return judge_http(request.signal, answer.status, headers, body, time.time())

    def close(self) -> None:
        """Idle connections are closed; one in use closes after its answer."""
        self._connections.leave()

    def _connect(self) -> Connections:
        at_once = self._settings.sending_queue.num_consumers
        return Connections(self._settings, at_once, list(self._urls.values()))

    def _current(self) -> Connections:
        with self._lock:
            before = self._connections
            self._connections = self._watched.renewed(before, self._connect)
            if self._connections is not before:
                before.leave()
            return self._connections


def _url(settings: OTLPHTTPSettings, signal: Signal) -> str | None:
    """Where a signal's requests go, if anything says so."""
    given: str | None = getattr(settings, f"{signal}_endpoint")
    return given or (settings.endpoint.rstrip("/") + PATHS[signal] if settings.endpoint else None)


def build(settings: OTLPHTTPSettings, host: Host) -> Sender:
    """The exporter; nothing is opened yet. Raises ConfigError."""
    urls = [settings.endpoint, settings.traces_endpoint, settings.logs_endpoint, settings.metrics_endpoint]
    if not any(urls):
        raise ConfigError(f"cannot send by {host.id}: set endpoint, such as http://localhost:4318")
    for url in filter(None, urls):
        if not is_url(url):
            raise ConfigError(f"cannot send to {url}: an endpoint is such as http://localhost:4318 or https://host")
    refuse_over_http(settings.tls or TLSClient())
    terms = terms_of(settings.timeout or 30.0, settings.retry_on_failure, settings.sending_queue, settings.projections)
    return Sender(terms, host, lambda: HTTPTransport(settings, client_auth(host, settings.auth), host))


PLUG = Plug(OTLPHTTPSettings, build)
