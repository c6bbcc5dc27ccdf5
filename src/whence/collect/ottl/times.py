"""Converters for times and durations."""

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from whence.collect.ottl.errors import Failure
from whence.collect.ottl.functions import Now, converter
from whence.collect.ottl.moments import SECOND, Duration, Time, time_of
from whence.collect.settings import as_duration

_LONGER: Final = {"%T": "%H:%M:%S", "%F": "%Y-%m-%d", "%D": "%m/%d/%y", "%R": "%H:%M", "%L": "%f"}
_KNOWN: Final = "YmdHIMSybBaApjzZf%"


@converter("Now")
def now(now: Now) -> Time:
    """The time now."""
    return Time(now)


@converter("Time")
def time(target: str, format: str, location: str | None = None) -> Time:
    """The time that a text says, by directives such as `%Y-%m-%dT%H:%M:%S%z`; without a zone in it, in `location`, else UTC."""
    try:
        parts = datetime.strptime(target, _directives("Time", format))
        zone = _zone("Time", location)
        return time_of(parts if parts.tzinfo else parts.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise Failure("Time: the text is no time of that format") from None


@converter("FormatTime")
def format_time(time: Time, format: str) -> str:
    """A time as text, by the same directives."""
    text = _directives("FormatTime", format).replace("%f", f"{time.ns // 1000 % 1_000_000:06d}")
    return _parts("FormatTime", time).strftime(text)


@lru_cache(maxsize=256)
def _directives(function: str, text: str) -> str:
    for short, long in _LONGER.items():
        text = text.replace(short, long)
    known = text.replace("%%", "").split("%")[1:]
    for directive in known:
        if directive[:1] not in _KNOWN or not directive:
            raise Failure(
                f"{function}: the format has a directive that is not known; there are % with one of {_KNOWN}TFDRL"
            )
    return text


@lru_cache(maxsize=256)
def _zone(function: str, name: str | None) -> tzinfo:
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Failure(f"{function}: the location is not known") from None


def _parts(function: str, time: Time) -> datetime:
    try:
        return time.parts()
    except OverflowError:
        raise Failure(f"{function}: the time is outside of the years 1 to 9999") from None


@converter("TruncateTime")
def truncate_time(time: Time, duration: Duration) -> Time:
    """The time down to a multiple of a duration."""
    if duration.ns <= 0:
        raise Failure("TruncateTime: the duration must be above zero")
    return Time(time.ns - time.ns % duration.ns, time.zone)


@converter("Unix")
def unix(seconds: int, nanoseconds: int = 0) -> Time:
    """The time so long after the epoch."""
    return Time(seconds * SECOND + nanoseconds)


@converter("UnixNano")
def unix_nano(time: Time) -> int:
    """Nanoseconds since the epoch."""
    return time.ns


@converter("UnixMicro")
def unix_micro(time: Time) -> int:
    """Microseconds since the epoch."""
    return time.ns // 1000


@converter("UnixMilli")
def unix_milli(time: Time) -> int:
    """Milliseconds since the epoch."""
    return time.ns // 1_000_000


@converter("UnixSeconds")
def unix_seconds(time: Time) -> int:
    """Seconds since the epoch."""
    return time.ns // SECOND


@converter("Duration")
def duration(duration: str) -> Duration:
    """The duration that a text says, such as `1h30m` or `-250ms`."""
    negative = duration.startswith("-")
    try:
        ns = round(as_duration(duration.removeprefix("-")) * SECOND)
    except ValueError:
        raise Failure("Duration: expected a text such as 200ms, 30s or 1m30s") from None
    return Duration(-ns if negative else ns)


def _whole(name: str, unit: int) -> None:
    @converter(name)
    def whole(duration: Duration) -> int:
        return -(-duration.ns // unit) if duration.ns < 0 else duration.ns // unit


def _exact(name: str, unit: int) -> None:
    @converter(name)
    def exact(duration: Duration) -> float:
        return duration.ns / unit


def _part(name: str, part: str) -> None:
    @converter(name)
    def calendar(time: Time) -> int:
        found: Any = getattr(_parts(name, time), part)
        return int(found() if callable(found) else found)


_whole("Nanoseconds", 1)
_whole("Microseconds", 1000)
_whole("Milliseconds", 1_000_000)
_exact("Seconds", SECOND)
_exact("Minutes", 60 * SECOND)
_exact("Hours", 3600 * SECOND)
for _name, _field in (
    ("Year", "year"), ("Month", "month"), ("Day", "day"), ("Hour", "hour"), ("Minute", "minute"), ("Second", "second"),
):  # fmt: skip
    _part(_name, _field)


@converter("Nanosecond")
def nanosecond(time: Time) -> int:
    """Nanoseconds within the second."""
    return time.ns % SECOND


@converter("Weekday")
def weekday(time: Time) -> int:
    """0 is Sunday, 6 is Saturday."""
    return _parts("Weekday", time).isoweekday() % 7
