"""What Jaeger's HTTP APIs write in query parameters: durations, ids, attributes and numbers, as values of ours.

The law: pure. What cannot be read is a BadQuery that names the parameter.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any, Final

import orjson

from whence.errors import DataError
from whence.event.flat import parse_time
from whence.serve.jaeger.asked import BadQuery

_UNITS: Final = {
    "ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": 1_000_000_000,
    "m": 60_000_000_000, "h": 3_600_000_000_000,
}  # fmt: skip
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_HEX: Final = re.compile(r"[0-9a-fA-F]{1,32}")
_LONG: Final = 1 << 63


def duration_of(name: str, text: str) -> int:
    """Nanoseconds of `1.2s`, `100ms` or `1h30m`; of no text, 0. Source: Go's time.ParseDuration."""
    if text in ("", "0"):
        return 0
    sign, rest = (-1, text[1:]) if text[0] == "-" else (1, text.removeprefix("+"))
    parts = list(_PART.finditer(rest))
    if not parts or "".join(part.group() for part in parts) != rest:
        raise BadQuery(f"unable to parse param '{name}': {text[:60]!r} is no duration such as 1.2s or 100ms")
    return sign * round(sum(float(part[1]) * _UNITS[part[2]] for part in parts))


def whole_of(name: str, text: str, otherwise: int = 0) -> int:
    """A whole number; of no text, what is given."""
    if not text:
        return otherwise
    if not _WHOLE.fullmatch(text):
        raise BadQuery(f"unable to parse param '{name}': {text[:60]!r} is no whole number")
    return int(text)


def moment_of(name: str, text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time; of no text, 0."""
    if not text:
        return 0
    try:
        return parse_time(text)
    except (DataError, OverflowError, ValueError):
        raise BadQuery(f"malformed parameter {name}: {text[:60]!r} is no time such as 2026-01-31T12:00:00Z") from None


def truth_of(name: str, text: str) -> bool:
    """Yes or no; of no text, no. Source: Go's strconv.ParseBool."""
    if text in ("", "0", "f", "F", "false", "False", "FALSE"):
        return False
    if text in ("1", "t", "T", "true", "True", "TRUE"):
        return True
    raise BadQuery(f"unable to parse param '{name}': {text[:60]!r} is neither true nor false")


def trace_of(text: str) -> str:
    """The id of a trace, in 32 digits of hex: given in hex, its first zeros left out or not, or in base64.

    Grafana sends a space that was pasted with it as `+`.
    """
    if _HEX.fullmatch(text.strip(" +")):
        return text.strip(" +").lower().zfill(32)
    try:
        data = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(text) > 24 or len(data) not in (8, 16):
        raise BadQuery(f"cannot parse {text[:60]!r}: expected the trace's id, 1 to 32 digits of hex")
    return data.hex().zfill(32)


def attributes_of(name: str, texts: Iterable[str]) -> dict[str, str]:
    """The attributes of JSON objects whose values are texts."""
    found: dict[str, str] = {}
    for text in texts:
        try:
            value: Any = orjson.loads(text)
        except orjson.JSONDecodeError as cause:
            raise BadQuery(f"malformed '{name}' parameter, cannot unmarshal JSON: {cause}") from None
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise BadQuery(
                f'malformed \'{name}\' parameter: expected a JSON object whose values are texts, such as {{"retries":"3"}}'
            )
        found |= value
    return found


def ns_of(name: str, text: str, unit: int) -> int:
    """Nanoseconds of a whole number of units; of no text, 0. What 64 bits cannot hold is cut to what they can."""
    return min(max(whole_of(name, text) * unit, -_LONG), _LONG - 1)
