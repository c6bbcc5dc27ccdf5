"""The causal conditions of a filter answered from the graph: who was caused by, or caused, any of these; roots and orphans.

The law: recorded causes only, over the whole archive, in whole arrays, so that the length of a chain is only a longer loop.
"""

from typing import Any, Final

import numpy as np

from whence.filter.tree import Causal, Caused, CausedBy, Orphan, Root
from whence.index.ledger import Ledger

_FEW: Final = 1_000
_MANY: Final = 20_000
"""From so many events on, or once so many are reached, whole arrays are faster than one node after the other."""
Numbers = Any
"""A numpy array of one dimension."""


def nodes_where(ledger: Ledger, tree: Causal, matching: Numbers) -> Numbers:
    """The nodes of the events for which a causal condition holds; `matching`: the nodes its inner filter lets through.

    `ROOT`: no recorded cause, and in no span. `ORPHAN`: no recorded cause, and in a span that is nowhere. A limit of time
    holds between an event and the one it was caused by at the beginning.
    """
    if isinstance(tree, CausedBy | Caused):
        few = _reached_from_few(ledger, matching.tolist(), tree) if len(matching) <= _FEW else None
        if few is not None:
            return np.array(sorted(node for node in few if ledger.seen[node]), np.int64)
    seen = np.frombuffer(ledger.seen, np.uint8).astype(bool)
    match tree:
        case CausedBy() | Caused():
            reached = _reached(ledger, matching, tree)
        case Root():
            reached = (_ints(ledger, "_first_cause") < 0) & (_ints(ledger, "_span") < 0)
        case Orphan():
            span = _ints(ledger, "_span")
            reached = (_ints(ledger, "_first_cause") < 0) & (span >= 0) & ~seen[span]
    return np.flatnonzero(reached & seen)


def _ints(ledger: Ledger, name: str) -> Numbers:
    return np.frombuffer(getattr(ledger, name), np.int32)


def _reached_from_few(ledger: Ledger, start: list[int], tree: CausedBy | Caused) -> list[int] | None:
    """As `_reached`, node by node: for short chains in a large graph. None where they are not short after all."""
    backwards = isinstance(tree, Caused)
    step, time = (ledger.recorded_causes if backwards else ledger.recorded_effects), ledger.time
    latest: dict[int, int] = {}
    front = {node: (-time[node] if backwards else time[node]) if tree.ns is not None else 0 for node in start}
    hops = 0
    while front and (tree.hops is None or hops < tree.hops):
        hops += 1
        following: dict[int, int] = {}
        for node, carried in front.items():
            for other in step(node):
                if carried > latest.get(other, carried - 1):
                    latest[other] = following[other] = carried
        if len(latest) > _MANY:
            return None
        front = following
    ns = tree.ns
    if ns is None:
        return list(latest)
    return [node for node, carried in latest.items() if (-time[node] if backwards else time[node]) - carried <= ns]


def _reached(ledger: Ledger, start: Numbers, tree: CausedBy | Caused) -> Numbers:
    """The nodes that recorded edges lead to from any of the start within the limits, as a mask."""
    causes, effects = _ints(ledger, "_cause"), _ints(ledger, "_effect")
    backwards = isinstance(tree, Caused)
    here, there = (effects, causes) if backwards else (causes, effects)
    time = np.frombuffer(ledger.time, np.uint64).astype(np.int64)
    if backwards:
        time = -time
    order = np.argsort(here, kind="stable")
    ends = np.cumsum(np.bincount(here, minlength=len(time)))
    targets = there[order]
    # The latest start that each node was reached from decides; without a limit of time all starts are alike.
    never = np.iinfo(np.int64).min
    latest = np.full(len(time), never)
    front = np.unique(start)
    carried = time[front] if tree.ns is not None else np.zeros(len(front), np.int64)
    hops = 0
    while len(front) and (tree.hops is None or hops < tree.hops):
        hops += 1
        counts = ends[front] - np.where(front > 0, ends[front - 1], 0)
        first = ends[front] - counts
        at = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
        following, carried = targets[at], np.repeat(carried, counts)
        better = carried > latest[following]
        np.maximum.at(latest, following[better], carried[better])
        front = np.unique(following[better])
        carried = latest[front]
    reached = latest > never
    if tree.ns is not None:
        reached[reached] = time[reached] - latest[reached] <= tree.ns
    return reached
