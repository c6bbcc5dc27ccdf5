"""OTLP JSON to protobuf bytes, by functions made for each type of message out of the schema.

The law: what comes out is canonical: fields in the order of their numbers, each once, numbers packed, defaults left out.
Unknown names are ignored at every level, as OTLP demands, `snake_case` among them; null is absent. What a field cannot hold
is refused with its place.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import orjson

from whence.errors import DataError
from whence.otlp.decode import signal_of
from whence.otlp.parse import parse_line
from whence.otlp.schema import LEVELS, MESSAGES, Field, Message, Signal, is_choice
from whence.otlp.wire_scalars import READ, WRITE, WrongError, can_be_packed, counted, tag, varint

_LEVELS: Final = 101
"""Messages inside each other that protobuf readers take, the outermost counted."""
_KEPT: Final = 8192
_SHORT: Final = 120

PLAIN: Final = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
"""What is no plain value is not for orjson to decide about."""

Writer = Callable[[Any, int], bytes]


def protobuf_of_tree(signal: Signal, tree: Any) -> bytes:
    """An Export*ServiceRequest of a tree. Raises DataError with the place.

    What Python has beside JSON's own types and JSON has a form for (a tuple, an Enum, a UUID) is taken as that, as in a line.
    """
    try:
        return protobuf_of_object(signal, tree)
    except DataError:
        plain = _of_json_types(tree)
        if plain is None:
            raise
        return protobuf_of_object(signal, plain)


def _of_json_types(tree: Any) -> Any:
    """A tree of JSON's own types; None where there is no such, or null in it: a number that JSON has no form for becomes that."""
    try:
        text = orjson.dumps(tree, option=PLAIN)
    except orjson.JSONEncodeError:
        return None
    return None if b"null" in text else orjson.loads(text)


def protobuf_of_object(signal: Signal, tree: Any) -> bytes:
    """An Export*ServiceRequest of what a JSON body was read as. Raises DataError with the place."""
    try:
        data: bytes = FUNCTIONS[LEVELS[signal].data.name](tree, _LEVELS)
    except WrongError as cause:
        raise DataError(f"cannot read OTLP JSON at {cause}; see the OTLP specification's JSON encoding") from None
    return data


def protobuf_of_lines(signal: Signal, lines: Iterable[bytes]) -> bytes:
    """One Export*ServiceRequest of lines of an archive, ours or another writer's. Raises DataError, also for another signal."""
    written = []
    for line in lines:
        tree = parse_line(line)
        if type(tree) is not dict or signal_of(tree) != signal:
            raise DataError(f"cannot send a line as {signal}: it holds none; keep signals apart")
        written.append(protobuf_of_object(signal, tree))
    return b"".join(written)


# --- lists ----------------------------------------------------------------------------------------------------------------


def _list(value: Any, place: str) -> list[Any]:
    if type(value) is list:
        return value
    raise WrongError("an array", value, place)


def _inside(write: Writer, value: Any, room: int, place: str) -> bytes:
    """A message in a field, after its number of bytes."""
    try:
        return counted(write(value, room))
    except WrongError as cause:
        raise cause.within(place) from None


def _each(write: Writer, values: Any, room: int, place: str, before: bytes) -> bytes:
    """A field of several messages."""
    written: list[bytes] = []
    for n, value in enumerate(_list(values, place)):
        try:
            written += (before, counted(write(value, room)))
        except WrongError as cause:
            raise cause.within(f"{place}[{n}]") from None
    return b"".join(written)


def _numbers(read: Callable[[Any, str], Any], write: Callable[[Any], bytes], values: Any, place: str) -> bytes:
    """A field of several numbers, packed."""
    return b"".join([write(read(value, place)) for value in _list(values, place)])


def _texts(
    read: Callable[[Any, str], Any], write: Callable[[Any], bytes], values: Any, place: str, before: bytes
) -> bytes:
    """A field of several texts."""
    return b"".join([before + write(read(value, place)) for value in _list(values, place)])


_seen: dict[tuple[str, str, str], bytes] = {}
"""The bytes of attributes seen lately whose value JSON has as text, by key, the value's field and the text."""


def _pairs(values: Any, room: int, place: str, before: bytes) -> bytes:
    """A field of key-value pairs, of which most have been seen before."""
    written: list[bytes] = []
    for n, pair in enumerate(_list(values, place)):
        data = None
        if type(pair) is dict and len(pair) == 2 and type(value := pair.get("value")) is dict and len(value) == 1:
            ((member, one),) = value.items()
            key = pair.get("key")
            if type(key) is str and type(one) is str and room > 2:
                data = _seen.get((key, member, one)) or _new_pair(key, member, one)
            elif type(key) is str and type(one) is float and member == "doubleValue" and room > 2:
                data = _join(key, _DOUBLE + write_double(one))
        if data is None:
            try:
                data = counted(FUNCTIONS["common_v1_KeyValue"](pair, room))
            except WrongError as cause:
                raise cause.within(f"{place}[{n}]") from None
        written += (before, data)
    return b"".join(written)


