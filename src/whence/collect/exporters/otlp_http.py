"""The exporter `otlp_http`: OTLP over HTTP to any backend, as protobuf or JSON."""

import time
import zlib
from typing import Any, Final, Literal

import orjson
import urllib3
import zstandard
from urllib3.exceptions import HTTPError

from whence.collect.auth import ClientAuth, client_auth
from whence.collect.component import Host, Plug
from whence.collect.exporters.projecting import Projections
from whence.collect.exporters.queue import Request
from whence.collect.exporters.retry import GivenUp, Retry, Verdict, judge_http
from whence.collect.exporters.sending import Sender, terms_of
from whence.collect.exporters.tls import client_context
from whence.collect.settings import MIB, HTTPClient, RetryOnFailure, SendingQueue, TLSClient
from whence.errors import ConfigError
from whence.otlp import wire
from whence.otlp.wire import Signal
from whence.version import VERSION

_MOST: Final = 4 * MIB
"""Bytes of an answer that are read."""
_PIECE: Final = 65_536
_ENCODINGS: Final = {"zlib": "deflate"}
"""HTTP's name, where it is another one."""


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
        self._headers = {
            "content-type": "application/json" if settings.encoding == "json" else "application/x-protobuf",
            "user-agent": f"whence/{VERSION}",
            **{name.lower(): value.get_secret_value() for name, value in settings.headers.items()},
        }
        if settings.compression not in ("", "none"):
            self._headers["content-encoding"] = _ENCODINGS.get(settings.compression, settings.compression)
        if settings.disable_keep_alives:
            self._headers["connection"] = "close"
        self._pool = _pool(settings)

    def send(self, request: Request, timeout: float) -> Verdict:
        """One POST. Redirects are not followed: they would carry headers to somewhere else."""
        data = request.data
        if self._settings.encoding == "json":
            data = orjson.dumps(wire.tree_of_protobuf(request.signal, data))
        try:
            answer = self._pool.request(
                "POST",
                url_of(self._settings, request.signal),
                body=_compressed(data, self._settings.compression, self._settings.compression_params.level),
                headers=self._headers | dict(self._auth.headers() if self._auth else {}),
                timeout=urllib3.Timeout(total=timeout),
                redirect=False,
                retries=False,
                preload_content=False,
            )
            body = _read(answer, timeout)
        except (HTTPError, OSError) as trouble:
            return Retry(f"cannot reach {url_of(self._settings, request.signal)}: {_said(trouble)}")
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
        if not _is_url(url):
            raise ConfigError(f"cannot send to {url}: an endpoint is such as http://localhost:4318 or https://host")
    terms = terms_of(settings.timeout or 30.0, settings.retry_on_failure, settings.sending_queue, settings.projections)
    return Sender(terms, host, lambda: HTTPTransport(settings, client_auth(host, settings.auth)))


def _is_url(text: str) -> bool:
    try:
        url = urllib3.util.parse_url(text)
    except HTTPError:
        return False
    return url.scheme in ("http", "https") and bool(url.host)


def _pool(settings: OTLPHTTPSettings) -> urllib3.PoolManager:
    tls = settings.tls or TLSClient()
    options: dict[str, Any] = {
        "maxsize": settings.max_conns_per_host or settings.sending_queue.num_consumers,
        "block": bool(settings.max_conns_per_host),
        "ssl_context": client_context(tls),
    }
    if tls.server_name_override:
        options |= {"server_hostname": tls.server_name_override, "assert_hostname": tls.server_name_override}
    if tls.insecure_skip_verify:
        options |= {"cert_reqs": "CERT_NONE", "assert_hostname": False}
    if settings.proxy_url:
        return urllib3.ProxyManager(settings.proxy_url, **options)
    return urllib3.PoolManager(**options)


def _compressed(data: bytes, compression: str, level: int | None) -> bytes:
    if compression in ("", "none"):
        return data
    if compression == "zstd":
        return zstandard.ZstdCompressor(3 if level is None else level).compress(data)
    packer = zlib.compressobj(-1 if level is None else level, wbits=31 if compression == "gzip" else 15)
    return packer.compress(data) + packer.flush()


def _read(answer: urllib3.BaseHTTPResponse, timeout: float) -> bytes:
    """The body, up to a bound in bytes and time; a connection with more to come is not used again."""
    until, body = time.monotonic() + timeout, b""
    while len(body) < _MOST and time.monotonic() < until:
        piece = answer.read(_PIECE, decode_content=True)
        if not piece:
            answer.release_conn()
            return body
        body += piece
    answer.close()
    return body


def _said(trouble: Exception) -> str:
    """The innermost cause, without addresses of objects."""
    inner = getattr(trouble, "reason", None) or trouble.__cause__ or trouble
    return getattr(inner, "strerror", None) or str(inner).rpartition(">: ")[2] or type(inner).__name__


PLUG = Plug(OTLPHTTPSettings, build)
