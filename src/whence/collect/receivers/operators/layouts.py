"""Times as programs write them: layouts of strptime, of Go and of the epoch, to nanoseconds.

The law: pure. A layout is turned into one regular expression when the configuration is read. Directives: the Collector's
`timestamp` block (pkg/stanza/docs/types/timestamp.md).
"""

import calendar
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

from whence.collect.receivers.operators.entry import Unfit

_SECOND: Final = 10**9
_MONTHS: Final = [calendar.month_name[n].lower() for n in range(1, 13)]
_FRACTION: Final = r"(?P<n>\d{1,9})"
_DIRECTIVES: Final = {
    "Y": r"(?P<Y>\d{4})", "y": r"(?P<y>\d{2})", "m": r"(?P<m>\d{2})", "o": r"(?P<m>[ \d]\d)", "q": r"(?P<m>\d{1,2})",
    "b": r"(?P<b>[A-Za-z]{3})", "h": r"(?P<b>[A-Za-z]{3})", "B": r"(?P<b>[A-Za-z]{3,9})", "d": r"(?P<d>\d{2})",
    "e": r"(?P<d>[ \d]?\d)", "g": r"(?P<d>\d{1,2})", "a": "[A-Za-z]{3}", "A": "[A-Za-z]{6,9}", "H": r"(?P<H>\d{2})",
    "I": r"(?P<H>\d{1,2})", "l": r"(?P<H>\d{1,2})", "p": "(?P<p>[AaPp][Mm])", "P": "(?P<p>[AaPp][Mm])", "M": r"(?P<M>\d{2})",
    "S": r"(?P<S>\d{2})", "L": _FRACTION, "f": _FRACTION, "s": _FRACTION, "Z": "(?P<Z>[A-Za-z]{1,5})",
    "z": r"(?P<z>Z|[+-]\d{4})", "i": r"(?P<z>Z|[+-]\d{2})", "j": r"(?P<z>Z|[+-]\d{2}:\d{2})",
    "k": r"(?P<z>Z|[+-]\d{2}:\d{2}:\d{2})", "n": r"\n", "t": r"\t", "%": "%",
}  # fmt: skip
_LONGER: Final = {
    "D": "%m/%d/%y", "F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "r": "%l:%M:%S %p", "c": "%a %b %d %H:%M:%S %Y",
}  # fmt: skip
_GO: Final = {
    "January": "%B", "Jan": "%b", "Monday": "%A", "Mon": "%a", "MST": "%Z", "2006": "%Y", "Z07:00:00": "%k", "-07:00:00": "%k",
    "Z07:00": "%j", "-07:00": "%j", "Z0700": "%z", "-0700": "%z", "Z07": "%i", "-07": "%i", "01": "%m", "02": "%d", "03": "%I",
    "04": "%M", "05": "%S", "06": "%y", "15": "%H", "_2": "%e", "_1": "%o", "PM": "%p", "pm": "%P", "1": "%q", "2": "%g",
    "3": "%l",
}  # fmt: skip
_GO_PARTS: Final = re.compile(r"[.,][09]{1,9}(?!\d)|" + "|".join(sorted(map(re.escape, _GO), key=len, reverse=True)))
_UNITS: Final = {"s": 9, "ms": 6, "us": 3, "ns": 0, "s.ms": 9, "s.us": 9, "s.ns": 9}
_UTC: Final = ("Z", "UTC", "GMT")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WEEK: Final = timedelta(days=7)

Reading = Callable[[Any, int], int]
"""Nanoseconds since the epoch of a value; the other argument is the present. Raises Unfit."""


def reading_of(kind: str, layout: str, location: str | None) -> Reading:
    """How to read times of a layout. Raises ValueError where it is none."""
    if kind == "epoch":
        if layout not in _UNITS:
            raise ValueError(f"one of {', '.join(_UNITS)} with layout_type: epoch")
        return lambda value, _: _of_epoch(value, _UNITS[layout])
    directives = _GO_PARTS.sub(_directive, layout.replace("%", "%%")) if kind == "gotime" else layout
    try:
        pattern = re.compile(_pattern(directives, not re.search("%[Lfs]", directives)))
    except re.error:
        raise ValueError("a layout in which nothing stands twice") from None
    zone = zone_of(location, directives)
    return lambda value, now: _of_text(value, pattern, zone, now)


