"""OTLP's services: where each signal goes, by which protocol a URL is spoken to, and which failures are worth another try.

The law: the specification's facts and nothing else; nothing of a network library is known here.
Source: OTLP specification 1.11, "OTLP/gRPC Request and Response", "Failures", "OTLP/HTTP Request", "OTLP/HTTP Response".
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from whence.errors import ConfigError

if TYPE_CHECKING:
    from whence.otlp.schema import Signal

OtlpProtocol = Literal["http", "grpc"]
GRPC_PORT: Final = 4317
PATHS: "Final[Mapping[Signal, str]]" = {"traces": "/v1/traces", "logs": "/v1/logs", "metrics": "/v1/metrics"}
"""Behind the URL of an endpoint over HTTP."""
SERVICES: "Final[Mapping[Signal, str]]" = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
METHODS: "Final[Mapping[Signal, str]]" = {signal: f"/{service}/Export" for signal, service in SERVICES.items()}
"""The whole names of the calls over gRPC."""
_HTTP_AGAIN: Final = frozenset({429, 502, 503, 504})
_GRPC_AGAIN: Final = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)


def spoken_at(url: str, protocol: OtlpProtocol | None = None) -> tuple[str, OtlpProtocol]:
    """The URL with a scheme of HTTP, which says whether by TLS, and the protocol: as `grpc(s)://` says, else as asked, else HTTP.

    Whether the rest of it is a URL is not looked at. Raises ConfigError where the scheme and what is asked for differ.
    """
    scheme, colon, rest = url.partition("://")
    if scheme not in ("grpc", "grpcs"):
        return url, protocol or "http"
    if protocol == "http":
        raise ConfigError(f"cannot send to {url[:100]!r} over HTTP: give a URL such as http://localhost:4318")
    return f"{'http' if scheme == 'grpc' else 'https'}{colon}{rest}", "grpc"


def is_worth_again_http(status: int) -> bool:
    """Whether a request that was answered so may be taken when it is sent again."""
    return status in _HTTP_AGAIN


def is_worth_again_grpc(code: str, *, says_when: bool) -> bool:
    """The same of a call that failed with this code; from a server that is full only where it says when (RetryInfo)."""
    return code in _GRPC_AGAIN or (code == "RESOURCE_EXHAUSTED" and says_when)
