"""Errors put together with their like, and the events at the beginning of what led to them.

The law: pure, over errors in any order; what is kept of a group does not grow with its errors. `error_summary.py` asks the
columns for the same groups.
"""

from bisect import insort
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from whence.causality.graph import Follow, Graph
from whence.event import names
from whence.event.flat import plain
from whence.event.model import Event
from whence.filter.values import json_text

OURS: Final = "whence"
INSTRUMENTATIONS: Final = "opentelemetry.instrumentation"
SAYS_NOTHING: Final = ("false", "0", "0.0", "[]", "{}")
TRACED: Final = 20
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
        if len(self.earliest) < TRACED or at < self.earliest[-1]:
            insort(self.earliest, at)
            del self.earliest[TRACED:]
        self.lanes.add(whose(event))
        if len(self.lanes) > KEPT_LANES:
            self.lanes.remove(max(self.lanes))


class Roots(NamedTuple):
    """Where errors began: root causes that were recorded, those of most errors first, and how many errors each led to.

    `traced`: the errors that were looked at. `cut`: whether the walk was given up before its end.
    """

    counts: dict[str, int]
    traced: int
    cut: bool


class ErrorGroups(NamedTuple):
    """The answer: the most frequent come first, then the earliest. `total`: how many there are, shown or not."""

    of: list[ErrorGroup]
    total: int


def group_errors(errors: Iterable[Event], *, limit: int | None = None) -> ErrorGroups:
    """The groups of these errors; of many the first `limit`."""
    groups: dict[tuple[str, str], ErrorGroup] = {}
    for event in errors:
        key = (event.type, message_of(event))
        group = groups.get(key)
        if group is None:
            group = groups[key] = ErrorGroup(*key)
        group.note(event)
    found = sorted(groups.values(), key=lambda group: (-group.count, group.earliest[0]))
    return ErrorGroups(found[:limit], len(found))


def message_of(event: Event) -> str:
    """What an error says: its exception's message, else its own."""
    attributes, payload = event.attributes, event.payload
    kind = next(filter(None, [said(attributes.get(names.EXCEPTION_TYPE)), said(payload.get("error_type"))]), None)
    told = (
        said(attributes.get(names.EXCEPTION_MESSAGE))
        or said(attributes.get(names.SPAN_STATUS_MESSAGE))
        or said(payload.get("error"))
        or said(payload.get("message"))
        or event.description
    )
    return ": ".join(part for part in (kind, told) if part)


def said(value: Any) -> str | None:
    """A recorded value as text; None where it says nothing."""
    value = plain(value)
    if isinstance(value, str):
        return value or None
    if value is None:
        return None
    text = repr(value) if isinstance(value, float) else json_text(value)
    return None if text in SAYS_NOTHING else text


def whose(event: Event) -> str:
    """Agent and task where given, else its stage, else its source or, where that only says which library recorded it, the
    service."""
    parts = [part for part in (event.agent, event.task or event.stage) if part]
    service = said(event.resource.get(names.SERVICE_NAME)) or ""
    source = event.source or ""
    if service and (source == OURS or source.startswith(INSTRUMENTATIONS)):
        source = service
    return "/".join(parts) or source or service


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
