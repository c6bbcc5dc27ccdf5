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
    start = graph.number(event_id)

    def seen_causes(node: int) -> list[tuple[int, Basis]]:
        return [(cause, basis) for cause, basis in graph.up(node, follow) if graph.seen[cause]]

    reached = _reach(start, seen_causes, max_depth, max_hops)
    ties = {node: seen_causes(node) for node in reached}
    beyond = {node: sum(cause not in reached for cause, _ in ties[node]) for node in reached}
    return _chain(graph, "upstream", reached, ties, beyond)


def downstream(
    graph: Graph,
    event_id: str,
    *,
    follow: Follow = Follow.BEST,
    max_depth: int | None = None,
    max_hops: int | None = None,
) -> Chain:
    """What an event led to: its effects, their effects, and so on. Bounds and errors as for `upstream`."""
    start = graph.number(event_id)

    def effects(node: int) -> list[tuple[int, Basis]]:
        return graph.down(node, follow)

    reached = _reach(start, effects, max_depth, max_hops)
    ties: dict[int, list[tuple[int, Basis]]] = {node: [] for node in reached}
    beyond = dict.fromkeys(reached, 0)
    for node in reached:
        for effect, basis in effects(node):
            if effect in reached:
                ties[effect].append((node, basis))
            else:
                beyond[node] += 1
    return _chain(graph, "downstream", reached, ties, beyond)


def _reach(start: int, neighbours: Neighbours, max_depth: int | None, max_hops: int | None) -> dict[int, int]:
    """Every node within the bounds and its depth, breadth first."""
    reached = {start: 0}
    level = [start]
    depth = 0
    while level and (max_depth is None or depth < max_depth):
        depth += 1
        following = []
        for node in level:
            for neighbour, _ in neighbours(node):
                if neighbour in reached:
                    continue
                if max_hops is not None and len(reached) >= max_hops:
                    return reached
                reached[neighbour] = depth
                following.append(neighbour)
        level = following
    return reached


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
            causes=tuple(Tie(ids[cause], basis) for cause, basis in ties[node] if cause in reached),
            missing=tuple(ids[cause] for cause in graph.recorded_causes(node) if not graph.seen[cause]),
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
