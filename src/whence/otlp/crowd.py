"""Whether a request holds more than memory is worth: bytes that are few on the wire and gigabytes as objects.

The law: a look from outside, before any parser runs; what is broken is left to the parser, which says it better.
"""

from typing import Final

from whence.errors import DataError
from whence.otlp.schema import LEVELS, MESSAGES, Field, Signal

_SMALL: Final = 1 << 20
"""Bytes that cannot become too much: half a million of the smallest messages."""
_MESSAGES: Final = 2_000_000
"""Resources, scopes, records and data points in one request. Of 64 MiB, each then has 33 bytes, and a span's ids alone are 28."""
_BRACKETS: Final = 10_000_000
"""Objects and arrays in one request in JSON, brackets in its text counted too: of 64 MiB, one in 7 bytes."""


def _levels(signal: Signal) -> tuple[frozenset[int], ...]:
    """The numbers of the fields that hold the next level, from the outermost message inwards."""
    data, resource, scope, record = LEVELS[signal]
    found = [frozenset({_holding(message.fields)}) for message in (data, resource, scope)]
    if signal == "metrics":
        kinds = [field for field in record.fields if field.oneof]
        found.append(frozenset(field.number for field in kinds))
        found.append(frozenset(_holding(MESSAGES[field.of].fields) for field in kinds))
    return tuple(found)


def _holding(fields: tuple[Field, ...]) -> int:
    return next(field.number for field in fields if field.repeated and field.of)


_WANTED: Final[dict[Signal, tuple[frozenset[int], ...]]] = {signal: _levels(signal) for signal in LEVELS}


def check_protobuf(signal: Signal, data: bytes) -> None:
    """Raises DataError for more messages than a request may hold."""
    if len(data) <= _SMALL:
        return
    try:
        left = _left(data, 0, len(data), _WANTED[signal], _MESSAGES)
    except (IndexError, KeyError):
        return
    if left < 0:
        raise _too_many(signal, data, f"{_MESSAGES:,} resources, scopes, records and data points")


def check_json(signal: Signal, data: bytes) -> None:
    """Raises DataError for more objects and arrays than a request may hold."""
    if len(data) > _SMALL and data.count(b"{") + data.count(b"[") > _BRACKETS:
        raise _too_many(signal, data, f"{_BRACKETS:,} objects and arrays")


def _too_many(signal: Signal, data: bytes, what: str) -> DataError:
    return DataError(f"cannot read {len(data)} bytes as OTLP {signal}: more than {what}; send smaller requests")


def _left(data: bytes, at: int, end: int, wanted: tuple[frozenset[int], ...], left: int) -> int:
    """How many of so many messages are left after those of these levels between two places; below 0 it stops counting.

    What is in a group counts too. Raises IndexError or KeyError for what is no protobuf.
    """
    here, deeper = wanted[0], wanted[1:]
    while at < end and left >= 0:
        key, at = (data[at], at + 1) if data[at] < 128 else _varint(data, at)
        kind = key & 7
        if kind == 2:
            size, at = (data[at], at + 1) if data[at] < 128 else _varint(data, at)
            if key >> 3 in here:
                left -= 1
                if deeper and size:
                    left = _left(data, at, min(at + size, end), deeper, left)
            at += size
        elif kind == 0:
            _, at = _varint(data, at)
        else:
            at += _FIXED[kind]
    return left


_FIXED: Final = {1: 8, 3: 0, 4: 0, 5: 4}
"""Bytes behind a tag of 64 bits, the beginning of a group, its end, and 32 bits."""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
    raise IndexError("a number that does not end")
