"""An event's one JSON form, the same from the command line, HTTP, streams and exports.

The law: pure, and lossless both ways: `from_flat(to_flat(e)) == e` for plain values, save bytes and non-finite numbers, which
JSON can only show as text.
"""

import base64
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, get_args

from whence.errors import DataError
from whence.event.kinds import Severity
from whence.event.model import Event, Signal

ORDER: Final = (
    "id", "type", "kind", "source", "time", "observed_time", "run", "seq", "elapsed_ns", "severity", "agent", "turn",
    "task", "stage", "status", "correlation", "description", "caused_by", "payload", "attributes", "resource", "scope",
    "schema", "trace_id", "span_id", "parent_span_id", "duration_ns", "dropped", "signal",
)  # fmt: skip
"""The fields in the order they are shown."""

_NS: Final = 1_000_000_000
_TEXT, _WHOLE, _FIELDS = (str, "text"), (int, "a whole number"), (Mapping, "an object")
_KINDS: Final[dict[str, tuple[type, str]]] = {
    **dict.fromkeys(ORDER, _TEXT),
    **dict.fromkeys(("seq", "elapsed_ns", "turn", "duration_ns", "dropped"), _WHOLE),
    **dict.fromkeys(("payload", "attributes", "resource", "scope"), _FIELDS),
    "caused_by": (list, "a list of ids"),
}
"""What each field is in JSON."""
_VALUES: Final = attrgetter(*ORDER)
_PLAIN: Final = frozenset({str, int, bool, type(None)})
"""Types whose values JSON shows as they are."""


def format_time(ns: int) -> str:
    """RFC 3339 in UTC with nanoseconds: `2026-01-02T03:04:05.000000006Z`. Past the year 9999: in seconds."""
    seconds, rest = divmod(ns, _NS)
    whole, zone = _second(seconds)
    return f"{whole}.{rest:09d}{zone}"


@lru_cache(256)
def _second(seconds: int) -> tuple[str, str]:
    """A second, and the sign of its zone: many events happen in the same few."""
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(), "Z"
    except (ValueError, OverflowError, OSError):
        return str(seconds), ""


def parse_time(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time, with up to nine digits of fraction; a time without a zone is UTC.

    Raises DataError for anything else.
    """
    whole, dot, tail = text.replace(",", ".").partition(".")  # ISO 8601 knows both marks
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    zone = tail[len(digits) :] if dot else ""
    try:
        if whole.lstrip("-").isdigit():
            return int(whole) * _NS + int(digits.ljust(9, "0")[:9] or 0)
        moment = datetime.fromisoformat(whole + zone)
        if moment.microsecond:
            raise ValueError("a second fraction")
    except ValueError:
        raise DataError(f"cannot read the time {text!r}: expected RFC 3339, such as 2026-01-02T03:04:05Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * _NS + int(digits.ljust(9, "0")[:9] or 0)


def plain(value: Any) -> Any:
    """A value as JSON can show it: bytes as base64, non-finite numbers as their OTLP strings, the rest as they are."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124 - NaN is not itself
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if type(value) is dict or isinstance(value, Mapping):
        return {str(key): item if type(item) in _PLAIN else plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def to_flat(event: Event) -> dict[str, Any]:
    """The event as a JSON object: fields in `ORDER`, absent and empty ones left out, times in RFC 3339."""
    flat: dict[str, Any] = {}
    for name, value in zip(ORDER, _VALUES(event), strict=True):
        if type(value) is str:
            flat[name] = value
        elif value is None or (not value and (name == "dropped" or value == () or value == {})):
            continue
        elif name in ("time", "observed_time"):
            flat[name] = format_time(value)
        else:
            flat[name] = value.name if name == "severity" else plain(value)
    return flat


def from_flat(flat: Mapping[str, Any]) -> Event:
    """The event that `to_flat` wrote. Raises DataError where a required field is missing, or one is unknown or malformed."""
    unknown = sorted(str(name) for name in flat if name not in _KINDS)
    if unknown:
        raise DataError(f"cannot read an event: unknown field {unknown[0]!r}")
    for name in ("id", "type", "time"):
        if name not in flat:
            raise DataError(f"cannot read an event: no {name!r}")
    values = {name: value for name, value in flat.items() if value is not None}
    for name, value in values.items():
        kind, words = _KINDS[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise DataError(f"cannot read an event: {name!r} is to be {words}, not {value!r:.60}")
    if values.get("signal", "log") not in get_args(Signal):
        raise DataError(f"cannot read an event: 'signal' is to be one of {', '.join(get_args(Signal))}")
    try:
        for name in ("time", "observed_time"):
            if name in values:
                values[name] = parse_time(values[name])
        if "severity" in values:
            values["severity"] = Severity[values["severity"]]
        if "caused_by" in values:
            values["caused_by"] = tuple(values["caused_by"])
        return Event(**values)
    except KeyError:
        raise DataError(f"cannot read an event: no severity is called {values['severity']!r:.60}") from None
