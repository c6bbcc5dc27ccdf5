"""Marks that a line of an archive bears: texts in its bytes, times, members. Asked of the bytes, without reading the JSON.

The law: pure. Bytes are compared as they stand, so whoever wants a mark must know every way in which it can be spelled; a line
that hides what it says (`is_veiled`) bears every mark.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from whence.event import names

_TIME: Final = re.compile(rb'imeUnixNano"(?::"([1-9][0-9]{0,19})")?')
"""A member that is a time, and its digits where they stand as we write them."""
_HIDING: Final = re.compile(rb"\\(?:/|u(?!00(?:0[0-7bBeEfF]|1)))")
"""An escape that a character may hide behind which we would write otherwise."""
PROJECTION: Final = names.PROJECTION.encode()
"""By which a line says things that do not stand in it: an event's values as JSON text."""
FOLDING: Final = ("\u0130".encode(), "\u0131".encode(), "\u212a".encode())
"""Letters that become ASCII ones where case is minded no more."""


@dataclass(frozen=True, slots=True)
class Text:
    """These bytes stand in the line; `folded`: ASCII letters of either case."""

    text: bytes
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Unless:
    """The bytes `text` stand in the line, and behind them none of `tails`."""

    text: bytes
    tails: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Times:
    """A time in the line is within these bounds, in nanoseconds; `low` is above 0."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class All:
    """Every part is there."""

    parts: "tuple[Mark, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of the parts is there."""

    parts: "tuple[Mark, ...]"


Mark = Text | Unless | Times | All | AnyOf
Test = Callable[[bytes, bytes], bool]
"""Asked of a line and of the same line folded."""


def tester(mark: Mark) -> Callable[[bytes], bool]:
    """Whether a line bears a mark, or hides whether it does."""
    test = _test(mark)
    if not _is_folded(mark):
        return lambda line: test(line, b"") or is_veiled(line)
    return lambda line: test(line, line.lower()) or is_veiled(line) or _is_folding(line)


def is_veiled(line: bytes) -> bool:
    """Whether a line says something that does not stand in its bytes: behind an escape, or as the text of a projection."""
    return (b"\\" in line and _HIDING.search(line) is not None) or PROJECTION in line


def _is_folding(line: bytes) -> bool:
    return not line.isascii() and any(letter in line for letter in FOLDING)


def _is_folded(mark: Mark) -> bool:
    match mark:
        case All(parts) | AnyOf(parts):
            return any(map(_is_folded, parts))
        case Text(_, folded):
            return folded
    return False


def _test(mark: Mark) -> Test:
    match mark:
        case Text(text, folded):
            return (lambda line, low: text in low) if folded else (lambda line, low: text in line)
        case Unless(text, tails):
            return lambda line, low: _has_other(line, text, tails)
        case Times(low, high):
            return lambda line, _: _has_time(line, low, high)
        case All(parts):
            tests = [_test(part) for part in parts]
            return lambda line, low: all(test(line, low) for test in tests)
        case AnyOf(parts):
            tests = [_test(part) for part in parts]
            return lambda line, low: any(test(line, low) for test in tests)


def _has_other(line: bytes, text: bytes, tails: tuple[bytes, ...]) -> bool:
    at = line.find(text)
    while at >= 0:
        at += len(text)
        if not line.startswith(tails, at):
            return True
        at = line.find(text, at)
    return False


def _has_time(line: bytes, low: int, high: int) -> bool:
    return any(not digits or low <= int(digits) <= high for digits in _TIME.findall(line))
