"""Builders for OTLP requests: any request that the schema allows, requests as clients send them, and what they hold.

The strategies are made of the descriptors, so that they reach every field of every message, also of a newer schema.
"""

import base64
import math
from typing import Any, Final

import orjson
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

SIGNALS: Final = ("logs", "traces", "metrics")
MESSAGES: Final[dict[str, Any]] = {"logs": LogsData, "traces": TracesData, "metrics": MetricsData}
LEVELS: Final = {
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}
IDS: Final = {"traceId", "spanId", "parentSpanId"}
DATA: Final = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")


# --- any request ----------------------------------------------------------------------------------------------------------

TEXT: Final = st.text(max_size=6) | st.sampled_from(["", "a", 'q"\\', "\n\t\x00\x1f\x7f", "ü", "\u2028", "😀", "GET /"])
DOUBLE: Final = st.floats(allow_nan=False) | st.sampled_from(
    [0.0, -0.0, math.nan, math.inf, -math.inf, 1e-5, 1e16, 1e22, 5e-324, 0.1, 1.0]
)


def _edges(least: int, most: int) -> st.SearchStrategy[int]:
    return st.integers(least, most) | st.sampled_from([least, most, 0, 1, most >> 1])


_INT32, _UINT32 = _edges(-(1 << 31), (1 << 31) - 1), _edges(0, (1 << 32) - 1)
_INT64, _UINT64 = _edges(-(1 << 63), (1 << 63) - 1), _edges(0, (1 << 64) - 1)
_SCALARS: Final[dict[int, st.SearchStrategy[Any]]] = {
    FieldDescriptor.TYPE_DOUBLE: DOUBLE,
    FieldDescriptor.TYPE_STRING: TEXT,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=5),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_ENUM: st.integers(0, 24) | _INT32,
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
}
_WRONG_ID: Final = st.sampled_from([b"", b"\0" * 16, b"\0" * 8, b"x", b"y" * 15, b"z" * 17])
_ENVELOPES: Final = {
    "resource_logs", "resource_spans", "resource_metrics", "scope_logs", "scope_spans", "scope_metrics",
    "log_records", "spans", "metrics", "data_points",
}  # fmt: skip
_DEEP: Final = 4
"""Values inside values that are made without being asked for."""


def _id(name: str, right: bool, needed: bool) -> st.SearchStrategy[bytes]:
    size = 16 if name == "trace_id" else 8
    known = st.binary(min_size=size, max_size=size).filter(any)
    if not right:
        return known | _WRONG_ID
    return known if needed else known | st.just(b"")


def _fill(draw: st.DrawFn, message: Any, right: bool, deep: int) -> None:
    of: Descriptor = message.DESCRIPTOR
    span, value = of.full_name.endswith(".Span"), of.name == "AnyValue"
    fields = [field for field in of.fields if field.containing_oneof is None or len(field.containing_oneof.fields) == 1]
    for choice in of.oneofs:
        if len(choice.fields) > 1 and (draw(st.integers(0, 9)) < 9):
            members = [field for field in choice.fields if deep > 0 or not value or field.message_type is None]
            fields.append(draw(st.sampled_from(members)))
    for field in fields:
        needed = span and field.name in ("trace_id", "span_id")
        chosen = field.containing_oneof is not None and len(field.containing_oneof.fields) > 1
        if needed or chosen or field.name in _ENVELOPES or draw(st.integers(0, 9)) < 7:
            _set(draw, message, field, right, deep - value, needed)


def _set(draw: st.DrawFn, message: Any, field: FieldDescriptor, right: bool, deep: int, needed: bool) -> None:
    if field.message_type is not None:
        if field.is_repeated:
            many = field.message_type.name not in ("AnyValue", "KeyValue")
            for _ in range(draw(st.sampled_from([1, 2, 3, 0] if many else [1, 2, 0]))):
                _fill(draw, getattr(message, field.name).add(), right, deep)
        else:
            getattr(message, field.name).SetInParent()
            _fill(draw, getattr(message, field.name), right, deep)
        return
    value = _SCALARS[field.type]
    if field.name in ("trace_id", "span_id", "parent_span_id"):
        value = _id(field.name, right, needed)
    if field.is_repeated:
        getattr(message, field.name).extend(draw(st.lists(value, max_size=3)))
    else:
        setattr(message, field.name, draw(value))


@st.composite
def requests(draw: st.DrawFn, signal: str, right: bool = True) -> Any:
    """A request of the whole schema, as OpenTelemetry's own message; `right`: ids are such as a record is stored with."""
    message = MESSAGES[signal]()
    _fill(draw, message, right, _DEEP)
    return message


# --- a request with everything -------------------------------------------------------------------------------------------

_SAMPLES: Final[dict[int, Any]] = {
    FieldDescriptor.TYPE_DOUBLE: 0.5,
    FieldDescriptor.TYPE_STRING: "text",
    FieldDescriptor.TYPE_BYTES: b"\x00\xff",
    FieldDescriptor.TYPE_BOOL: True,
    FieldDescriptor.TYPE_ENUM: 1,
}


