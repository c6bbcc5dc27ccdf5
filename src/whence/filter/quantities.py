"""Durations and sizes in a filter, exact to the nanosecond and byte: `250ms`, `1h30m`, `10KB`.

The law: pure, and whole numbers only; `event/units.py` reads the same units for settings, as fractions of a second.
"""

import re
from decimal import Decimal, localcontext
from typing import Final

from whence.event.units import BYTES

NANOSECONDS: Final = {
    "w": 604_800_000_000_000,
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
"""Units of time, largest first."""
SUFFIXES: Final = {"_ns": 1, "_us": 1_000, "_ms": 1_000_000}
"""How a key says the unit its number is in; others are taken to be in seconds, as OpenTelemetry's are."""
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)([a-z]+)")


def duration(text: str) -> int | None:
    """Nanoseconds of `250ms` or `1h30m`; None where a unit is not one of time."""
    return _total(text, NANOSECONDS)


def size(text: str) -> int | None:
    """Bytes of `10KB` (1000) or `64KiB` (1024); None where a unit is not one of size."""
    return _total(text, {unit: factor for unit, factor in BYTES.items() if unit})


def _total(text: str, units: dict[str, int]) -> int | None:
    parts = _PART.findall(text.lower())
    if not parts or any(unit not in units for _, unit in parts):
        return None
    with localcontext(prec=100):
        return int(sum(Decimal(number[:60]) * units[unit] for number, unit in parts))


def in_unit_of(key: str, ns: int) -> int | float:
    """A duration as the number that a value under this key would be: `payload.duration_ms` counts milliseconds."""
    unit = next((unit for suffix, unit in SUFFIXES.items() if key.lower().endswith(suffix)), NANOSECONDS["s"])
    return ns // unit if ns % unit == 0 else ns / unit


def duration_text(ns: int) -> str:
    """The shortest text that `duration` reads back: `90m`."""
    for unit, factor in NANOSECONDS.items():
        if ns % factor == 0:
            return f"{ns // factor}{unit}"
    raise AssertionError("one nanosecond divides every whole number")
