"""OTLP over HTTP: a bare ASGI application on uvicorn, in a thread of its own; pipelines run on threads beside it.

The law: a client always gets its answer, also to what is too large or not wanted: what it sends is read to its end first.
Source: OTLP specification 1.11, "OTLP/HTTP".
"""

import asyncio
import math
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import uvicorn
from pydantic import Field

from whence.collect.auth import server_auth
from whence.collect.batch import Batch, Receipt
from whence.collect.component import Consumer, Host
from whence.collect.receivers.answer import OVERLOADED, RETRY, encoding_of, hand_in, several
from whence.collect.receivers.bodies import Budget, Crowded, Share, TooLarge, inflate
from whence.collect.receivers.connection import SURPLUS, Patience, connection
from whence.collect.receivers.door import Door
from whence.collect.receivers.listening import Certificates, listen, most_connections, warn_if_reachable
from whence.collect.receivers.status import TYPES, Failure, failure, success
from whence.collect.receivers.workers import Workers
from whence.collect.seldom import Seldom
from whence.collect.settings import HTTPServer
from whence.errors import DataError, StorageError
from whence.otlp.service import PATHS
from whence.otlp.wire import Encoding, Signal

WORKERS: Final = 32
"""Requests that wait for pipelines at once: while one waits for the device, others are decoded."""
_READ_ON: Final = 1 << 30
"""Bytes that are read of a body that is too large, so that its sender hears why."""
_READ_ON_STRANGER: Final = 1 << 18
"""Bytes that are read where the head of a request was enough to refuse it, as Go has it; then the connection is closed."""
_PATIENCE: Final = 30.0
"""Seconds between two pieces of a body."""
_WHOLE: Final = 300.0
"""Seconds for a whole body, where `read_timeout` does not say: a byte now and then keeps its patience for ever."""
_START: Final = 10.0
_FOR_EVER: Final = 10 * 365 * 86_400
"""Seconds."""
_HEADERS: Final = "content-type, content-encoding, authorization"

Message = dict[str, Any]
Metadata = Mapping[str, tuple[str, ...]]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class HTTPSettings(HTTPServer):
    """The Collector's keys of `protocols.http`."""

    traces_url_path: str = PATHS["traces"]
    logs_url_path: str = PATHS["logs"]
    metrics_url_path: str = PATHS["metrics"]
    profiles_url_path: str = "/v1development/profiles"
    limit_concurrency: int = Field(4096, ge=1)
    """Connections that are served at once, in each process; uvicorn's name. Fewer where fewer files may be open."""


class _Asked(NamedTuple):
    """What the head of a request says of its body."""

    signal: Signal
    encoding: Encoding
    coding: str
    metadata: Metadata


