"""Chains: from the root causes to an event (`why`), and from an event to everything it led to (`effects`).

The law: pure. Each event stands once however many ways lead to it; what was cut off or is nowhere is said, not hidden.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from whence.causality.graph import Basis, Follow, Graph, Tie
from whence.causality.order import find_cycles, in_causal_order

Neighbours = Callable[[int], list[tuple[int, Basis]]]


@dataclass(frozen=True, slots=True)
class Hop:
    """One event of a chain.

    `depth`: the fewest hops between it and the event asked about, which is at 0. `causes`: its causes within the chain.
    `missing`: ids it gave as causes that are nowhere. `beyond`: how many more causes (of effects: effects) the bounds cut off.
    """

    id: str
    depth: int
    causes: tuple[Tie, ...]
    missing: tuple[str, ...]
    beyond: int


@dataclass(frozen=True, slots=True)
class Chain:
    """All that led to an event, or all that it led to, causes before effects.

    `hops`: upstream, the root causes come first and the event asked about last; downstream, it comes first.
    `cycles`: each a list of ids in the order of causing, the last of which caused the first. `cut`: whether bounds left
    anything out.
    """

    event_id: str
    direction: Literal["upstream", "downstream"]
    hops: tuple[Hop, ...]
    cycles: tuple[tuple[str, ...], ...]
    cut: bool


def upstream(
    graph: Graph,
    event_id: str,
    *,
    follow: Follow = Follow.BEST,
    max_depth: int | None = None,
    max_hops: int | None = None,
) -> Chain:
    """Why an event happened: its causes, their causes, and so on to the roots.

    `max_depth` bounds the distance from the event, `max_hops` the number of events, the nearest kept; None is no bound.
    Raises NotFoundError where the event is not in the graph.
    """
    seen = graph.seen

    def seen_causes(node: int) -> list[tuple[int, Basis]]:
        return [tie for tie in graph.up(node, follow) if seen[tie[0]]]

    reached, ties = _reach(graph.number(event_id), seen_causes, max_depth, max_hops)
    return _chain(graph, "upstream", reached, ties, _beyond(reached, ties))


def downstream(
    graph: Graph,
    event_id: str,
    *,
    follow: Follow = Follow.BEST,
    max_depth: int | None = None,
    max_hops: int | None = None,
) -> Chain:
    """What an event led to: its effects, their effects, and so on. Bounds and errors as for `upstream`."""
    reached, near = _reach(graph.number(event_id), lambda node: graph.down(node, follow), max_depth, max_hops)
    ties: dict[int, list[tuple[int, Basis]]] = {node: [] for node in reached}
    for node, effects in near.items():
        for effect, basis in effects:
            if effect in reached:
                ties[effect].append((node, basis))
    return _chain(graph, "downstream", reached, ties, _beyond(reached, near))


def _reach(
    start: int, neighbours: Neighbours, max_depth: int | None, max_hops: int | None
) -> tuple[dict[int, int], dict[int, list[tuple[int, Basis]]]]:
    """Every node within the bounds and its depth, breadth first; and the neighbours of each, those out of bounds too."""
    reached = {start: 0}
    near: dict[int, list[tuple[int, Basis]]] = {}
    queue = [start]
    for node in queue:  # grows while it is walked
        near[node] = neighbours(node)
        depth = reached[node] + 1
        if max_depth is not None and depth > max_depth:
            continue
        for neighbour, _ in near[node]:
            if neighbour not in reached and (max_hops is None or len(reached) < max_hops):
                reached[neighbour] = depth
                queue.append(neighbour)
    return reached, near


def _beyond(reached: dict[int, int], near: dict[int, list[tuple[int, Basis]]]) -> dict[int, int]:
    """How many neighbours of each node were left out."""
    return {node: sum(neighbour not in reached for neighbour, _ in near[node]) for node in reached}


def _chain(
    graph: Graph,
    direction: Literal["upstream", "downstream"],
    reached: dict[int, int],
    ties: dict[int, list[tuple[int, Basis]]],
    beyond: dict[int, int],
) -> Chain:
    """Put the reached nodes in order, the event asked about (the first reached) at its end of it even within a cycle."""
    start, *rest = reached
    within = {node: [cause for cause, _ in ties[node] if cause in reached] for node in reached}
    order, tangled = in_causal_order(rest, within.__getitem__, lambda node: (graph.time[node], graph.seq[node]))
    # The rest was put in order without the start, so a cycle through that is looked for apart.
    closed = bool(within[start]) if direction == "downstream" else any(start in causes for causes in within.values())
    cycles = find_cycles(reached if closed else tangled, within.__getitem__)
    ids = graph.ids
    hops = tuple(
        Hop(
            id=ids[node],
            depth=reached[node],
            causes=tuple([Tie(ids[cause], basis) for cause, basis in ties[node] if cause in reached]),
            missing=tuple([ids[cause] for cause in graph.recorded_causes(node) if not graph.seen[cause]]),
            beyond=beyond[node],
        )
        for node in ([*order, start] if direction == "upstream" else [start, *order])
    )
    return Chain(
        event_id=ids[start],
        direction=direction,
        hops=hops,
        cycles=tuple(tuple(ids[node] for node in cycle) for cycle in cycles),
        cut=any(beyond.values()),
    )
