"""What of an archive is kept how long, as a plan: which segments go, and why. Nothing is removed here.

The law: pure. A segment goes whole or not at all, so it stays as long as its longest-lived event needs; one that is not
sealed never goes. An audit event is never kept for less than the audit days, whatever other rules say. Age counts from the
later of the last event's time and the time the segment was begun, so that what was imported yesterday is a day old.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from whence.event import names
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.filter.match import matcher
from whence.filter.tree import Compare, Filter, Path

DAY: Final = 86_400 * 10**9
AUDIT: Final = f'attributes."{names.AUDIT}" = true'
ERRORS: Final = "severity >= ERROR"
_AUDIT: Final = Compare(Path("attributes", (names.AUDIT,)), "=", True)
_ERRORS: Final = Compare(Path("severity"), ">=", int(Severity.ERROR))
OTHERS: Final = "(all others)"
"""Events that no rule names. No text of a filter."""


class Rule(NamedTuple):
    """Events that match a filter, which asks for no causes, are kept for `days`."""

    text: str
    """The filter's canonical text."""
    days: float
    tree: Filter


@dataclass(frozen=True, slots=True)
class Policy:
    """How long events are kept, in days, and how much of them: None is no bound.

    `keep`: rules that are asked before the one for errors, in this order; the first that matches decides about an event.
    `run_events` and `run_bytes` bound each run (a group of files), `total_bytes` the archive, in bytes on disk; the oldest
    segments go first. No bound removes audit events before their time; errors it does.
    """

    days: float = 30.0
    error_days: float = 365.0
    audit_days: float = 2_555.0
    run_events: int | None = None
    run_bytes: int | None = None
    total_bytes: int | None = None
    keep: tuple[Rule, ...] = ()

    def rules(self) -> tuple[Rule, ...]:
        """Every rule in the order in which they are asked, those for audit events and errors among them."""
        return (
            Rule(AUDIT, self.audit_days, _AUDIT),
            *self.keep,
            Rule(ERRORS, self.error_days, _ERRORS),
        )

    def keeper(self, holds: Collection[str] | None) -> tuple[str, float]:
        """The rule's text and the days of the longest-lived event in a segment that holds these; of one that was not looked
        at yet, of the shortest-lived that could be in it."""
        lives = {OTHERS: self.days}
        for rule in self.rules():
            lives.setdefault(rule.text, rule.days)
        if holds is None:
            return min(lives.items(), key=lambda one: one[1])
        known = [(text, lives.get(text, self.days)) for text in holds]
        return max(known, key=lambda one: one[1], default=(OTHERS, self.days))


def deciding(rules: Sequence[Rule]) -> Callable[[Event], Sequence[str]]:
    """Of an event the texts of the rules that say how long it is kept: the first that matches it, `OTHERS` where none does;
    an audit event's rule never stands alone before another one that would keep it longer."""
    matchers = [(rule.text, matcher(rule.tree)) for rule in rules]

    def decided(event: Event) -> Sequence[str]:
        found = [text for text, matches in matchers if matches(event)]
        return found[: 2 if found[:1] == [AUDIT] else 1] or (OTHERS,)

    return decided


@dataclass(frozen=True, slots=True)
class Holding:
    """One segment. `time`: nanoseconds since the epoch from which its age counts. `bytes`: on disk, all its files."""

    group: str
    stem: str
    time: int
    records: int
    bytes: int
    sealed: bool
    holds: frozenset[str] | None = None
    """Texts of the rules that decide about at least one event in it. None: not looked at yet."""

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
        text, life = policy.keeper(one.holds)
        if one.sealed and now - one.time > life * DAY:
            reasons[one.label] = f"older than {life:g} days: {text}"
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
        if one.sealed and one.label not in reasons and AUDIT not in (one.holds or ()):
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