def everything(signal: str) -> Any:
    """A request in which every field of the schema is set somewhere, in every kind of value."""
    (message,) = _variants(MESSAGES[signal].DESCRIPTOR, 2)
    return message


def _variants(of: Any, deep: int) -> list[Any]:
    """As many messages of a type as it takes to have each of its fields in one, and each kind of what is inside."""
    inside = {
        field.name: _variants(field.message_type, deep - (of.name == "AnyValue"))
        for field in of.fields
        if field.message_type is not None and (deep > 0 or of.name != "AnyValue")
    }
    choices = [[f for f in choice.fields if f.message_type is None or f.name in inside] for choice in of.oneofs]
    single = [len(inside[field.name]) for field in of.fields if field.name in inside and not field.is_repeated]
    made = []
    for n in range(max([1, *map(len, choices), *single])):
        message = GetMessageClass(of)()
        chosen = [choice[n % len(choice)] for choice in choices]
        for field in [*chosen, *(field for field in of.fields if field.containing_oneof is None)]:
            if field.name in inside:
                target = getattr(message, field.name)
                if field.is_repeated:
                    target.extend(inside[field.name])
                else:
                    target.CopyFrom(inside[field.name][n % len(inside[field.name])])
                    target.SetInParent()
            elif field.is_repeated:
                getattr(message, field.name).extend([_sample(field)] * 2)
            else:
                setattr(message, field.name, _sample(field))
        made.append(message)
    return made


def _sample(field: FieldDescriptor) -> Any:
    if field.name in ("trace_id", "span_id", "parent_span_id"):
        return bytes(range(16 if field.name == "trace_id" else 8))
    return _SAMPLES.get(field.type, 7)


# --- requests as clients send them ----------------------------------------------------------------------------------------


def json_of(message: Any) -> dict[str, Any]:
    """A message in OTLP JSON, by protobuf's own writer, whose ids and enums are then as OTLP has them."""
    written = json_format.MessageToDict(message, use_integers_for_enums=True)
    return _hex_ids(written)  # type: ignore[no-any-return]


def _hex_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: base64.b64decode(item).hex() if key in IDS and isinstance(item, str) else _hex_ids(item)
            for key, item in value.items()
        }
    return [_hex_ids(item) for item in value] if isinstance(value, list) else value


@st.composite
def other_spellings(draw: st.DrawFn, value: Any, name: str = "") -> Any:
    """The same OTLP JSON as another client may write it: other order, integers as numbers, unknown and null fields."""
    if isinstance(value, dict):
        items = [(key, draw(other_spellings(item, key))) for key, item in value.items()]
        if draw(st.booleans()):
            items += [("unknownField", {"deep": [1, {"x": None}]}), ("trace_id", "snake"), ("schemaUrl2", None)]
        return dict(draw(st.permutations(items)))
    if isinstance(value, list):
        return [draw(other_spellings(item, name)) for item in value]
    if isinstance(value, str) and name in IDS and draw(st.booleans()):
        return value.upper()
    if isinstance(value, str) and name in WHOLE and draw(st.booleans()):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and name in WHOLE32 and draw(st.booleans()):
        return str(value)
    return value


WHOLE: Final = {
    "intValue", "asInt", "timeUnixNano", "startTimeUnixNano", "endTimeUnixNano", "observedTimeUnixNano", "count",
    "bucketCounts", "zeroCount",
}  # fmt: skip
"""Fields of 64 bits, which are text, and may be numbers."""
WHOLE32: Final = {"droppedAttributesCount", "droppedEventsCount", "droppedLinksCount", "scale", "offset"}
"""Fields of 32 bits, which are numbers, and may be text."""


# --- what requests hold ---------------------------------------------------------------------------------------------------


def records_of(signal: str, tree: dict[str, Any]) -> list[Any]:
    """Each record with what surrounds it, in order; of metrics, each data point with its metric."""
    resources, scopes, records = LEVELS[signal]
    found = []
    for group in tree.get(resources, ()):
        for part in group.get(scopes, ()):
            around = [_without(group, scopes), _without(part, records)]
            for record in part.get(records, ()):
                if signal == "metrics":
                    found += [[*around, *of] for of in _points(record)]
                else:
                    found.append([*around, record])
    return found


def _points(metric: dict[str, Any]) -> list[Any]:
    for name in DATA:
        if name in metric:
            data = metric[name]
            said = _without(metric, name), name, _without(data, "dataPoints")
            return [[*said, point] for point in data.get("dataPoints", ())]
    return []


def _without(of: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in of.items() if name != key}


def records_of_lines(signal: str, lines: Any) -> list[Any]:
    """The records of lines of an archive, as `records_of` has them."""
    return [record for line in lines for record in records_of(signal, orjson.loads(line.data))]