class HTTPListener:
    """Listens from `start` to `stop`."""

    def __init__(self, settings: HTTPSettings, host: Host, outputs: Mapping[Signal, Consumer], budget: Budget) -> None:
        self._settings = settings
        self._host = host
        self._outputs = outputs
        self._budget = budget
        self._door = Door(server_auth(host, settings.auth), host.log)
        self._paths: dict[str, Signal] = {
            settings.traces_url_path: "traces", settings.logs_url_path: "logs", settings.metrics_url_path: "metrics",
        }  # fmt: skip
        self._codings = {"", "identity", *settings.compression_algorithms}
        self._always = [(name.lower().encode(), value.encode()) for name, value in settings.response_headers.items()]
        self._workers = Workers(WORKERS, f"{host.id} http")
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._is_to_be_said = Seldom(host.monotonic)
        self.port = 0
        """Where it listens, also where port 0 was asked for."""

    def start(self) -> None:
        """Listen. Raises ConfigError, StorageError."""
        settings = self._settings
        certificates = Certificates(settings.tls, self._host) if settings.tls else None
        if self._door.is_open and not settings.tls:
            warn_if_reachable(self._host, settings.endpoint, settings.transport)
        sockets = listen(settings.endpoint, settings.transport, "OTLP over HTTP", shared=self._host.processes > 1)
        if settings.transport == "tcp":
            self.port = sockets[0].getsockname()[1]
        config = uvicorn.Config(
            self._serve, interface="asgi3", proxy_headers=False, lifespan="off", ws="none", server_header=False,
            log_config=None, log_level="critical", access_log=False,
            http=connection(Patience(settings.read_header_timeout, most_connections(settings.limit_concurrency))),
            timeout_keep_alive=math.ceil(settings.idle_timeout) or _FOR_EVER, timeout_graceful_shutdown=None,
        )  # fmt: skip
        config.load()
        config.ssl = certificates.context if certificates else None
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=(sockets,), name=f"{self._host.id} http", daemon=True
        )
        self._thread.start()
        until = time.monotonic() + _START
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                raise StorageError(f"cannot serve OTLP over HTTP at {settings.endpoint}: the server did not start")
            time.sleep(0.005)

    def close(self, deadline: float) -> None:
        """Take nothing more; what is inside gets its answer until the deadline."""
        if self._server is not None:
            self._server.config.timeout_graceful_shutdown = max(1, int(deadline - self._host.monotonic()))
            self._server.should_exit = True

    def stop(self, deadline: float) -> None:
        """Close, and wait for what is inside."""
        self.close(deadline)
        if self._server is None or self._thread is None:
            return
        self._thread.join(max(deadline - self._host.monotonic(), 0.1) + 1.0)
        self._workers.close()

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = _headers(scope["headers"])
        encoding = encoding_of(headers.get("content-type", "")) or "json"
        cors = self._cors(headers)
        preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        if preflight and self._settings.cors is not None:
            await _answer(send, 204, b"", [*cors, (b"content-length", b"0")])
            return
        signal = self._paths.get(scope["path"], "traces")
        outcome: Receipt | Failure | None = await self._refusal(scope, headers)
        if isinstance(outcome, Failure):
            whole = await _drain(receive, headers, _READ_ON_STRANGER, 1.0)
            outcome = outcome._replace(closes=outcome.closes or not whole)
        else:
            metadata = several(_texts(scope["headers"])) if self._settings.include_metadata else {}
            coding = headers.get("content-encoding", "").strip().lower()
            outcome = await self._outcome(_Asked(signal, encoding, coding, metadata), headers, receive)
        self._host.telemetry.count("otelcol_receiver_requests", receiver=self._host.id, transport="http",
                                   outcome="success" if isinstance(outcome, Receipt) else "failure")  # fmt: skip
        said = [(b"content-type", TYPES[encoding]), *cors, *self._always]
        if not self._settings.keep_alives_enabled or (isinstance(outcome, Failure) and outcome.closes):
            said.append((b"connection", b"close"))
        if isinstance(outcome, Receipt):
            await _answer(send, 200, success(signal, outcome, encoding), said)
            return
        if outcome.retry_seconds is not None:
            said.append((b"retry-after", str(outcome.retry_seconds).encode()))
        if outcome.http == 405:
            said.append((b"allow", b"POST"))
        if outcome.http == 401:
            said.append((b"www-authenticate", outcome.challenge.encode("latin-1", "replace")))
        await _answer(send, outcome.http, failure(outcome, encoding), said)

    async def _refusal(self, scope: Message, headers: Mapping[str, str]) -> Failure | None:
        """What the head of a request already tells to be no use."""
        found = self._misplaced(scope, headers)
        if found is None and not self._door.knows(headers):
            found = await self._workers.do(asyncio.get_running_loop(), self._door.turned_away, headers)
        return found or self._unreadable(headers)

    def _misplaced(self, scope: Message, headers: Mapping[str, str]) -> Failure | None:
        """What is no request for OTLP, or comes at no good time."""
        if SURPLUS in scope["state"]:
            self._tell_crowd()
            return Failure(
                503, "cannot take the request: there are too many connections; come again", RETRY, closes=True
            )
        if scope["http_version"] == "1.1" and ("host" not in headers or "," in headers["host"]):
            return Failure(400, "cannot read the request: it must have one Host header", closes=True)
        if headers.get("transfer-encoding", "chunked").strip().lower() != "chunked":
            return Failure(400, "cannot read the request: the one Transfer-Encoding is chunked", closes=True)
        if scope["path"] == self._settings.profiles_url_path:
            return Failure(404, "cannot take profiles: this collector has no pipeline for them")
        if scope["path"] not in self._paths:
            return Failure(404, f"cannot find {scope['path'][:200]}: OTLP is taken at {', '.join(self._paths)}")
        if scope["method"] != "POST":
            return Failure(405, f"cannot {scope['method'][:20]} here: send OTLP with POST")
        return None

    def _unreadable(self, headers: Mapping[str, str]) -> Failure | None:
        """What is said of the body that makes it no use."""
        if encoding_of(headers.get("content-type", "")) is None:
            kind = headers.get("content-type", "nothing")[:100]
            return Failure(415, f"cannot read {kind}: send application/x-protobuf or application/json")
        coding = headers.get("content-encoding", "").strip().lower()
        if coding not in self._codings:
            return Failure(415, f"cannot decompress {coding[:100]!r}: send one of gzip, zstd, deflate, or nothing")
        return None

    async def _outcome(self, asked: _Asked, headers: Mapping[str, str], receive: Receive) -> Receipt | Failure:
        pieces: list[bytes] = []
        with Share(self._budget) as share:
            failure = await self._read(headers, receive, pieces, share)
            if failure is not None:
                return failure
            return await self._workers.do(asyncio.get_running_loop(), self._work, asked, pieces, share)

    async def _read(
        self, headers: Mapping[str, str], receive: Receive, pieces: list[bytes], share: Share
    ) -> Failure | None:
        """Add the body's pieces as they come, each taken from the budget; or why not, with the body read to its end."""
        limit = self._settings.max_request_body_size
        seconds = self._settings.read_timeout or _WHOLE
        too_large = Failure(413, f"cannot take the request: its body is longer than {limit} bytes; send less at once")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            return too_large._replace(closes=not await _drain(receive, headers, _READ_ON, seconds))
        size = 0
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            try:
                async with asyncio.timeout_at(min(loop.time() + _PATIENCE, end)):
                    message = await receive()
            except TimeoutError:  # not 408, after which OTLP's clients must not send it again
                return Failure(503, "cannot read the request: its body came too slowly", RETRY, closes=True)
            if message["type"] == "http.disconnect":
                return Failure(400, "the client went away")
            piece = message.get("body", b"")
            fits = size + len(piece) <= limit
            if not fits or not share.take(len(piece)):
                pieces.clear()
                share.give(share.held)
                whole = not message.get("more_body") or await _drain(receive, {}, _READ_ON, seconds)
                return (OVERLOADED if fits else too_large)._replace(closes=not whole)
            pieces.append(piece)
            size += len(piece)
            if not message.get("more_body"):
                return None

    def _work(self, asked: _Asked, pieces: list[bytes], share: Share) -> Receipt | Failure:
        """On a thread of the pool."""
        limit = self._settings.max_request_body_size
        try:
            data = packed = b"".join(pieces)
            pieces.clear()
            if asked.coding not in ("", "identity"):
                data = inflate(packed, asked.coding, limit, share.take)
                share.give(len(packed))
        except TooLarge:
            return Failure(413, f"cannot take the request: it is longer than {limit} bytes; send less at once")
        except (Crowded, MemoryError):
            return OVERLOADED
        except DataError as fault:
            return Failure(400, str(fault))
        del packed
        batch = Batch(asked.signal, data, asked.encoding, metadata=asked.metadata, transport="http")
        return hand_in(self._outputs.get(asked.signal), batch, self._host.log)

    def _tell_crowd(self) -> None:
        """Now and then."""
        if self._is_to_be_said():
            self._host.log.warning(
                "%s has as many connections as it may: others are told to come again; see limit_concurrency",
                self._host.id,
            )

    def _cors(self, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """What a browser wants to be told, where the page's origin is one of those allowed."""
        cors, origin = self._settings.cors, headers.get("origin", "")
        if cors is None or not origin or not any(_is_like(origin, one) for one in cors.allowed_origins):
            return []
        allowed = ", ".join(cors.allowed_headers) if cors.allowed_headers else _HEADERS
        said = {
            "access-control-allow-origin": origin, "vary": "Origin", "access-control-allow-methods": "POST",
            "access-control-allow-headers": headers.get("access-control-request-headers", "") if allowed == "*" else allowed,
        }  # fmt: skip
        if cors.exposed_headers:
            said["access-control-expose-headers"] = ", ".join(cors.exposed_headers)
        if cors.max_age:
            said["access-control-max-age"] = str(cors.max_age)
        return [(name.encode(), value.encode("latin-1", "replace")) for name, value in said.items()]


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    """Headers as text; the library has put their names into lower case."""
    return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def _headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """By name; of several with one name none hides another."""
    found: dict[str, str] = {}
    for name, value in _texts(headers):
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _is_like(origin: str, allowed: str) -> bool:
    """Whether an origin is the one allowed, in which `*` stands for any run of characters, and nothing else for anything."""
    return re.fullmatch(".*".join(map(re.escape, allowed.split("*"))), origin) is not None


async def _drain(receive: Receive, headers: Mapping[str, str], most: int, seconds: float) -> bool:
    """Read what is still coming, within bounds; whether that was all.

    Nothing is read where the sender waits to hear whether it is wanted, or says that it is more than that.
    """
    length = headers.get("content-length", "0")
    if "expect" in headers or not length.isdecimal() or int(length) > most:
        return False
    loop = asyncio.get_running_loop()
    left, end = most, loop.time() + seconds
    while left > 0:
        try:
            async with asyncio.timeout_at(min(loop.time() + _PATIENCE, end)):
                message = await receive()
        except TimeoutError:
            return False
        if message["type"] != "http.request" or not message.get("more_body"):
            return True
        left -= len(message.get("body", b""))
    return False


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = [] if status == 204 else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body})
