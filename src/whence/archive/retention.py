"""What of an archive is kept how long, as a plan: which segments go, and why. Nothing is removed here.

The law: pure. A segment goes whole or not at all, so it stays as long as its longest-lived event needs; one that is not
sealed never goes. Age counts from the later of the last event's time and the time the segment was begun, so that what was
imported yesterday is a day old.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

DAY: Final = 86_400 * 10**9


class Holds(StrEnum):
    """The longest-lived kind of event in a segment."""

    EVENTS = "events"
    ERRORS = "errors"
    """At least one of severity ERROR or worse."""
    AUDIT = "audit"
    """At least one audit event. What could not be read is taken for it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long events are kept, in days, and how much of them: None is no bound.

    `run_events` and `run_bytes` bound each run (a group of files), `total_bytes` the archive, in bytes on disk; the oldest
    segments go first. No bound removes audit events before their time; errors it does.
    """

    days: float = 30.0
    error_days: float = 365.0
    audit_days: float = 2_555.0
    run_events: int | None = None
    run_bytes: int | None = None
    total_bytes: int | None = None

    def life(self, holds: Holds) -> float:
        """Days."""
        return {Holds.EVENTS: self.days, Holds.ERRORS: self.error_days, Holds.AUDIT: self.audit_days}[holds]


@dataclass(frozen=True, slots=True)
class Holding:
    """One segment. `time`: nanoseconds since the epoch from which its age counts. `bytes`: on disk, all its files."""

    group: str
    stem: str
    time: int
    records: int
    bytes: int
    sealed: bool
    holds: Holds | None = None
    """None: not looked at yet, and for the plan the shortest-lived."""

    @property
    def label(self) -> str:
        return f"{self.group}/{self.stem}" if self.group else self.stem


@dataclass(frozen=True, slots=True)
class Removal:
    """A segment that goes, and why."""

    holding: Holding
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes and what stays, oldest first; `refused` says why nothing may go after all."""

    going: tuple[Removal, ...]
    staying: tuple[Holding, ...]
    refused: str | None = None


def plan(holdings: Sequence[Holding], policy: Policy, now: int, *, even_most: bool = False) -> Plan:
    """What goes at the time `now`, in nanoseconds since the epoch.

    Refused where age alone would take more than half of all bytes and time seems to have jumped: nothing was recorded for
    half of `policy.days` or longer between what goes and the present. `even_most` says that this is right.
    """
    ordered = sorted(holdings, key=lambda one: (one.time, one.stem))
    reasons: dict[str, str] = {}
    for one in ordered:
        life = policy.life(one.holds or Holds.EVENTS)
        if one.sealed and now - one.time > life * DAY:
            reasons[one.label] = f"older than {life:g} days"
    refused = None if even_most else _refusal(ordered, reasons, policy, now)
    for group in {one.group for one in ordered}:
        of_group = [one for one in ordered if one.group == group]
        _bound(of_group, reasons, policy.run_events, "records", "more than {} events in its run")
        _bound(of_group, reasons, policy.run_bytes, "bytes", "more than {} bytes in its run")
    _bound(ordered, reasons, policy.total_bytes, "bytes", "more than {} bytes in the archive")
    return Plan(
        going=tuple(Removal(one, reasons[one.label]) for one in ordered if one.label in reasons),
        staying=tuple(one for one in ordered if one.label not in reasons),
        refused=refused,
    )


def _bound(ordered: Sequence[Holding], reasons: dict[str, str], most: int | None, unit: str, why: str) -> None:
    """Let the oldest go until the rest is within the bound, or only what must stay is left."""
    if most is None:
        return
    total = sum(getattr(one, unit) for one in ordered if one.label not in reasons)
    for one in ordered:
        if total <= most:
            return
        if one.sealed and one.label not in reasons and one.holds is not Holds.AUDIT:
            reasons[one.label] = why.format(most)
            total -= getattr(one, unit)


def _refusal(ordered: Sequence[Holding], reasons: dict[str, str], policy: Policy, now: int) -> str | None:
    going = [one for one in ordered if one.label in reasons]
    if not going or sum(one.bytes for one in going) * 2 <= sum(one.bytes for one in ordered):
        return None
    times = [one.time for one in ordered if one.time <= now] + [now]
    gap, before = max((after - before, before) for before, after in pairwise(times))
    if gap < policy.days * DAY / 2 or not any(one.time <= before for one in going):
        return None
    return (
        f"{len(going)} of {len(ordered)} files would go at once, more than half of all bytes, and nothing was recorded for "
        f"{gap / DAY:.0f} days: is the clock right? If it is, say --even-most"
    )
