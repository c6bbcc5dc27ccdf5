"""Pace: how the time of events runs beside a clock, and from that what is to be done now.

The law: pure; `now` is given, in nanoseconds of a clock that only goes forward. Nothing drifts: each event is due by its own
distance from one point, however late those before it were.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, NamedTuple

from whence.errors import ConfigError

SLOWEST: Final = Fraction(1, 10)
FASTEST: Final = Fraction(1000)


@dataclass(frozen=True, slots=True)
class Pace:
    """At `since` of the clock the replay stood at `event` of the events' time; None: it is paused there."""

    event: int
    since: int | None
    speed: Fraction | None = Fraction(1)
    """Seconds of the events' time in a second; None: as fast as possible."""

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self.since is None

    def at(self, now: int) -> int:
        """Where in the events' time it is."""
        if self.since is None or self.speed is None:
            return self.event
        return self.event + int((now - self.since) * self.speed)

    def due(self, time: int) -> int | None:
        """When an event of this time is due by the clock; None while paused."""
        if self.since is None or self.speed is None:
            return self.since
        return self.since + max(-(-(time - self.event) * self.speed.denominator // self.speed.numerator), 0)

    def pause(self, now: int) -> "Pace":
        """Standing still from now on."""
        return replace(self, event=self.at(now), since=None)

    def resume(self, now: int) -> "Pace":
        """Going on from where it stands."""
        return replace(self, since=now) if self.since is None else self

    def move(self, event: int, now: int) -> "Pace":
        """Standing at another moment of the events' time; paused if it was."""
        return replace(self, event=event, since=None if self.since is None else now)

    def at_speed(self, speed: Fraction | None, now: int) -> "Pace":
        """The same place at another speed."""
        return replace(self, event=self.at(now), since=None if self.since is None else now, speed=speed)


def parse_speed(speed: float | str) -> Fraction | None:
    """A speed between 0.1 and 1,000 such as 10, "2.5" or "10x"; "max" is as fast as possible. Raises ConfigError."""
    text = str(speed).strip().lower()
    if text == "max":
        return None
    try:
        found = Fraction(text.removesuffix("x"))
    except (ValueError, ZeroDivisionError):
        found = Fraction(0)
    if not SLOWEST <= found <= FASTEST:
        raise ConfigError(f"cannot replay at the speed {str(speed)[:40]!r}: expected 0.1 to 1000, or max")
    return found


# --- what to do now ---------------------------------------------------------------------------------------------------


class Give(NamedTuple):
    """The next event is due."""


class Wait(NamedTuple):
    """Nothing is to be done for so many nanoseconds; None: until something is asked for."""

    ns: int | None


def decide(pace: Pace, steps: int, following: int | None, now: int) -> Give | Wait:
    """What to do. `steps`: how many events are to be given whenever they are due; `following`: the next one's time, if any."""
    if following is None:
        return Wait(None)
    if steps:
        return Give()
    due = pace.due(following)
    if due is None:
        return Wait(None)
    return Give() if due <= now else Wait(due - now)


def shifted(time: int, pace: Pace, first: int, began: int, offset: int) -> int:
    """The time that an event is given in place of its own: when it is due by the clock on the wall.

    `offset`: what that clock shows ahead of the pace's. As fast as possible, or stepped through while paused, what counts is how
    long after the `first` event it was, from when the replay `began` by the clock on the wall.
    """
    due = pace.due(time)
    if due is None or pace.speed is None:
        return began + time - first
    return due + offset
