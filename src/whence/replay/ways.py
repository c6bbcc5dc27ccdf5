"""The ways to an OTLP endpoint: HTTP and gRPC, one request at a time, with the bytes of protobuf as they are.

The law: a way says what became of a request, and whether sending it again can help; it never tries again by itself.
"""

import http.client
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import SplitResult, urlsplit

from whence.errors import ConfigError
from whence.otlp.service import (
    GRPC_PORT,
    METHODS,
    PATHS,
    OtlpProtocol,
    is_worth_again_grpc,
    is_worth_again_http,
    spoken_at,
)
from whence.otlp.wire import Signal

_TIMEOUT: Final = 30.0
_RECONNECT: Final = 1_000
"""Milliseconds after which a connection is tried again; by itself the library waits for up to two minutes."""


class Answer(NamedTuple):
    """What became of a request."""

    taken: bool
    said: str = ""
    again: bool = False
    """Whether it may be taken when it is sent again."""
    after: float = 0.0
    """Seconds for which the endpoint wants to be left alone."""


class Way(Protocol):
    """A way to an endpoint, for one thread."""

    def post(self, signal: Signal, body: bytes) -> Answer:
        """Send one request."""

    def close(self) -> None:
        """Leave."""


def way_to(endpoint: str, headers: Mapping[str, str], protocol: OtlpProtocol | None = None) -> Way:
    """The way that an endpoint's scheme says: `http(s)://` or `grpc(s)://`; or `protocol`, also for the former.

    Nothing is connected yet. Raises ConfigError.
    """
    url, spoken = spoken_at(endpoint, protocol)
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or parts.query or parts.username:
        raise ConfigError(
            f"cannot send to {endpoint[:100]!r}: expected a URL such as http://localhost:4318 or grpc://localhost:4317"
        )
    if spoken == "http":
        return _HTTPWay(parts, headers)
    if parts.path.strip("/"):
        raise ConfigError(f"cannot send to {endpoint[:100]!r} over gRPC: its URL has no path; leave {parts.path} out")
    return _GRPCWay(parts, headers)


class _HTTPWay:
    """`/v1/logs` and `/v1/traces` behind the URL."""

    def __init__(self, parts: SplitResult, headers: Mapping[str, str]) -> None:
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT)
        self._path = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/x-protobuf", **headers}

    def post(self, signal: Signal, body: bytes) -> Answer:
        try:
            self._connection.request("POST", self._path + PATHS[signal], body, self._headers)
            answer = self._connection.getresponse()
            words = answer.read(2_000)
            answer.close()
        except (OSError, http.client.HTTPException) as cause:
            self._connection.close()
            return Answer(False, str(cause) or type(cause).__name__, True)
        if answer.status // 100 == 2:
            return Answer(True)
        said = f"{answer.status} {answer.reason} {words.decode('utf-8', 'replace')[:200]}".strip()
        after = answer.headers.get("Retry-After", "")
        return Answer(False, said, is_worth_again_http(answer.status), float(after) if after.isdigit() else 0.0)

    def close(self) -> None:
        self._connection.close()


class _GRPCWay:
    """The services of OTLP."""

    def __init__(self, parts: SplitResult, headers: Mapping[str, str]) -> None:
        try:
            import grpc
        except ImportError:
            raise ConfigError("cannot send over gRPC: grpcio is not installed; pip install 'whence[collect]'") from None
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        target = f"{host}:{parts.port or GRPC_PORT}"
        options = [("grpc.max_send_message_length", -1), ("grpc.max_reconnect_backoff_ms", _RECONNECT)]
        if parts.scheme == "https":
            self._channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(), options)
        else:
            self._channel = grpc.insecure_channel(target, options)
        self._trouble: type[Exception] = grpc.RpcError
        self._headers = [(name.lower(), value) for name, value in headers.items()]
        self._methods: dict[Signal, Callable[..., Any]] = {
            signal: self._channel.unary_unary(method) for signal, method in METHODS.items()
        }

    def post(self, signal: Signal, body: bytes) -> Answer:
        try:
            self._methods[signal](body, timeout=_TIMEOUT, metadata=self._headers)
        except self._trouble as failure:
            return _refused(failure)
        except (ValueError, TypeError) as cause:
            return Answer(False, f"{cause}; is a header not what gRPC allows?")
        return Answer(True)

    def close(self) -> None:
        self._channel.close()


def _refused(failure: Any) -> Answer:
    name, words = failure.code().name, failure.details() or ""
    details = dict(failure.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    again = is_worth_again_grpc(name, says_when=b"google.rpc.RetryInfo" in details)
    return Answer(False, f"{name} {words[:200]}".strip(), again)
