"""OTLP's messages as their descriptors have them: what each field is called, and how it is written, in JSON and on the wire.

The law: no field is written down here by hand; a newer `opentelemetry-proto` brings its new fields with it.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

Signal = Literal["logs", "traces", "metrics"]
Kind = Literal[
    "double", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "message",
    "bytes", "id", "uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64", "pair",
]  # fmt: skip
"""Protobuf's types, and two of ours: `id` is bytes that JSON has in hex, `pair` one of the key-value pairs of attributes."""


class Field(NamedTuple):
    """One field of a message."""

    number: int
    name: str
    json: str
    kind: Kind
    repeated: bool
    presence: bool
    """Whether a field that holds its default is another thing than an absent one."""
    oneof: str | None
    of: str
    """What it is a message of: the name of that Message; empty for other kinds."""


class Message(NamedTuple):
    """One type of message."""

    name: str
    """Its full name without OpenTelemetry's package, as a Python name: `trace_v1_Span_Event`."""
    fields: tuple[Field, ...]
    """By number: the order in which they stand in JSON and on the wire."""


class Levels(NamedTuple):
    """What holds the records of a signal: the messages from the outside in."""

    data: Message
    resource: Message
    scope: Message
    record: Message
    """LogRecord, Span or Metric."""


_KINDS: Final[dict[int, Kind]] = {
    FieldDescriptor.TYPE_DOUBLE: "double", FieldDescriptor.TYPE_INT64: "int64", FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_INT32: "int32", FieldDescriptor.TYPE_FIXED64: "fixed64", FieldDescriptor.TYPE_FIXED32: "fixed32",
    FieldDescriptor.TYPE_BOOL: "bool", FieldDescriptor.TYPE_STRING: "string", FieldDescriptor.TYPE_MESSAGE: "message",
    FieldDescriptor.TYPE_BYTES: "bytes", FieldDescriptor.TYPE_UINT32: "uint32", FieldDescriptor.TYPE_ENUM: "enum",
    FieldDescriptor.TYPE_SFIXED32: "sfixed32", FieldDescriptor.TYPE_SFIXED64: "sfixed64",
    FieldDescriptor.TYPE_SINT32: "sint32", FieldDescriptor.TYPE_SINT64: "sint64",
}  # fmt: skip
_IDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
"""The bytes that OTLP's JSON has in hex; any other bytes it has in base64."""
_PAIR: Final = "common_v1_KeyValue"
_PACKAGE: Final = "opentelemetry.proto."

OFFICIAL: Final[dict[Signal, Any]] = {"logs": LogsData, "traces": TracesData, "metrics": MetricsData}
"""A signal's outermost message. An Export*ServiceRequest has the same single field, so the same bytes."""


def _name(of: Descriptor) -> str:
    return str(of.full_name).removeprefix(_PACKAGE).replace(".", "_")


def _field(of: FieldDescriptor) -> Field:
    kind = _KINDS[of.type]
    inside = _name(of.message_type) if kind == "message" else ""
    if inside == _PAIR:
        kind = "pair"
    elif kind == "bytes" and of.name in _IDS:
        kind = "id"
    repeated = bool(of.is_repeated)
    oneof = of.containing_oneof
    return Field(
        of.number,
        of.name,
        of.json_name,
        kind,
        repeated,
        not repeated and of.has_presence,
        oneof.name if oneof and len(oneof.fields) > 1 else None,
        inside,
    )


def _messages(roots: Iterable[Descriptor]) -> dict[str, Message]:
    found: dict[str, Message] = {}
    waiting = list(roots)
    while waiting:
        of = waiting.pop()
        if _name(of) not in found:
            known = [field for field in of.fields_by_number.values() if field.type in _KINDS]
            found[_name(of)] = Message(_name(of), tuple(sorted(map(_field, known))))
            waiting += [field.message_type for field in known if field.message_type]
    return found


MESSAGES: Final = _messages(message.DESCRIPTOR for message in OFFICIAL.values())
"""Every message that a request can hold, by name."""


def _levels(signal: Signal) -> Levels:
    levels = [MESSAGES[_name(OFFICIAL[signal].DESCRIPTOR)]]
    for _ in range(3):
        levels.append(next(MESSAGES[field.of] for field in levels[-1].fields if field.repeated and field.of))
    return Levels(*levels)


LEVELS: Final[dict[Signal, Levels]] = {
    "logs": _levels("logs"),
    "traces": _levels("traces"),
    "metrics": _levels("metrics"),
}


def is_choice(message: Message) -> bool:
    """Whether a message is one of its fields: AnyValue."""
    return bool(message.fields) and all(field.oneof for field in message.fields)


def field_of(message: Message, inside: Message) -> Field:
    """The field of a message that holds messages of another type."""
    return next(field for field in message.fields if field.of == inside.name)


# --- the same messages, opened less far -----------------------------------------------------------------------------------


def _lean() -> dict[Signal, Any]:
    """OTLP's messages with each attribute left as the bytes it came in.

    On the wire a message and bytes are the same. Most attributes of a program are the same over and over: bytes can be
    looked up, and only those not seen before need be opened.
    """
    pool = descriptor_pool.DescriptorPool()
    done: set[str] = set()

    def add(file: Any) -> None:
        if file.name in done:
            return
        done.add(file.name)
        for needed in file.dependencies:
            add(needed)
        written = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(written)
        for field in _attributes(written.message_type):
            field.type = FieldDescriptor.TYPE_BYTES
            field.ClearField("type_name")
        pool.Add(written)

    for official in OFFICIAL.values():
        add(official.DESCRIPTOR.file)
    return {
        signal: message_factory.GetMessageClass(pool.FindMessageTypeByName(official.DESCRIPTOR.full_name))
        for signal, official in OFFICIAL.items()
    }


def _attributes(messages: Iterable[Any]) -> Iterator[Any]:
    for message in messages:
        if message.name != "KeyValueList":
            repeated = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
            yield from (f for f in message.field if f.type_name.endswith(".KeyValue") and f.label == repeated)
        yield from _attributes(message.nested_type)


LEAN: Final = _lean()
"""Each signal's outermost message, whose repeated KeyValue fields (all but KeyValueList's own) are `repeated bytes`."""
