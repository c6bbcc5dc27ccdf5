"""Protobuf messages to OTLP JSON text, by functions made for each type of message out of the schema.

The law: exact. Fields stand in the order of their numbers; one that is absent or holds protobuf's default is left out; 64-bit
integers are text, ids hex, other bytes base64, enums numbers. Doubles have the shortest digits that read back the same.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from struct import unpack
from typing import Any, Final

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from whence.errors import DataError
from whence.otlp.fragment import quote
from whence.otlp.schema import MESSAGES, Field, Message, is_choice
from whence.otlp.value import double

_KEPT: Final = 8192
_SHORT: Final = 160
"""Bytes of an attribute that is worth keeping: 8192 of them and their text are some MiB, ten at the very most."""


class TooDeepError(Exception):
    """Values inside values, beyond the levels asked for."""


def double_text(value: float) -> str:
    """The JSON of a double, as `orjson` writes it, quicker where Python's own digits are the same."""
    if 1e-4 <= value < 1e16 or -1e16 < value <= -1e-4:
        return repr(value)
    return orjson.dumps(double(value)).decode()


def base64_text(value: bytes) -> str:
    """The base64 that JSON has for bytes: the standard alphabet, with padding."""
    return base64.b64encode(value).decode()


def digits(numbers: Sequence[int]) -> str:
    """Integers as JSON has those of 64 bits, but for the first and last quote."""
    if len(numbers) <= _RUN:
        return '","'.join(map(str, numbers))
    runs = (numbers[start : start + _RUN] for start in range(0, len(numbers), _RUN))
    return '","'.join(['","'.join(map(str, run)) for run in runs])


_RUN: Final = 1 << 12
"""Numbers that are made text at once. A data point of a few bytes on the wire each can hold millions: no list of all their
texts is made, and other threads get their turn."""


# --- attributes, of which most have been seen before ----------------------------------------------------------------------

_seen: dict[bytes, str] = {}
"""The text of attributes seen lately, by their bytes on the wire."""


def pairs(written: Iterable[bytes], depth: int, seen: Callable[[bytes], str | None] = _seen.get) -> str:
    """The JSON of attributes, each still in the bytes it came in, joined by commas.

    Raises DataError for what is no KeyValue, TooDeepError for more than `depth` levels.
    """
    return ",".join([seen(pair) or _new_pair(pair, depth) for pair in written])


def _new_pair(pair: bytes, depth: int) -> str:
    text = _short_pair(pair) or _any_pair(pair, depth)
    if len(pair) <= _SHORT and 'Value":{' not in text:  # a list or map may be too deep for somebody else's limit
        if len(_seen) >= _KEPT:
            _seen.clear()
        _seen[pair] = text
    return text


_KEY: Final = 0x0A
_VALUE: Final = 0x12
_TEXT: Final = 0x0A
_WHOLE: Final = 0x18
_DOUBLE: Final = 0x21
"""Tags on the wire: KeyValue's fields 1 and 2, and AnyValue's 1, 3 and 4."""


def _short_pair(pair: bytes) -> str | None:
    """The JSON of an attribute as nearly all are: a key, then a text, number or double, all of it below 128 bytes.

    None for any other, and for what is no UTF-8: the protobuf library reads those.
    """
    size = len(pair)
    if not (size > 5 and pair[0] == _KEY and (at := pair[1] + 2) < 130 and at + 4 <= size):
        return None
    rest = size - at - 2
    if not (pair[at] == _VALUE and pair[at + 1] == rest < 128):
        return None
    try:
        kind = pair[at + 2]
        if kind == _TEXT and pair[at + 3] == rest - 2:
            return f'{_head(pair[:at])}"stringValue":{quote(str(pair[at + 4 :], "utf-8"))}}}}}'
        if kind == _WHOLE and rest < 10 and (number := _from_varint(pair[at + 3 :])) is not None:
            return f'{_head(pair[:at])}"intValue":"{number}"}}}}'
        if kind == _DOUBLE and rest == 9:
            return f'{_head(pair[:at])}"doubleValue":{double_text(*unpack("<d", pair[at + 3 :]))}}}}}'
    except UnicodeDecodeError:
        pass
    return None


def _from_varint(written: bytes) -> int | None:
    """The number that these bytes are, if they are one varint."""
    number = shift = 0
    for byte in written:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    return number if shift == 7 * len(written) and written[-1] < 128 else None


_heads: dict[bytes, str] = {}
"""What stands before the value of an attribute, by the bytes of its key."""


def _head(key: bytes) -> str:
    if found := _heads.get(key):
        return found
    name = str(key[2:], "utf-8")
    text = (f'{{"key":{quote(name)},' if name else "{") + '"value":{'
    if len(_heads) >= _KEPT:
        _heads.clear()
    _heads[key] = text
    return text


def _any_pair(pair: bytes, depth: int) -> str:
    try:
        return pair_text(KeyValue.FromString(pair), depth)
    except DecodeError as cause:
        raise DataError(f"cannot read an attribute: {cause}; send a protobuf KeyValue") from None


# --- functions for each type of message -----------------------------------------------------------------------------------

_DIGITS: Final = "f'\"{v}\"'"
_ONE: Final = {
    "double": "double_text(v)",
    "int64": _DIGITS,
    "uint64": _DIGITS,
    "fixed64": _DIGITS,
    "sfixed64": _DIGITS,
    "sint64": _DIGITS,
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
    if field.repeated and one == _DIGITS:
        return "'[\"' + digits(v) + '\"]'"
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
    yield "    return '{' + ','.join(p) + '}' if p else '{}'"


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
        if is_choice(message):
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
        "double_text": double_text,
        "digits": digits,
        "quote": quote,
        "base64_text": base64_text,
        "pairs": pairs,
        "TooDeepError": TooDeepError,
    }
    exec("\n".join(_source()), found)  # noqa: S102 - of our own words; a third faster than a walk over the fields by table
    return found


FUNCTIONS: Final = _made()
"""`NAME(message, depth) -> str` for each message, and `NAME_around_FIELD(message, depth) -> (head, tail)` for each field of
messages. They take official messages or lean ones; TooDeepError is raised for more than `depth` levels of AnyValue."""

pair_text: Final[Callable[[Any, int], str]] = FUNCTIONS["common_v1_KeyValue"]
"""The JSON of one KeyValue."""
