"""What an OTLP service answers to a request that it took: nothing, or how many records it did not take, and why.

The law: one that cannot be read says nothing; that the request was taken has been said by its status.
Source: OTLP specification 1.11, "Partial Success".
"""

from typing import Any, Final, NamedTuple

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from whence.otlp.wire import Encoding, Signal

_RESPONSES: Final[dict[Signal, tuple[Any, str, str]]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
}


class Partial(NamedTuple):
    """A partial success. None rejected, but a message: a warning."""

    rejected: int = 0
    message: str = ""


def response_of(signal: Signal, partial: Partial, encoding: Encoding) -> bytes:
    """The body of the answer."""
    if not partial.rejected and not partial.message:
        return b"" if encoding == "protobuf" else b"{}"
    response, field, name = _RESPONSES[signal]
    if encoding == "json":
        said = {name: str(partial.rejected)} if partial.rejected else {}
        return orjson.dumps({"partialSuccess": said | {"errorMessage": partial.message}})
    found = response()
    setattr(found.partial_success, field, partial.rejected)
    found.partial_success.error_message = partial.message
    return bytes(found.SerializeToString())


def partial_of(signal: Signal, body: bytes, encoding: Encoding) -> Partial:
    """What the body of an answer says. Never raises."""
    response, field, name = _RESPONSES[signal]
    try:
        if encoding == "json":
            said = orjson.loads(body).get("partialSuccess") or {}
            return Partial(int(said.get(name, 0)), str(said.get("errorMessage", "")))
        found = response.FromString(body).partial_success
    except (DecodeError, ValueError, TypeError, AttributeError):
        return Partial()
    return Partial(getattr(found, field), found.error_message)
