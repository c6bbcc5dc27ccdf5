"""Sizes and durations as people write them: `500MB`, `64MiB`, `250ms`, `1h 30m`.

The law: pure.
"""

import re
from typing import Any, Final

BYTES: Final = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "tib": 1 << 40,
}
SECONDS: Final = {
    "": 1.0,
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
}
_NUMBER: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)")
_LONGEST: Final = 100


def parse_size(value: Any) -> int:
    """Bytes: a number as it is, text with its unit (`KB` is 1000, `KiB` 1024). Raises ValueError saying what was expected."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    parts = _parts(value)
    if len(parts) != 1 or parts[0][1] not in BYTES:
        raise ValueError("a size such as 500MB or 64MiB")
    number, unit = parts[0]
    whole, _, fraction = number.partition(".")
    scaled: int = int(whole or 0) * BYTES[unit] + int(fraction or 0) * BYTES[unit] // 10 ** len(fraction)
    if scaled >= 1 << 63:
        raise ValueError("a size below 8 EiB")
    return scaled


def parse_duration(value: Any) -> float:
    """Seconds: a number as it is, text with its units added up. Raises ValueError saying what was expected."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    parts = _parts(value)
    if (
        not parts
        or any(unit not in SECONDS for _, unit in parts)
        or (len(parts) > 1 and any(not unit for _, unit in parts))
    ):
        raise ValueError("a duration such as 250ms, 30s or 1h")
    return sum(float(number) * SECONDS[unit] for number, unit in parts)


def _parts(value: Any) -> list[tuple[str, str]]:
    """`1h 30m` as its numbers and units; nothing where it is anything else."""
    if not isinstance(value, str) or len(value) > _LONGEST or not value.isascii():
        return []
    text = value.strip().lower()
    parts = []
    at = 0
    while at < len(text):
        found = _NUMBER.match(text, at)
        if found is None:
            return []
        parts.append((found[1], found[2]))
        at = found.end()
        while at < len(text) and text[at] == " ":
            at += 1
    return parts
