"""The causal conditions of a filter answered from the graph: who was caused by, or caused, any of these; roots and orphans.

The law: recorded causes only, over the whole archive, in whole arrays, so that the length of a chain is only a longer loop.
"""

from typing import Any

import numpy as np

from whence.filter.tree import Causal, Caused, CausedBy, Orphan, Root
from whence.index.ledger import Ledger

Numbers = Any
"""A numpy array of one dimension."""


def nodes_where(ledger: Ledger, tree: Causal, matching: Numbers) -> Numbers:
    """The nodes of the events for which a causal condition holds; `matching`: the nodes its inner filter lets through.

    `ROOT`: no recorded cause, and in no span. `ORPHAN`: no recorded cause, and in a span that is nowhere. A limit of time
    holds between an event and the one it was caused by at the beginning.
    """
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
