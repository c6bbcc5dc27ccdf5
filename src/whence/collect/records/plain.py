"""A value turned into another kind: how numbers, texts and truths become one another, and what of a value is hashed.

The law: pure, and never raises: None where there is no such value.
"""

import struct
from typing import Any

import orjson

from whence.otlp.value import INT_MAX, INT_MIN


def bytes_of(value: Any) -> bytes:
    """What of a value is hashed: text in UTF-8, numbers in eight bytes, anything else as JSON."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return bytes([value])
    if isinstance(value, int):
        return struct.pack("<q", value) if INT_MIN <= value <= INT_MAX else str(value).encode()
    if isinstance(value, float):
        return struct.pack("<d", value)
    return orjson.dumps(value, default=repr, option=orjson.OPT_SORT_KEYS)


def as_int(value: Any) -> int | None:
    """A whole number of 64 bits, of a number (towards zero), a decimal text or a truth; None where it is none."""
    try:
        number = (
            int(value) if isinstance(value, (bool, int, float)) else int(value, 10) if isinstance(value, str) else None
        )
    except (ValueError, OverflowError):
        return None
    return number if number is not None and INT_MIN <= number <= INT_MAX else None


def as_double(value: Any) -> float | None:
    """A floating-point number, of a number, a text or a truth; None where it is none."""
    try:
        return float(value) if isinstance(value, (bool, int, float, str)) else None
    except (ValueError, OverflowError):
        return None


def as_string(value: Any) -> str:
    """Text of any value: truths as JSON has them, lists and maps as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return str(int(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return orjson.dumps(value, default=as_string).decode()
