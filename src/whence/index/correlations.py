"""What happened under each correlation id: how many events, from when to when, how it began, and how it ended.

The law: pure, over events in any order; `summaries.py` asks the columns for the same, and a test holds them together.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from whence.event.flat import format_time
from whence.event.model import Event
from whence.index.failures import is_error
from whence.index.histories import ENDING, words_of


class Correlation(NamedTuple):
    """One correlation id. Times in nanoseconds since the epoch; `first_type`, `last_type` of its first and last event."""

    id: str
    events: int
    errors: int
    first: int
    last: int
    first_type: str
    last_type: str

    @property
    def finished(self) -> bool:
        """Whether the last thing that happened is that something ended (`order.completed`, `session_end`)."""
        return words_of(self.last_type)[1] in ENDING

    def as_json(self) -> dict[str, Any]:
        """As a JSON object; times in RFC 3339."""
        return {
            "correlation": self.id,
            "events": self.events,
            "errors": self.errors,
            "first": format_time(self.first),
            "last": format_time(self.last),
            "first_type": self.first_type,
            "last_type": self.last_type,
            "finished": self.finished,
        }


class Correlations(NamedTuple):
    """The answer: the one that something happened in last comes first. `total`: how many there are, shown or not."""

    of: list[Correlation]
    total: int
    partial: bool = False


@dataclass(slots=True)
class _Tally:
    first: Event
    last: Event
    events: int = 0
    errors: int = 0

    def note(self, event: Event) -> None:
        self.events += 1
        self.errors += is_error(event)
        if (event.time, event.id) < (self.first.time, self.first.id):
            self.first = event
        if (event.time, event.id) > (self.last.time, self.last.id):
            self.last = event


def correlations_of(events: Iterable[Event], *, limit: int | None = None) -> Correlations:
    """The correlation ids of these events; of many the first `limit` of the answer. Events without one are left out."""
    found: dict[str, _Tally] = {}
    for event in events:
        if event.correlation is not None:
            tally = found.get(event.correlation)
            if tally is None:
                tally = found[event.correlation] = _Tally(event, event)
            tally.note(event)
    shown = [
        Correlation(id, one.events, one.errors, one.first.time, one.last.time, one.first.type, one.last.type)
        for id, one in found.items()
    ]
    shown.sort(key=lambda one: (-one.last, one.id))
    return Correlations(shown[:limit], len(shown))
