"""Checks of the causes a program recorded: cycles, causes later than their effects, missing causes, orphans.

The law: pure, and about what was recorded; inferred edges are guesses and are never held against a program.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from whence.causality.graph import NOWHERE, Graph
from whence.causality.order import find_cycles, in_causal_order

TOLERANCE_NS: Final = 1_000_000_000
"""How far two clocks may be apart before an order of times means anything: computers kept by NTP are well within a second."""


class Fault(StrEnum):
    """What can be wrong with recorded causes.

    `CYCLE`: events that caused each other. `LATER`: a cause that happened after its effect. `MISSING`: a cause that is
    nowhere. `ORPHAN`: an event that gives no cause and names a span it is in (its parent, for a span) that is nowhere, so
    that nothing can be said of where it came from.
    """

    CYCLE = "cycle"
    LATER = "later"
    MISSING = "missing"
    ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    `events`: for a cycle, its events in the order of causing; for a later cause, the cause and the effect; otherwise the
    event at fault. `names`: the missing cause, or the span that is nowhere. `late_ns`: how much later the cause is.
    """

    fault: Fault
    events: tuple[str, ...]
    names: str | None = None
    late_ns: int | None = None


def check(graph: Graph, *, tolerance_ns: int = TOLERANCE_NS) -> Iterator[Finding]:
    """Everything wrong with the graph, fault by fault, each in the order the events were added.

    A cause is later where it comes later by the clock, and within one process by `seq` as well, since a clock can be set
    back; between processes, only where it is later by more than `tolerance_ns`.
    """
    yield from _cycles(graph)
    yield from _later(graph, tolerance_ns)
    yield from _missing(graph)
    yield from _orphans(graph)


def _cycles(graph: Graph) -> Iterator[Finding]:
    caused = [node for node, seen in enumerate(graph.seen) if seen and graph.has_recorded_cause(node)]
    _, tangled = in_causal_order(caused, graph.recorded_causes, lambda node: node)
    for cycle in find_cycles(tangled, graph.recorded_causes):
        yield Finding(Fault.CYCLE, tuple(graph.ids[node] for node in cycle))


def _later(graph: Graph, tolerance_ns: int) -> Iterator[Finding]:
    for cause, effect in graph.recorded_edges():
        if cause == effect or not graph.seen[cause]:
            continue
        late = graph.time[cause] - graph.time[effect]
        if graph.process[cause] == graph.process[effect] != NOWHERE:
            found = late > 0 and graph.seq[cause] > graph.seq[effect]
        else:
            found = late > tolerance_ns
        if found:
            yield Finding(Fault.LATER, (graph.ids[cause], graph.ids[effect]), late_ns=late)


def _missing(graph: Graph) -> Iterator[Finding]:
    for cause, effect in graph.recorded_edges():
        if not graph.seen[cause]:
            yield Finding(Fault.MISSING, (graph.ids[effect],), names=graph.ids[cause])


def _orphans(graph: Graph) -> Iterator[Finding]:
    for node, seen in enumerate(graph.seen):
        span = graph.span_of(node)
        if seen and span != NOWHERE and not graph.seen[span] and not graph.has_recorded_cause(node):
            yield Finding(Fault.ORPHAN, (graph.ids[node],), names=graph.ids[span])
