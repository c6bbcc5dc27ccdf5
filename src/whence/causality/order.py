"""The order of a causal graph: causes before effects, and the cycles where there is no such order.

The law: pure, over numbers and given neighbours; no recursion, so that a chain of any length is only a longer loop.
"""

from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from typing import Any


def in_causal_order(
    nodes: Iterable[int], causes: Callable[[int], Iterable[int]], key: Callable[[int], Any]
) -> tuple[list[int], list[int]]:
    """The nodes with every cause before its effects, and the least by `key` first where causes do not decide.

    `causes` gives a node's causes; those outside `nodes` are left out of account. Where a cycle leaves no such order, its
    least node by `key` comes first. Gives the order, and the nodes that are in a cycle or after one.
    """
    waiting = dict.fromkeys(nodes, 0)
    effects: dict[int, list[int]] = {}
    for node in waiting:
        for cause in causes(node):
            if cause in waiting:
                waiting[node] += 1
                effects.setdefault(cause, []).append(node)
    ready = [(key(node), node) for node, count in waiting.items() if not count]
    heapify(ready)
    order: list[int] = []
    tangled: list[int] = []
    stuck: list[int] = []
    while waiting:
        if not ready:
            if not tangled:
                tangled = list(waiting)
                stuck = sorted(waiting, key=lambda node: (key(node), node), reverse=True)
            while stuck[-1] not in waiting:
                stuck.pop()
            ready.append((key(stuck[-1]), stuck.pop()))
        node = heappop(ready)[1]
        if waiting.pop(node, None) is None:
            continue
        order.append(node)
        for effect in effects.get(node, ()):
            if effect in waiting:
                waiting[effect] -= 1
                if not waiting[effect]:
                    heappush(ready, (key(effect), effect))
    return order, tangled


def find_cycles(nodes: Iterable[int], causes: Callable[[int], Iterable[int]]) -> list[list[int]]:
    """One shortest cycle for each knot of nodes that cause each other, through its least node, in the order of causing.

    `[a, b]` says that a caused b and b caused a; a node that caused itself is a cycle of one.
    """
    within = set(nodes)
    return [
        _shortest_cycle(min(knot), set(knot), causes)
        for knot in _knots(within, causes)
        if len(knot) > 1 or knot[0] in causes(knot[0])
    ]


def _knots(within: set[int], causes: Callable[[int], Iterable[int]]) -> list[list[int]]:
    """The strongly connected components (Tarjan's, with a stack of our own in place of recursion), in ascending order."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    path: list[int] = []
    on_path: set[int] = set()
    knots = []
    for start in sorted(within):
        if start in index:
            continue
        index[start] = low[start] = len(index)
        path.append(start)
        on_path.add(start)
        work = [(start, iter(causes(start)))]
        while work:
            node, rest = work[-1]
            for cause in rest:
                if cause not in within:
                    continue
                if cause not in index:
                    index[cause] = low[cause] = len(index)
                    path.append(cause)
                    on_path.add(cause)
                    work.append((cause, iter(causes(cause))))
                    break
                if cause in on_path:
                    low[node] = min(low[node], index[cause])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    knot: list[int] = []
                    while not knot or knot[-1] != node:
                        knot.append(path.pop())
                    on_path.difference_update(knot)
                    knots.append(knot)
    return sorted(knots, key=min)


def _shortest_cycle(start: int, knot: set[int], causes: Callable[[int], Iterable[int]]) -> list[int]:
    """From `start` upstream to `start` again, breadth first, turned round into the order of causing."""
    effect_of: dict[int, int] = {}
    level = [start]
    while start not in effect_of:
        following = []
        for node in level:
            for cause in causes(node):
                if cause in knot and cause not in effect_of:
                    effect_of[cause] = node
                    following.append(cause)
        level = following
    cycle = [start]
    while (effect := effect_of[cycle[-1]]) != start:
        cycle.append(effect)
    return cycle
