"""Single values of OTLP JSON to protobuf's wire form, each checked as protobuf's JSON mapping and OTLP demand.

The law: strict in types and ranges, liberal where the mapping is: integers as text or number, also with a fraction of zero or
an exponent, doubles as text, base64 of either alphabet. An id that is no hex becomes one byte, which every receiver rejects.
"""

import binascii
import re
from collections.abc import Callable
from decimal import Decimal
from struct import pack
from typing import Any, Final

from whence.otlp.schema import Kind
from whence.otlp.value import bytes_of_base64

WRONG_ID: Final = b"\0"
"""Stands for an id that cannot be bytes at all (an odd number of digits, another character): its record is rejected as one
whose id has a wrong length, rather than the whole request refused."""

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_LONGEST: Final = 400
_DIGITS: Final = 20
_ROUNDED: Final = float(1 << 63)
"""A JSON integer below -(2**63) is read as this float, negative: it must not pass for the least of 64 bits."""


class WrongError(Exception):
    """A value that its field cannot hold; the places are collected on the way out."""

    def __init__(self, expected: str, found: Any, *places: str) -> None:
        super().__init__(expected)
        self.expected = expected
        self.found = name_of(found)
        self.places = list(places)

    def within(self, place: str) -> "WrongError":
        """The same, seen from one level further out."""
        self.places.insert(0, place)
        return self

    def __str__(self) -> str:
        return f"{'.'.join(self.places) or 'the request'}: expected {self.expected}, not {self.found}"


def name_of(found: Any) -> str:
    """A JSON value in words; what has more inside is not looked into, which might be deep."""
    if isinstance(found, dict):
        return "an object"
    if isinstance(found, list):
        return "an array"
    return "null" if found is None else f"{type(found).__name__} {found!r:.60}"


# --- what JSON holds ------------------------------------------------------------------------------------------------------


def _whole(least: int, most: int, name: str) -> Callable[[Any, str], int]:
    expected = f"a whole number of {name}"

    def read(value: Any, place: str) -> int:
        kind = type(value)
        if kind is int:
            number = value
        elif kind is str:
            number = _whole_text(value, expected, place)
        elif kind is float and value.is_integer() and value > -_ROUNDED:
            number = int(value)
        else:
            raise WrongError(expected, value, place)
        if least <= number <= most:
            return int(number)
        raise WrongError(expected, value, place)

    return read


def _whole_text(text: str, expected: str, place: str) -> int:
    if len(text) <= _DIGITS and text.isascii() and text.removeprefix("-").isdigit():
        return int(text)
    if len(text) <= _LONGEST and _NUMBER.fullmatch(text):
        number = Decimal(text)
        if number.adjusted() <= _DIGITS and number == number.to_integral_value():
            return int(number)
    raise WrongError(expected, text, place)


def _enum(value: Any, place: str) -> int:
    if type(value) is str:
        raise WrongError("an enum as a number", value, place)
    return _int32(value, place)


def _double(value: Any, place: str) -> float:
    kind = type(value)
    if kind is float:
        return float(value)
    if kind is int or (kind is str and _NUMBER.fullmatch(value)):
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if number not in (float("inf"), float("-inf")):
            return number
    elif kind is str and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    raise WrongError("a number", value, place)


def _bool(value: Any, place: str) -> bool:
    if type(value) is bool:
        return value
    raise WrongError("true or false", value, place)


def _string(value: Any, place: str) -> bytes:
    if type(value) is not str:
        raise WrongError("text", value, place)
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise WrongError("text without lone surrogates", value, place) from None


def _id(value: Any, place: str) -> bytes:
    if type(value) is not str:
        raise WrongError("an id in hex", value, place)
    try:
        return binascii.unhexlify(value)
    except ValueError:
        return WRONG_ID


def _bytes(value: Any, place: str) -> bytes:
    try:
        return bytes_of_base64(value)
    except (TypeError, ValueError):
        raise WrongError("base64 text", value, place) from None


_int32: Final = _whole(-(1 << 31), (1 << 31) - 1, "32 bits")
_uint32: Final = _whole(0, (1 << 32) - 1, "32 bits, not negative")
_int64: Final = _whole(-(1 << 63), (1 << 63) - 1, "64 bits")
_uint64: Final = _whole(0, (1 << 64) - 1, "64 bits, not negative")

READ: Final[dict[Kind, Callable[[Any, str], Any]]] = {
    "double": _double, "bool": _bool, "string": _string, "id": _id, "bytes": _bytes, "enum": _enum,
    "int32": _int32, "sint32": _int32, "sfixed32": _int32, "uint32": _uint32, "fixed32": _uint32,
    "int64": _int64, "sint64": _int64, "sfixed64": _int64, "uint64": _uint64, "fixed64": _uint64,
}  # fmt: skip
"""`(value, place) -> value`: a JSON value as its field holds it (text as UTF-8). Raises WrongError."""


# --- how the wire has it --------------------------------------------------------------------------------------------------


def _written(number: int) -> bytes:
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


_SMALLS: Final = 1 << 12
_SMALL: Final = tuple(map(_written, range(_SMALLS)))
"""The varints of small numbers, which most are."""


def varint(number: int) -> bytes:
    """A number from 0 on, seven bits a byte, the lowest first."""
    return _SMALL[number] if number < _SMALLS else _written(number)


def counted(data: bytes) -> bytes:
    """Bytes after their number."""
    size = len(data)
    return (_SMALL[size] if size < _SMALLS else varint(size)) + data


def _signed(number: int) -> bytes:
    return varint(number & ((1 << 64) - 1))


def _zigzag(number: int) -> bytes:
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _packed(form: str) -> Callable[[Any], bytes]:
    return lambda number: pack(form, number)


WRITE: Final[dict[Kind, Callable[[Any], bytes]]] = {
    "double": _packed("<d"), "bool": varint, "string": counted, "id": counted, "bytes": counted, "enum": _signed,
    "int32": _signed, "int64": _signed, "uint32": varint, "uint64": varint, "sint32": _zigzag, "sint64": _zigzag,
    "fixed32": _packed("<I"), "fixed64": _packed("<Q"), "sfixed32": _packed("<i"), "sfixed64": _packed("<q"),
}  # fmt: skip
"""The bytes of what READ gives, without its tag."""

_TYPES: Final = {"double": 1, "fixed64": 1, "sfixed64": 1, "fixed32": 5, "sfixed32": 5}
_COUNTED: Final = frozenset({"string", "id", "bytes", "message", "pair"})


def tag(number: int, kind: Kind, *, packed: bool = False) -> bytes:
    """What stands before a field on the wire."""
    return varint(number << 3 | (2 if packed or kind in _COUNTED else _TYPES.get(kind, 0)))


def can_be_packed(kind: Kind) -> bool:
    """Whether a repeated field of this kind is one run of bytes, as proto3 has it for numbers."""
    return kind not in _COUNTED