def _new_pair(key: str, member: str, one: str) -> bytes | None:
    """The bytes of an attribute as nearly all are: a text, or an integer in digits. None for any other."""
    try:
        if member == "stringValue":
            data = _join(key, _TEXT + counted(one.encode()))
        elif member == "intValue" and len(one) < _DIGITS and one.isascii() and one.isdigit():
            data = _join(key, _WHOLE + varint(int(one)))
        else:
            return None
    except UnicodeEncodeError:
        return None
    if len(data) <= _SHORT:
        if len(_seen) >= _KEPT:
            _seen.clear()
        _seen[key, member, one] = data
    return data


def _join(key: str, value: bytes) -> bytes:
    """A KeyValue, after its number of bytes."""
    return counted((_KEY + counted(key.encode()) if key else b"") + _VALUE + counted(value))


_DIGITS: Final = 19
"""Any number of fewer digits is one of 64 bits."""
_KEY: Final = tag(1, "string")
_VALUE: Final = tag(2, "message")
_TEXT: Final = tag(1, "string")
_WHOLE: Final = tag(3, "int64")
_DOUBLE: Final = tag(4, "double")
"""KeyValue's fields 1 and 2, and AnyValue's 1, 3 and 4."""
write_double: Final = WRITE["double"]


# --- functions for each type of message -----------------------------------------------------------------------------------


def _begin(name: str) -> Iterator[str]:
    yield f"def {name}(o, room):"
    yield "    if type(o) is not dict:"
    yield "        raise WrongError('an object', o)"
    yield "    if room < 1:"
    yield "        raise WrongError('at most 100 messages inside each other', o)"


def _bytes_of(field: Field) -> str:
    """The source of what a field of the JSON value `v` is on the wire, tag included."""
    before = tag(field.number, field.kind)
    if field.repeated:
        if field.kind == "pair":
            return f"pairs(v, room - 1, '{field.json}', {before!r})"
        if field.of:
            return f"each({field.of}, v, room - 1, '{field.json}', {before!r})"
        both = f"read_{field.kind}, write_{field.kind}, v, '{field.json}'"
        if can_be_packed(field.kind):
            return f"numbers({both})"
        return f"texts({both}, {before!r})"
    if field.of:
        return f"{before!r} + inside({field.of}, v, room - 1, '{field.json}')"
    return f"{before!r} + write_{field.kind}(v)"


def _clause(field: Field) -> Iterator[str]:
    yield f"if (v := get('{field.json}')) is not None:"
    if field.repeated and not field.of and can_be_packed(field.kind):
        yield f"    if v := {_bytes_of(field)}:"
        yield f"        add({tag(field.number, field.kind, packed=True)!r} + counted(v))"
    elif field.of or field.repeated:
        yield f"    add({_bytes_of(field)})"
    else:
        yield f"    v = read_{field.kind}(v, '{field.json}')"
        if field.presence:
            yield f"    add({_bytes_of(field)})"
        else:
            yield "    if v or str(v) == '-0.0':" if field.kind == "double" else "    if v:"
            yield f"        add({_bytes_of(field)})"


def _plain(message: Message) -> Iterator[str]:
    yield from _begin(message.name)
    yield "    get = o.get"
    yield "    p = []"
    yield "    add = p.append"
    for oneof in sorted({field.oneof for field in message.fields if field.oneof}):
        names = [field.json for field in message.fields if field.oneof == oneof]
        yield f"    if sum([get(name) is not None for name in {names!r}]) > 1:"
        yield f"        raise WrongError('one of {', '.join(names)}', o)"
    for field in message.fields:
        yield from (f"    {line}" for line in _clause(field))
    yield "    return b''.join(p)"


def _choice(message: Message) -> Iterator[str]:
    """AnyValue: one of its fields, or none."""
    yield from _begin(message.name)
    yield "    found = b''"
    yield "    for name, v in o.items():"
    yield "        if v is None:"
    yield "            continue"
    for field in message.fields:
        yield f"        if name == '{field.json}':"
        yield "            if found:"
        yield "                raise WrongError('one value', o)"
        if not field.of:
            yield f"            v = read_{field.kind}(v, '{field.json}')"
        yield f"            found = {_bytes_of(field)}"
    yield "    return found"


def _made() -> dict[str, Any]:
    lines: list[str] = []
    for message in MESSAGES.values():
        lines += _choice(message) if is_choice(message) else _plain(message)
    found: dict[str, Any] = {
        "WrongError": WrongError, "counted": counted, "inside": _inside, "each": _each, "pairs": _pairs,
        "numbers": _numbers, "texts": _texts,
        **{f"read_{kind}": read for kind, read in READ.items()},
        **{f"write_{kind}": write for kind, write in WRITE.items()},
    }  # fmt: skip
    exec("\n".join(lines), found)  # noqa: S102 - of our own words, as in message_text
    return found


FUNCTIONS: Final = _made()
"""`NAME(object, room) -> bytes` for each message; `room`: messages that may still be inside each other."""
