"""Builders for protobuf bytes that no SDK sends: the same message laid out otherwise, and bytes that were changed."""

import random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from whence.otlp.wire_scalars import counted, varint


def mutant(data: bytes, chance: random.Random) -> bytes:
    """The same bytes, cut, with some changed, put in, taken out or copied."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(6):
            case 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                changed[at:at] = chance.randbytes(chance.randint(1, 3))
            case 2:
                del changed[at : at + chance.randint(1, 4)]
            case 3:
                other = chance.randrange(len(changed) + 1)
                changed[at:at] = changed[other : other + chance.randint(1, 8)]
            case 4 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 5 if at < len(changed):
                changed[at] = (changed[at] + chance.choice((-1, 1, 8, -8))) % 256
    if chance.random() < 0.15:
        del changed[chance.randrange(len(changed) + 1) :]
    return bytes(changed)


def other_orders(message: Any, chance: random.Random) -> bytes:
    """A message as another writer might lay it out: fields shuffled, messages in parts, values twice, unknown fields between."""
    parts: list[bytes] = []
    for field, value in message.ListFields():
        parts += _field(field, value, chance)
    if chance.random() < 0.3:
        parts.append(_unknown(chance))
    if chance.random() < 0.7:
        parts = _shuffled(parts, chance)
    return b"".join(parts)


def _shuffled(parts: list[bytes], chance: random.Random) -> list[bytes]:
    """Parts in another order. What it means may change where a field has several: so be it, both cores read the same bytes."""
    shuffled = list(parts)
    chance.shuffle(shuffled)
    return shuffled


def _field(field: FieldDescriptor, value: Any, chance: random.Random) -> list[bytes]:
    values = list(value) if field.is_repeated else [value]
    if field.message_type is not None:
        before = varint(field.number << 3 | 2)
        written = [other_orders(one, chance) for one in values]
        if not field.is_repeated and chance.random() < 0.4:  # in parts, which are merged
            written.append(written[0] if chance.random() < 0.5 else b"")
        return [before + counted(one) for one in written]
    alone = [_alone(field, one) for one in values]
    if not field.is_repeated and chance.random() < 0.2:
        alone.append(alone[0])
    return alone if chance.random() < 0.5 or not field.is_repeated else [_as_written(field, values)]


def _alone(field: FieldDescriptor, value: Any) -> bytes:
    """One value as a field of its own, numbers unpacked."""
    written = _as_written(field, [value])
    if not field.is_repeated or field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        return written
    head = varint(field.number << 3 | 2)
    inside = written[len(head) :]
    size = 1 if inside[0] < 128 else 2  # a number of ten bytes at most
    return varint(field.number << 3 | _WIRE.get(field.type, 0)) + inside[size:]


_WIRE = {
    FieldDescriptor.TYPE_DOUBLE: 1, FieldDescriptor.TYPE_FIXED64: 1, FieldDescriptor.TYPE_SFIXED64: 1,
    FieldDescriptor.TYPE_FIXED32: 5, FieldDescriptor.TYPE_SFIXED32: 5,
}  # fmt: skip


def _as_written(field: FieldDescriptor, values: list[Any]) -> bytes:
    """The field as protobuf's own writer has it."""
    message = field.containing_type._concrete_class()
    if field.is_repeated:
        getattr(message, field.name).extend(values)
    else:
        setattr(message, field.name, values[0])
    return bytes(message.SerializeToString())


def _unknown(chance: random.Random) -> bytes:
    """A field that no schema knows, of any wire type, groups inside groups among them; or a known number with another type."""
    number = chance.choice((1, 2, 7, 31, 400, 1 << 20))
    match chance.randrange(5):
        case 0:
            return varint(number << 3) + varint(chance.randrange(1 << 60))
        case 1:
            return varint(number << 3 | 1) + chance.randbytes(8)
        case 2:
            return varint(90 << 3 | 2) + counted(chance.randbytes(5))
        case 3:
            inside = _unknown(chance) if chance.random() < 0.5 else b""
            return varint(number << 3 | 3) + inside + varint(number << 3 | 4)
        case _:
            return varint(number << 3 | 5) + chance.randbytes(4)


def text_mutant(data: bytes, chance: random.Random) -> bytes:
    """JSON text, changed: bytes as in `mutant`, or a piece of JSON put in the place of another."""
    if chance.random() < 0.4:
        return mutant(data, chance)
    changed = data
    for _ in range(chance.randint(1, 2)):
        places = [at for at, byte in enumerate(changed) if byte in b'{[":,0']
        if not places:
            return mutant(changed, chance)
        at = chance.choice(places)
        end = at + chance.choice((0, 1, 1, 2, 5))
        changed = changed[:at] + chance.choice(_PIECES) + changed[end:]
    return changed


_PIECES = (
    b"",
    b" ",
    b"\t\n\r",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"[null]",
    b"0",
    b"-0",
    b"-0.0",
    b"1e2",
    b"1.0",
    b"1e999",
    b"1E-400",
    b"007",
    b"18446744073709551615",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"99999999999999999999999",
    b"0.1e-7",
    b"NaN",
    b"Infinity",
    b'"NaN"',
    b'"-Infinity"',
    b'"1e2"',
    b'"12"',
    b'"-12"',
    b'"-0"',
    b'"1.0"',
    b'"-"',
    b'""',
    b'"abc"',
    b'"ABCDEF0123456789"',
    b'"/+8="',
    b'"_-8"',
    b'"aa=a"',
    b'"a"',
    b'"ab=="',
    b'"\\u0031"',
    b'"\\ud83d\\ude00"',
    b'"\\ud800"',
    b'"\xc3\xa9"',
    b'"\xff"',
    b"\x00",
    b"\xef\xbb\xbf",
    b',"traceId":"00"',
    b'"traceId":null,',
    b'"key":"k",',
    b'"key":',
    b'"\\u006bey":"x",',
    b'"unknown":[{"a":[1.5,"x"]}],',
    b'"stringValue":"s",',
    b'"intValue":5,',
    b'"kvlistValue":{"values":[]},',
    b'"arrayValue":{},',
    b"[[",
    b"]]",
    b"}}",
    b"{{",
)
