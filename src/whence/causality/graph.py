"""The graph of causes: event ids joined by recorded and inferred edges, small enough for millions of events.

The law: pure, over events given one by one in any order. An edge always knows its basis, so that a guess is never shown as
a fact; an id that is named as a cause and never seen is kept as missing, never made up.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from whence.errors import NotFoundError
from whence.event import names
from whence.event.ids import span_id_of
from whence.event.model import Event


class Basis(StrEnum):
    """On what ground one event is called the cause of another. Only `RECORDED` was said by the program itself."""

    RECORDED = "recorded"
    PARENT_SPAN = "parent_span"
    ENCLOSING_SPAN = "enclosing_span"
    PREVIOUS_OF_AGENT = "previous_of_agent"


class Follow(StrEnum):
    """Which edges an answer follows.

    `BEST`: recorded ones, and from an event with no recorded cause its one best guess: the span it is in, where that span
    is known, else the same agent's previous event. `RECORDED`: only what was said. `ALL`: every edge there is.
    """

    BEST = "best"
    RECORDED = "recorded"
    ALL = "all"


class Tie(NamedTuple):
    """One edge as seen from one end: the event at the other end, and on what basis they are joined."""

    id: str
    basis: Basis


def process_of(event: Event) -> tuple[str, ...] | None:
    """What tells the event's process from others: the resource's service instance, else host and pid; None if neither."""
    instance = event.resource.get(names.SERVICE_INSTANCE)
    if instance is not None:
        return (str(instance),)
    pid = event.resource.get(names.PROCESS_PID)
    return None if pid is None else (str(event.resource.get(names.HOST_NAME)), str(pid))


def span_around(event: Event) -> str | None:
    """The id of the span an event is in, of a span its parent; None where it is in none."""
    span = event.parent_span_id if event.signal == "span" else event.span_id
    return None if event.trace_id is None or span is None else span_id_of(event.trace_id, span)


NOWHERE: Final = -1
_NO_SEQ: Final = -1
_LATEST: Final = (1 << 64) - 1


class Graph:
    """Events and their causes, in arrays of ints: about 300 bytes an event, ids included.

    Nodes are numbered in the order they were first named. A node is `seen` once its event was added; until then it is only
    a name that another event gave. Numbers are for `chains` and `checks`; others use ids.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.ids: list[str] = []
        self.seen = bytearray()
        self.time = array("Q")
        """Nanoseconds since the epoch, 0 where not seen."""
        self.seq = array("q")
        self.process = array("i")
        """Which process of which run emitted the event, as a number of this graph's own: 0 and up where the resource tells
        the process, -2 and down where it does not, so that all of the run counts as one; NOWHERE for an event without `seq`.
        """
        self._number: dict[str, int] = {}
        self._run = array("i")
        self._runs: dict[str | None, int] = {}
        self._processes: dict[tuple[str | None, ...], int] = {}
        # Recorded edges, each in two linked lists: the causes of its effect, and the effects of its cause.
        self._cause = array("i")
        self._effect = array("i")
        self._next_cause = array("i")
        self._next_effect = array("i")
        self._first_cause = array("i")
        self._first_effect = array("i")
        # Inferred from spans: at most one an event, so a number a node, and lists of what is inside.
        self._span = array("i")
        self._next_inside = array("i")
        self._first_inside = array("i")
        self._is_span = bytearray()
        # Inferred from order: lanes are sorted when first asked for.
        self._lanes: dict[tuple[str | None, str], array[int]] = {}
        self._unsorted: set[tuple[str | None, str]] = set()
        self._previous = array("i")
        self._following = array("i")
        self.extend(events)

    def extend(self, events: Iterable[Event]) -> None:
        """Add every event; see `add`."""
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """Add one event with its causes. An event whose id was added before is left out: the first one counts."""
        node = self._node(event.id)
        if self.seen[node]:
            return
        self.seen[node] = 1
        self.time[node] = min(max(event.time, 0), _LATEST)
        if event.seq is not None and 0 <= event.seq < 1 << 63:
            self.seq[node] = event.seq
            self.process[node] = self._process_of(event)
        self._run[node] = self._runs.setdefault(event.run, len(self._runs))
        for cause in dict.fromkeys(event.caused_by):
            self._join(self._node(cause), node)
        self._put_in_span(node, event)
        if event.agent is not None:
            self._put_in_lane(node, (event.run, event.agent))

    def __len__(self) -> int:
        """How many events were added; names of events never seen are not counted."""
        return self.seen.count(1)

    def __contains__(self, event_id: str) -> bool:
        node = self._number.get(event_id, NOWHERE)
        return node != NOWHERE and bool(self.seen[node])

    def causes(self, event_id: str, follow: Follow = Follow.BEST) -> list[Tie]:
        """The causes of one event, missing ones included, recorded ones first. Raises NotFoundError for an unknown id."""
        return [Tie(self.ids[node], basis) for node, basis in self.up(self.number(event_id), follow)]

    def effects(self, event_id: str, follow: Follow = Follow.BEST) -> list[Tie]:
        """The events that one event caused, recorded ones first. Raises NotFoundError for an unknown id."""
        return [Tie(self.ids[node], basis) for node, basis in self.down(self.number(event_id), follow)]

    def events_of(self, run: str | None) -> Iterator[str]:
        """The ids of the events of one run that were added, in the order they were first named."""
        number = self._runs.get(run, NOWHERE)
        return (id for id, of in zip(self.ids, self._run, strict=True) if of == number != NOWHERE)

    def run_of(self, event_id: str) -> str | None:
        """The run of an event that was added. Raises NotFoundError for an unknown id."""
        return list(self._runs)[self._run[self.number(event_id)]]

    def all_events(self) -> Iterator[str]:
        """The ids of all events that were added, in the order they were first named."""
        return (id for id, seen in zip(self.ids, self.seen, strict=True) if seen)

    def missing(self) -> Iterator[tuple[str, list[str]]]:
        """Each id that was given as a recorded cause and is nowhere, with the ids of the events that gave it."""
        for node, seen in enumerate(self.seen):
            if not seen and self._first_effect[node] != NOWHERE:
                yield self.ids[node], [self.ids[effect] for effect in self.recorded_effects(node)]

    # --- by number ------------------------------------------------------------------------------------------------

    def number(self, event_id: str) -> int:
        """The node of an event that was added. Raises NotFoundError otherwise, telling a missing cause from no such id."""
        node = self._number.get(event_id, NOWHERE)
        if node == NOWHERE:
            raise NotFoundError(f"cannot find the event {event_id!r}: there is none of that id")
        if not self.seen[node]:
            raise NotFoundError(f"cannot find the event {event_id!r}: others name it, but it was not recorded here")
        return node

    def recorded_causes(self, node: int) -> list[int]:
        """The recorded causes of a node in the order the program gave them, unseen ones included."""
        found = []
        edge = self._first_cause[node]
        while edge != NOWHERE:
            found.append(self._cause[edge])
            edge = self._next_cause[edge]
        found.reverse()
        return found

    def recorded_effects(self, node: int) -> list[int]:
        """The nodes that name this one as a recorded cause, in the order they were added."""
        found = []
        edge = self._first_effect[node]
        while edge != NOWHERE:
            found.append(self._effect[edge])
            edge = self._next_effect[edge]
        found.reverse()
        return found

    def recorded_edges(self) -> Iterator[tuple[int, int]]:
        """Every recorded edge as cause and effect, in the order they were added; causes can be unseen."""
        return zip(self._cause, self._effect, strict=True)

    def span_of(self, node: int) -> int:
        """The span a node is in (its parent span, for a span), seen or not; NOWHERE where it names none."""
        return self._span[node]

    def has_recorded_cause(self, node: int) -> bool:
        """Whether the program gave any cause for this node, missing ones included."""
        return self._first_cause[node] != NOWHERE

    def up(self, node: int, follow: Follow) -> list[tuple[int, Basis]]:
        """The causes of a node, each once, recorded ones first; only recorded ones can be unseen."""
        recorded = self.recorded_causes(node)
        found = [(cause, Basis.RECORDED) for cause in recorded]
        if follow is Follow.RECORDED or (found and follow is Follow.BEST):
            return found
        self._sort_lanes()
        span = self._span[node]
        if span != NOWHERE and self.seen[span] and span not in recorded:
            found.append((span, self._span_basis(node)))
            if follow is Follow.BEST:
                return found
        previous = self._previous[node]
        if previous not in (NOWHERE, span) and previous not in recorded:
            found.append((previous, Basis.PREVIOUS_OF_AGENT))
        return found

    def down(self, node: int, follow: Follow) -> list[tuple[int, Basis]]:
        """The effects of a node: exactly the nodes whose `up` has this one, on the same basis."""
        found = [(effect, Basis.RECORDED) for effect in self.recorded_effects(node)]
        if follow is Follow.RECORDED:
            return found
        self._sort_lanes()
        recorded = {effect for effect, _ in found}
        inside: list[tuple[int, Basis]] = []
        effect = self._first_inside[node] if self.seen[node] else NOWHERE
        while effect != NOWHERE:
            if effect not in recorded and (follow is Follow.ALL or not self.has_recorded_cause(effect)):
                inside.append((effect, self._span_basis(effect)))
            effect = self._next_inside[effect]
        found.extend(reversed(inside))
        following = self._following[node]
        if following != NOWHERE and following not in recorded and self._span[following] != node:
            in_span = self._span[following] != NOWHERE and self.seen[self._span[following]]
            if follow is Follow.ALL or not (in_span or self.has_recorded_cause(following)):
                found.append((following, Basis.PREVIOUS_OF_AGENT))
        return found

    # --- building -------------------------------------------------------------------------------------------------

    def _node(self, event_id: str) -> int:
        node = self._number.get(event_id)
        if node is None:
            node = self._number[event_id] = len(self.ids)
            self.ids.append(event_id)
            self.seen.append(0)
            self._is_span.append(0)
            self.time.append(0)
            self.seq.append(_NO_SEQ)
            for column in (
                self.process, self._run, self._first_cause, self._first_effect, self._span, self._next_inside, self._first_inside,
                self._previous, self._following,
            ):  # fmt: skip
                column.append(NOWHERE)
        return node

    def _join(self, cause: int, effect: int) -> None:
        edge = len(self._cause)
        self._cause.append(cause)
        self._effect.append(effect)
        self._next_cause.append(self._first_cause[effect])
        self._first_cause[effect] = edge
        self._next_effect.append(self._first_effect[cause])
        self._first_effect[cause] = edge

    def _put_in_span(self, node: int, event: Event) -> None:
        self._is_span[node] = event.signal == "span"
        span = span_around(event)
        if span is None:
            return
        around = self._node(span)
        if around != node:
            self._span[node] = around
            self._next_inside[node] = self._first_inside[around]
            self._first_inside[around] = node

    def _span_basis(self, node: int) -> Basis:
        return Basis.PARENT_SPAN if self._is_span[node] else Basis.ENCLOSING_SPAN

    def _process_of(self, event: Event) -> int:
        named = process_of(event)
        number = self._processes.setdefault((event.run, *(named or ())), len(self._processes))
        return -2 - number if named is None else number

    def _put_in_lane(self, node: int, name: tuple[str | None, str]) -> None:
        """Behind its agent's last event, where it comes after that in any order; else the lane is to be sorted."""
        lane = self._lanes.setdefault(name, array("i"))
        if lane and name not in self._unsorted:
            last = lane[-1]
            later = self.time[node] > self.time[last] and self.seq[node] > self.seq[last]
            if later and self.process[node] == self.process[last]:
                self._previous[node], self._following[last] = last, node
            else:
                self._unsorted.add(name)
        lane.append(node)

    def _sort_lanes(self) -> None:
        for name in self._unsorted:
            lane = self._lanes[name]
            ordered = sorted(lane, key=self._lane_order(lane))
            self._lanes[name] = array("i", ordered)
            before = NOWHERE
            for node in ordered:
                self._previous[node] = before
                if before != NOWHERE:
                    self._following[before] = node
                before = node
            self._following[before] = NOWHERE
        self._unsorted.clear()

    def _lane_order(self, lane: Iterable[int]) -> Callable[[int], tuple[int, int, str]]:
        """By `seq` where the whole lane is known to be of one process, since only there it tells the order; else by time."""
        processes = {self.process[node] for node in lane}
        if len(processes) == 1 and processes.pop() >= 0:
            return lambda node: (self.seq[node], 0, self.ids[node])
        return lambda node: (self.time[node], self.seq[node], self.ids[node])
