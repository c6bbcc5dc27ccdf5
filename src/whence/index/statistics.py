"""Events counted by what they have in common: how many, how often, how many failed, how long they took.

The law: pure, over events in any order; `summaries.py` asks the columns for the same, and a test holds them together.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import floor
from typing import Any, Final, NamedTuple

from whence.errors import FilterError
from whence.event.flat import format_time
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.filter.names import Kind, find, kind_of, nearest
from whence.filter.tree import Bucket, Path
from whence.index.failures import is_error

HOUR: Final = 3_600_000_000_000
BUCKETS: Final = {"minute": Bucket(HOUR // 60), "hour": Bucket(HOUR), "day": Bucket(24 * HOUR)}
"""The words for steps of time that events can be counted by."""
SHARES: Final = (0.5, 0.95, 0.99)
_COUNTED_BY: Final = (Kind.TEXT, Kind.NUMBER, Kind.SEVERITY)
_SEVERITIES: Final = {severity.value: severity.name for severity in Severity}
_MANY: Final = 1 << 63
Value = str | int | None


class Durations(NamedTuple):
    """How long they took, in nanoseconds."""

    least: int
    p50: int
    p95: int
    p99: int
    most: int


@dataclass(frozen=True, slots=True)
class Statistic:
    """Events that have `value` in common. Times in nanoseconds since the epoch.

    `durations`: of those that have one; None where none has. `hours`: how many in each hour of the day, UTC, from 0 on;
    empty where that was not asked for.
    """

    value: Value
    count: int
    errors: int
    first: int
    last: int
    durations: Durations | None = None
    hours: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Statistics:
    """The answer: `of` has the most frequent first, or for steps of time the earliest; None for a value that is missing.

    `partial`: the time was over before all was counted.
    """

    by: str
    of: list[Statistic]
    partial: bool = False

    @property
    def count(self) -> int:
        """How many events there are in all."""
        return sum(one.count for one in self.of)

    @property
    def seconds(self) -> float:
        """From the first event to the last."""
        return (max(one.last for one in self.of) - min(one.first for one in self.of)) / 1e9 if self.of else 0.0

    def share(self, one: Statistic) -> float:
        """Its part of all, from 0 to 1."""
        return one.count / self.count

    def rate(self, one: Statistic) -> float | None:
        """How many a second, over the time from the first event of all to the last; None where that is no time."""
        return one.count / self.seconds if self.seconds else None

    def as_json(self) -> list[dict[str, Any]]:
        """One object for each value; times in RFC 3339, durations in nanoseconds, absent facts left out."""
        return [self._json(one) for one in self.of]

    def _json(self, one: Statistic) -> dict[str, Any]:
        durations = one.durations and {
            "min": one.durations.least, "p50": one.durations.p50, "p95": one.durations.p95, "p99": one.durations.p99,
            "max": one.durations.most,
        }  # fmt: skip
        found = {
            self.by: self.shown(one),
            "count": one.count,
            "share": self.share(one),
            "rate": self.rate(one),
            "errors": one.errors,
            "first": format_time(one.first),
            "last": format_time(one.last),
            "duration_ns": durations,
            "hours": list(one.hours) or None,
        }
        return {name: value for name, value in found.items() if value is not None or name == self.by}

    def shown(self, one: Statistic) -> Value:
        """The value as people know it: steps of time as RFC 3339, severities by name."""
        if one.value is None or isinstance(one.value, str):
            return one.value
        if self.by in BUCKETS:
            return format_time(one.value)
        return _SEVERITIES.get(one.value, one.value) if self.by == "severity" else one.value


def key_of(by: str) -> Path | Bucket:
    """What events are counted by: a field of theirs by any of its names, or `minute`, `hour`, `day`. Raises FilterError."""
    if by.lower() in BUCKETS:
        return BUCKETS[by.lower()]
    path = find(by)
    if path is None:
        like = nearest(by)
        raise FilterError(
            f"cannot count by {by!r}: it is no field of events" + (f"; did you mean {like}?" if like else "")
        )
    if kind_of(path) not in _COUNTED_BY:
        raise FilterError(f"cannot count by {by!r}: it is a {kind_of(path)}; expected such as type, agent, run or hour")
    return path


def name_of(by: str) -> str:
    """The canonical name of `by`."""
    key = key_of(by)
    return key.field if isinstance(key, Path) else by.lower()


@dataclass(slots=True)
class Tally:
    """One value's events as they are counted."""

    value: Value
    count: int = 0
    errors: int = 0
    first: int = _MANY
    last: int = -_MANY
    durations: "array[int]" = field(default_factory=lambda: array("q"))
    hours: list[int] = field(default_factory=lambda: [0] * 24)

    def note(self, event: Event) -> None:
        """Take in one event."""
        self.count += 1
        self.errors += is_error(event)
        self.first, self.last = min(self.first, event.time), max(self.last, event.time)
        self.hours[event.time // HOUR % 24] += 1
        if event.duration_ns is not None:
            self.durations.append(event.duration_ns)

    def result(self, hourly: bool) -> Statistic:
        """What was counted."""
        hours = tuple(self.hours) if hourly else ()
        return Statistic(
            self.value, self.count, self.errors, self.first, self.last, durations_of(self.durations), hours
        )


def statistics_of(events: Iterable[Event], *, by: str = "type", hourly: bool = False) -> Statistics:
    """The events counted. Raises FilterError where they cannot be counted by that."""
    key = key_of(by)
    found: dict[Value, Tally] = {}
    for event in events:
        if isinstance(key, Bucket):
            value = event.time - event.time % key.ns
        else:
            value = getattr(event, key.field)
            value = int(value) if isinstance(value, Severity) else value
        tally = found.get(value)
        if tally is None:
            tally = found[value] = Tally(value)
        tally.note(event)
    return Statistics(name_of(by), in_order([tally.result(hourly) for tally in found.values()], key))


def in_order(found: Iterable[Statistic], key: Path | Bucket) -> list[Statistic]:
    """Steps of time by time, others the most frequent first and then by value, what is missing last."""
    by_value = sorted(found, key=lambda one: (one.value is None, one.value if one.value is not None else 0))
    return by_value if isinstance(key, Bucket) else sorted(by_value, key=lambda one: -one.count)


def durations_of(values: Sequence[int]) -> Durations | None:
    """Of all these; a percentile between two of them lies on the line between."""
    if not values:
        return None
    ordered = sorted(values)
    p50, p95, p99 = (_between(ordered, share) for share in SHARES)
    return Durations(ordered[0], p50, p95, p99, ordered[-1])


def _between(ordered: Sequence[int], share: float) -> int:
    place = (len(ordered) - 1) * share
    below = floor(place)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    return round(low + (high - low) * (place - below))
