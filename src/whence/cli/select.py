"""Which events a command shows: the conditions of `log` and `tail`, decided per event.

The law: pure.
"""

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

from whence.event.kinds import Severity
from whence.event.model import Event


@dataclass(frozen=True, slots=True)
class Selection:
    """Conditions that must all hold; an empty or absent one holds always.

    `types`: patterns with `*` and `?`, one of which must match. `since` and `until` in nanoseconds since the epoch, both
    included. `turns`: first and last, both included. `severity`: at least this.
    """

    run: str | None = None
    types: Collection[str] = ()
    kinds: Collection[str] = ()
    agents: Collection[str] = ()
    tasks: Collection[str] = ()
    correlations: Collection[str] = ()
    turns: tuple[int | None, int | None] = (None, None)
    severity: Severity | None = None
    since: int | None = None
    until: int | None = None

    def has(self, event: Event) -> bool:
        """Whether the event is to be shown."""
        return (
            (self.run is None or event.run == self.run)
            and (not self.types or any(fnmatchcase(event.type, pattern) for pattern in self.types))
            and (not self.kinds or event.kind in self.kinds)
            and (not self.agents or event.agent in self.agents)
            and (not self.tasks or event.task in self.tasks)
            and (not self.correlations or event.correlation in self.correlations)
            and (self.turns == (None, None) or _within(event.turn, *self.turns))
            and (self.severity is None or (event.severity is not None and event.severity >= self.severity))
            and _within(event.time, self.since, self.until)
        )


def _within(value: int | None, first: int | None, last: int | None) -> bool:
    if value is None:
        return False
    return (first is None or value >= first) and (last is None or value <= last)
