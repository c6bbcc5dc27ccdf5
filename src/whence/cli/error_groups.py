"""Errors put together with their like, and the events at the beginning of what led to them.

The law: pure, over errors in any order; what is kept of a group does not grow with its errors.
"""

from bisect import insort
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from whence.causality.graph import Follow, Graph
from whence.cli.lines import lane_of
from whence.event import names
from whence.event.model import Event

_TRACED: Final = 20
"""Errors of a group, the earliest, whose causes are followed."""
_MOST_HOPS: Final = 10_000
"""Events that are walked through for the root causes of one group."""
KEPT_LANES: Final = 100


@dataclass(slots=True)
class ErrorGroup:
    """Errors of one type and message. Times in nanoseconds since the epoch."""

    type: str
    message: str
    count: int = 0
    last: int = 0
    earliest: list[tuple[int, str]] = field(default_factory=list)
    """Time and id of the earliest errors, in order."""
    lanes: set[str] = field(default_factory=set)
    """Whose they are; of very many the first ones in the alphabet."""

    @property
    def first(self) -> str:
        """The id of the first of them."""
        return self.earliest[0][1]

    def note(self, event: Event) -> None:
        """Take in one error of this group."""
        self.count += 1
        self.last = max(self.last, event.time)
        at = (event.time, event.id)
        if len(self.earliest) < _TRACED or at < self.earliest[-1]:
            insort(self.earliest, at)
            del self.earliest[_TRACED:]
        self.lanes.add(lane_of(event))
        if len(self.lanes) > KEPT_LANES:
            self.lanes.remove(max(self.lanes))


class Roots(NamedTuple):
    """Where errors began: root causes that were recorded, those of most errors first, and how many errors each led to.

    `traced`: the errors that were looked at. `cut`: whether the walk was given up before its end.
    """

    counts: dict[str, int]
    traced: int
    cut: bool


def group_errors(errors: Iterable[Event]) -> list[ErrorGroup]:
    """The groups, the most frequent first, then the earliest."""
    groups: dict[tuple[str, str], ErrorGroup] = {}
    for event in errors:
        key = (event.type, message_of(event))
        group = groups.get(key)
        if group is None:
            group = groups[key] = ErrorGroup(*key)
        group.note(event)
    return sorted(groups.values(), key=lambda group: (-group.count, group.earliest[0]))


def message_of(event: Event) -> str:
    """What an error says: its exception's message, else its own."""
    said = event.attributes.get(names.EXCEPTION_MESSAGE) or event.attributes.get(names.SPAN_STATUS_MESSAGE)
    said = said or event.payload.get("error") or event.payload.get("message") or event.description
    kind = event.attributes.get(names.EXCEPTION_TYPE) or event.payload.get("error_type")
    return ": ".join(str(part) for part in (kind, said) if part)


def roots_of(graph: Graph, group: ErrorGroup) -> Roots:
    """The events that no recorded event caused, at the beginning of the recorded causes of the group's earliest errors."""
    found: Counter[int] = Counter()
    left = _MOST_HOPS
    traced = [graph.number(id) for _, id in group.earliest]
    for error in traced:
        roots, walked = _roots(graph, error, left)
        found.update(roots)
        left -= walked
    in_order = sorted(found, key=lambda node: (-found[node], graph.time[node], graph.ids[node]))
    return Roots({graph.ids[node]: found[node] for node in in_order}, len(traced), left <= 0)


def _roots(graph: Graph, error: int, most: int) -> tuple[list[int], int]:
    """The roots above one error, itself apart, and how many events were walked through."""
    seen, roots = {error}, []
    waiting = [error]
    for node in waiting:  # grows while it is walked
        if len(seen) > most:
            break
        causes = [cause for cause, _ in graph.up(node, Follow.RECORDED) if graph.seen[cause]]
        if not causes and node != error:
            roots.append(node)
        for cause in causes:
            if cause not in seen:
                seen.add(cause)
                waiting.append(cause)
    return roots, len(seen)
