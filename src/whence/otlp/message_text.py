"""Protobuf messages to OTLP JSON text, by functions made for each type of message out of the schema.

The law: exact. Fields stand in the order of their numbers; one that is absent or holds protobuf's default is left out; 64-bit
integers are text, ids hex, other bytes base64, enums numbers. Doubles have the shortest digits that read back the same.
"""

import base64
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from whence.errors import DataError
from whence.otlp.fragment import quote
from whence.otlp.schema import MESSAGES, Field, Message
from whence.otlp.value import double

_KEPT: Final = 8192
_SHORT: Final = 160
"""Bytes of an attribute that is worth keeping: 8192 of them and their text are some 4 MiB at most."""


class TooDeepError(Exception):
    """Values inside values, beyond the levels asked for."""


def number(value: float) -> str:
    """The JSON of a double, as `orjson` writes it, quicker where Python's own digits are the same."""
    if 1e-4 <= value < 1e16 or -1e16 < value <= -1e-4:
        return repr(value)
    return orjson.dumps(double(value)).decode()


def base64_text(value: bytes) -> str:
    """The base64 that JSON has for bytes: the standard alphabet, with padding."""
    return base64.b64encode(value).decode()


# --- attributes, of which most have been seen before ----------------------------------------------------------------------

_seen: dict[bytes, str] = {}
"""The text of attributes seen lately, by their bytes on the wire."""


def pairs(written: Iterable[bytes], depth: int, seen: Callable[[bytes], str | None] = _seen.get) -> str:
    """The JSON of attributes, each still in the bytes it came in, joined by commas.

    Raises DataError for what is no KeyValue, TooDeepError for more than `depth` levels.
    """
    return ",".join([seen(pair) or _new_pair(pair, depth) for pair in written])


def _new_pair(pair: bytes, depth: int) -> str:
    try:
        opened = KeyValue.FromString(pair)
    except DecodeError as cause:
        raise DataError(f"cannot read an attribute: {cause}; send a protobuf KeyValue") from None
    text = pair_text(opened, depth)
    if len(pair) <= _SHORT and not (opened.value.HasField("array_value") or opened.value.HasField("kvlist_value")):
        if len(_seen) >= _KEPT:
            _seen.clear()
        _seen[pair] = text
    return text


# --- functions for each type of message -----------------------------------------------------------------------------------

_ONE: Final = {
    "double": "number(v)",
    "int64": "f'\"{v}\"'",
    "uint64": "f'\"{v}\"'",
    "fixed64": "f'\"{v}\"'",
    "sfixed64": "f'\"{v}\"'",
    "sint64": "f'\"{v}\"'",
    "int32": "str(v)",
    "uint32": "str(v)",
    "fixed32": "str(v)",
    "sfixed32": "str(v)",
    "sint32": "str(v)",
    "enum": "str(v)",
    "bool": "('true' if v else 'false')",
    "string": "quote(v)",
    "id": "f'\"{v.hex()}\"'",
    "bytes": "f'\"{base64_text(v)}\"'",
}
"""The JSON of a value `v`, as Python source, by the kind of its field."""


def _value(field: Field, depth: str) -> str:
    if field.kind == "pair" and field.repeated:
        return f"'[' + pairs(v, {depth}) + ']'"
    one = f"{field.of}(v, {depth})" if field.of else _ONE[field.kind]
    return f"'[' + ','.join([{one} for v in v]) + ']'" if field.repeated else one


def _clause(field: Field) -> Iterator[str]:
    add = f"add('\"{field.json}\":' + {_value(field, 'depth')})"
    if field.presence:
        yield f"if m.HasField('{field.name}'):"
        yield f"    v = m.{field.name}"
    elif field.kind == "double" and not field.repeated:
        yield f"v = m.{field.name}"
        yield "if v or str(v) == '-0.0':"
    else:
        yield f"if v := m.{field.name}:"
    yield f"    {add}"


def _plain(message: Message) -> Iterator[str]:
    """A message field by field."""
    yield f"def {message.name}(m, depth):"
    yield "    p = []"
    yield "    add = p.append"
    for field in message.fields:
        yield from (f"    {line}" for line in _clause(field))
    yield "    return '{' + ','.join(p) + '}'"


def _choice(message: Message) -> Iterator[str]:
    """A message that is one of its fields: AnyValue. Here it is counted how deep values are inside values."""
    yield f"def {message.name}(m, depth):"
    yield f"    w = m.WhichOneof('{message.fields[0].oneof}')"
    for field in message.fields:
        yield f"    if w == '{field.name}':"
        yield f"        v = m.{field.name}"
        if field.of:
            yield "        if depth < 2:"
            yield "            raise TooDeepError"
        yield f"        return '{{\"{field.json}\":' + {_value(field, 'depth - 1')} + '}}'"
    yield "    return '{}'"


def _list_of_pairs(message: Message) -> Iterator[str]:
    """KeyValueList, whose pairs are opened already."""
    yield f"def {message.name}(m, depth):"
    yield "    inside = ','.join([common_v1_KeyValue(v, depth) for v in m.values])"
    yield "    return '{\"values\":[' + inside + ']}' if inside else '{}'"


def _frame(message: Message, field: Field) -> Iterator[str]:
    """What stands before and after one field of a message: the rest of the message."""
    yield f"def {message.name}_around_{field.name}(m, depth):"
    yield "    p = []"
    yield "    add = p.append"
    for other in message.fields:
        if other.number < field.number and not (field.oneof and other.oneof == field.oneof):
            yield from (f"    {line}" for line in _clause(other))
    yield f"    add('\"{field.json}\":')"
    yield "    head = '{' + ','.join(p)"
    yield "    p = ['']"
    yield "    add = p.append"
    for other in message.fields:
        if other.number > field.number and not (field.oneof and other.oneof == field.oneof):
            yield from (f"    {line}" for line in _clause(other))
    yield "    return head, ','.join(p) + '}'"


def _source() -> Iterator[str]:
    for message in MESSAGES.values():
        if all(field.oneof for field in message.fields):
            yield from _choice(message)
        elif message.name == "common_v1_KeyValueList":
            yield from _list_of_pairs(message)
        else:
            yield from _plain(message)
        for field in message.fields:
            if field.of and (field.repeated or field.oneof):
                yield from _frame(message, field)


def _made() -> dict[str, Any]:
    found: dict[str, Any] = {
        "number": number,
        "quote": quote,
        "base64_text": base64_text,
        "pairs": pairs,
        "TooDeepError": TooDeepError,
    }
    exec("\n".join(_source()), found)  # noqa: S102 - of our own words; three times as fast as going over fields by table
    return found


FUNCTIONS: Final = _made()
"""`NAME(message, depth) -> str` for each message, and `NAME_around_FIELD(message, depth) -> (head, tail)` for each field of
messages. They take official messages or lean ones; TooDeepError is raised for more than `depth` levels of AnyValue."""

pair_text: Final[Callable[[Any, int], str]] = FUNCTIONS["common_v1_KeyValue"]
"""The JSON of one KeyValue."""
