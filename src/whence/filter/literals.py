"""A literal as it was written, and the value it stands for beside a field of a certain kind.

The law: pure. Raises ValueError saying what was expected instead; the builder adds the place.
"""

import math
import re
from dataclasses import dataclass
from typing import Final, Literal

from whence.errors import DataError
from whence.event.flat import format_time, parse_time
from whence.event.kinds import Severity
from whence.filter import quantities
from whence.filter.limits import INTEGERS
from whence.filter.names import Kind, kind_of
from whence.filter.tree import Literal_, Path

_WHOLE: Final = re.compile(r"[+-]?\d+")
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_ALSO: Final = {"WARNING": Severity.WARN, "CRITICAL": Severity.FATAL}


@dataclass(frozen=True, slots=True)
class Written:
    """A literal: what form it has, its text without quotes, where it stands, and for `now` the time in ns."""

    form: Literal["text", "bare", "number", "quantity", "time", "now", "boolean"]
    text: str
    at: int
    ns: int = 0


def value_for(path: Path, spelled: str, written: Written) -> Literal_:
    """The value of a literal that is compared with what stands at `path`, which the filter spells `spelled`."""
    match kind_of(path):
        case Kind.NUMBER:
            return _number_for(spelled, written)
        case Kind.TIME:
            return _time_for(spelled, written)
        case Kind.DURATION:
            return _duration_for(spelled, written)
        case Kind.SEVERITY:
            return _severity_for(written)
        case Kind.ANY:
            return _any_for(path.keys[-1], written)
        case _:
            return written.text


def number(text: str) -> int | float:
    """A whole number of 64 bits, or the nearest floating-point number. Raises ValueError where that is infinite."""
    if _WHOLE.fullmatch(text) and len(text) <= 20 and int(text) in INTEGERS:
        return int(text)
    if not math.isfinite(value := float(text)):
        raise ValueError("a number below 1.8e308")
    return value


def count(text: str) -> int:
    """A whole number of things. Raises ValueError for any other."""
    if not text.isdigit() or len(text) > 12:
        raise ValueError("a whole number such as 10")
    return int(text)


def span(text: str) -> int:
    """A length of time in ns, at least one. Raises ValueError for any other quantity."""
    ns = quantities.duration(text)
    if not ns or ns not in INTEGERS:
        raise ValueError("a duration such as 250ms, 10s or 1h30m")
    return ns


def _number_for(spelled: str, written: Written) -> int | float:
    if written.form == "number" or (written.form == "text" and _NUMBER.fullmatch(written.text)):
        return number(written.text)
    raise ValueError(f"a number: {spelled} is one")


def _time_for(spelled: str, written: Written) -> int:
    if written.form == "now":
        return written.ns
    try:
        if written.form in ("text", "time"):
            ns = parse_time(written.text.replace(" ", "T", 1))
        elif written.form == "number" and _WHOLE.fullmatch(written.text):
            ns = int(written.text[:30])
        else:
            raise ValueError
    except (ValueError, DataError, OverflowError):
        raise ValueError(f"a time such as 2026-01-20T10:00, now or now-5m: {spelled} is a time") from None
    if ns not in INTEGERS:
        raise ValueError("a time between the years 1677 and 2262")
    return ns


def _duration_for(spelled: str, written: Written) -> int:
    ns = quantities.duration(written.text) if written.form in ("quantity", "text") else None
    if written.form == "number" and _WHOLE.fullmatch(written.text) and (spelled.endswith("_ns") or written.text == "0"):
        ns = int(written.text[:30])
    if ns is None or ns not in INTEGERS:
        raise ValueError(f"a duration with its unit, such as 250ms or 1h30m: {spelled} is a duration")
    return ns


def _severity_for(written: Written) -> int:
    name = written.text.upper()
    if name in Severity.__members__:
        return Severity[name].value
    if name in _ALSO:
        return _ALSO[name].value
    if written.text.isascii() and written.text.isdigit() and len(written.text) < 10:
        return int(written.text)
    raise ValueError("a severity: TRACE, DEBUG, INFO, WARN, ERROR, FATAL, or its number")


def _any_for(key: str, written: Written) -> Literal_:
    match written.form:
        case "number":
            return number(written.text)
        case "boolean":
            return written.text.lower() == "true"
        case "quantity":
            return _quantity(key, written.text)
        case "now":
            return format_time(written.ns)
        case _:
            return written.text


def _quantity(key: str, text: str) -> int | float:
    if (ns := quantities.duration(text)) is not None:
        value = quantities.in_unit_of(key, ns)
    elif (size := quantities.size(text)) is not None:
        value = size
    else:
        raise ValueError("a quantity such as 250ms, 1h30m, 10KB or 64MiB, or quotes around a text")
    return value if isinstance(value, float) or value in INTEGERS else float(value)
