"""Times and durations, exact to the nanosecond.

The law: pure, and data. Neither is a number: what can be done with them is in `calculate.py`.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Time:
    """A point in time: nanoseconds since the Unix epoch; and the zone in which its parts are meant."""

    ns: int
    zone: tzinfo = field(default=UTC, compare=False)

    def parts(self) -> datetime:
        """Its calendar parts, to the microsecond. Raises OverflowError outside of the years 1 to 9999."""
        return (_EPOCH + timedelta(microseconds=self.ns // 1000)).astimezone(self.zone)


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span of time in nanoseconds, perhaps negative."""

    ns: int


def time_of(parts: datetime) -> Time:
    """The time of calendar parts with a zone."""
    passed = parts - _EPOCH
    return Time((passed.days * 86_400 + passed.seconds) * SECOND + passed.microseconds * 1000, parts.tzinfo or UTC)