def zone_of(location: str | None, layout: str) -> tzinfo | None:
    """The zone of times that name none; None is the machine's own. Raises ValueError."""
    if not location or location == "Local":
        return UTC if layout.endswith("Z") and not layout.endswith("%Z") else None
    try:
        return ZoneInfo(location)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"a location such as Europe/Zurich; {location} is not known") from None


def _directive(found: re.Match[str]) -> str:
    text = found.group()
    return _GO.get(text) or f"{text[0]}%f"


def _pattern(layout: str, fraction: bool) -> str:
    """The regular expression of a layout; with `fraction`, one may stand after the seconds that the layout does not tell of."""
    parts: list[str] = []
    at = 0
    while at < len(layout):
        letter = layout[at + 1 : at + 2]
        if layout[at] != "%":
            parts.append("[.,]" if layout[at] in ".," and layout[at + 1 : at + 2] == "%" else re.escape(layout[at]))
            at += 1
            continue
        if letter in _LONGER:
            parts.append(_pattern(_LONGER[letter], fraction))
        elif letter in _DIRECTIVES:
            parts.append(_DIRECTIVES[letter] + (f"(?:[.,]{_FRACTION})?" if letter == "S" and fraction else ""))
        else:
            raise ValueError(f"a layout of known directives; %{letter} is none")
        at += 2
    return "".join(parts)


def _of_epoch(value: Any, exponent: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Unfit(f"expected a number, not {type(value).__name__}")
    try:
        return int(Decimal(str(value).strip()).scaleb(exponent))
    except (InvalidOperation, OverflowError, ValueError):
        raise Unfit(f"{str(value)[:50]!r} is no number") from None


def _of_text(value: Any, pattern: re.Pattern[str], zone: tzinfo | None, now: int) -> int:
    if not isinstance(value, str):
        raise Unfit(f"expected text, not {type(value).__name__}")
    found = pattern.fullmatch(value.strip())
    if found is None:
        raise Unfit(f"{value[:50]!r} is no time of the layout")
    parts = {key: text for key, text in found.groupdict().items() if text is not None}
    fraction = int(parts.get("n", "").ljust(9, "0") or 0)
    present = _EPOCH if "Y" in parts or "y" in parts else datetime.fromtimestamp(now // _SECOND, UTC)
    try:
        moment = datetime(
            _year(parts, present), _month(parts), int(parts.get("d", 1)), _hour(parts), int(parts.get("M", 0)),
            int(parts.get("S", 0)), tzinfo=_zone(parts, zone),
        )  # fmt: skip
        moment = moment if moment.tzinfo else moment.astimezone()
        if present is not _EPOCH and moment - present > _WEEK:
            moment = moment.replace(year=moment.year - 1)
        since = moment - _EPOCH
    except (ValueError, OverflowError) as cause:
        raise Unfit(f"{value[:50]!r} is no time: {cause}") from None
    return (since.days * 86_400 + since.seconds) * _SECOND + fraction


def _year(parts: dict[str, str], present: datetime) -> int:
    if "Y" in parts:
        return int(parts["Y"])
    if "y" in parts:
        short = int(parts["y"])
        return short + (1900 if short >= 69 else 2000)
    return present.year


def _month(parts: dict[str, str]) -> int:
    if "b" not in parts:
        return int(parts.get("m", 1))
    name = parts["b"].lower()
    for number, month in enumerate(_MONTHS, 1):
        if month[: len(name)] == name:
            return number
    raise ValueError(f"{name} is no month")


def _hour(parts: dict[str, str]) -> int:
    hour = int(parts.get("H", 0))
    return hour % 12 + 12 * (parts["p"].lower() == "pm") if "p" in parts else hour


def _zone(parts: dict[str, str], zone: tzinfo | None) -> tzinfo | None:
    told = parts.get("z") or parts.get("Z")
    if told is None:
        return zone
    if told.upper() in _UTC:
        return UTC
    if "z" not in parts:
        raise ValueError(f"the zone {told} has no one meaning; let the program write an offset, and %z")
    digits = told[1:].replace(":", "").ljust(6, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:6]))
    return timezone(-offset if told[0] == "-" else offset)
