"""Builders for the wire format: SDK objects of any content, lines read strictly by protobuf, and values to try."""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from google.protobuf import json_format
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags, Tracer, set_span_in_context

from whence.record.otel import ApiLogRecord, ReadWriteLogRecord, SeverityNumber

TIME = 1_767_225_600_123_456_789
RESOURCE = Resource({"service.name": "shop", "whence.run": "run-1"}, "https://opentelemetry.io/schemas/1.44.0")
SCOPE = InstrumentationScope("app.shop", "2.1", "https://example.org/schema", {"team": "blue"})
SPAN = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, is_remote=False, trace_flags=TraceFlags(3))

_MESSAGES: dict[str, Any] = {"resourceLogs": LogsData, "resourceSpans": TracesData, "resourceMetrics": MetricsData}
_IDS = {"traceId", "spanId", "parentSpanId"}

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
TEXT = st.text(max_size=12)
"""Without surrogates, which hypothesis leaves out of text."""
KEYS = st.text(min_size=1, max_size=8)
FLOATS = st.floats(allow_nan=False) | st.just(math.nan)
"""JSON has one NaN only."""
SCALARS = st.none() | st.booleans() | INT64 | FLOATS | TEXT | st.binary(max_size=8)


def nested(scalars: st.SearchStrategy[Any], keys: st.SearchStrategy[str] = KEYS) -> st.SearchStrategy[Any]:
    """These values, and lists and maps of them, empty ones included."""
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    )


EXACT = nested(SCALARS)
"""Values that OTLP holds as they are."""
_HUGE = st.integers(1 << 63, 1 << 80)
LOSSY = (
    _HUGE | _HUGE.map(lambda number: -number - 1) | st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3)
)
"""Values that OTLP has no place for."""


def a_log(
    attributes: Mapping[str, Any] | None = None,
    *,
    body: Any = None,
    name: str | None = "step",
    time: Any = TIME,
    observed: Any = TIME,
    severity: Any = SeverityNumber.INFO,
    severity_text: Any = "INFO",
    span: SpanContext | None = None,
    resource: Resource | None = RESOURCE,
    scope: InstrumentationScope | None = SCOPE,
) -> ReadWriteLogRecord:
    """A log record as the SDK hands it to processors and exporters."""
    record = ApiLogRecord(
        timestamp=time,
        observed_timestamp=observed,
        context=set_span_in_context(NonRecordingSpan(span)) if span else None,
        severity_number=severity,
        severity_text=severity_text,
        body=body,
        attributes=attributes,
        event_name=name,
    )
    return ReadWriteLogRecord(record, resource, scope)


class Kept(SpanProcessor):
    """Keeps spans as they end."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def a_tracer() -> tuple[Tracer, Kept]:
    """A tracer, and where its ended spans are."""
    kept = Kept()
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(kept)
    return provider.get_tracer("app.shop", "2.1", "https://example.org/schema", {"team": "blue"}), kept


def an_ended_span(
    attributes: Mapping[str, Any] | None = None,
    *,
    events: Sequence[tuple[str, Mapping[str, Any]]] = (),
    links: Sequence[Link] = (),
    parent: SpanContext | None = None,
    name: str = "work",
) -> ReadableSpan:
    """An ended span as the SDK hands it to processors and exporters, a second long."""
    tracer, kept = a_tracer()
    context = set_span_in_context(NonRecordingSpan(parent)) if parent else None
    span = tracer.start_span(name, context, attributes=attributes, links=links, start_time=TIME)
    for n, (event, values) in enumerate(events):
        span.add_event(event, values, TIME + n)
    span.end(TIME + 1_000_000_000)
    return kept.spans[0]


def strictly(line: bytes) -> Any:
    """The line as protobuf's own JSON reader has it, which takes nothing unknown, through the binary form and back.

    OTLP writes ids in hex where protobuf's JSON has base64: that is the one difference it allows itself.
    """
    data = orjson.loads(line)
    message = _MESSAGES[next(iter(data))]()
    json_format.Parse(orjson.dumps(_base64_ids(data)), message)
    return type(message).FromString(message.SerializeToString())


def _base64_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode() if key in _IDS else _base64_ids(item)
            for key, item in value.items()
        }
    return [_base64_ids(item) for item in value] if isinstance(value, list) else value


def as_read(value: Any) -> Any:
    """A value as readers have it: tuples are lists."""
    if isinstance(value, dict):
        return {key: as_read(item) for key, item in value.items()}
    return [as_read(item) for item in value] if isinstance(value, (list, tuple)) else value


def same(one: Any, other: Any) -> bool:
    """Whether values are the same, types, signs of zero and NaN included."""
    return repr(as_read(one)) == repr(as_read(other))
