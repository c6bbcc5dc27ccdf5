"""Chains upstream and downstream, held against a naive closure on random graphs."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_examples import often
from whence.causality.chains import downstream, upstream
from whence.causality.graph import Basis, Follow, Graph, Tie
from whence.errors import NotFoundError
from whence.event.model import Event

TRACE = "0af7651916cd43dd8448eb211c80319c"
LONG = often(20_000, 100_000)
"""Hops of a chain: far beyond any recursion, and long enough that a walk of quadratic cost does not end."""


def a_log(id: str, *caused_by: str, time: int = 1) -> Event:
    """A log event with its causes."""
    return Event(id=id, type="t", time=time, caused_by=caused_by)


@st.composite
def some_events(draw: st.DrawFn) -> list[Event]:
    """Up to 14 events: logs and spans with causes here and nowhere, cycles, agents and spans, in any order."""
    count = draw(st.integers(1, 14))
    spans = [f"{n:016x}" for n in range(1, 5)]
    ids = [f"e{n}" for n in range(count)]
    nameable = [*ids, "nowhere", f"span:{TRACE}-{spans[0]}"]
    events = []
    for id in ids:
        signal = draw(st.sampled_from(["log", "log", "span"]))
        span = draw(st.sampled_from([None, *spans]))
        fields = {
            "time": draw(st.integers(0, 5)),
            "caused_by": tuple(draw(st.lists(st.sampled_from(nameable), max_size=3))),
            "agent": draw(st.sampled_from([None, "a", "b"])),
            "run": draw(st.sampled_from(["r", "s"])),
            "seq": draw(st.sampled_from([None, 1, 2, 3])),
        }
        if signal == "span":
            own = draw(st.sampled_from(spans))
            id = f"span:{TRACE}-{own}"
            events.append(
                Event(id=id, type="s", signal="span", trace_id=TRACE, span_id=own, parent_span_id=span, **fields)
            )
        else:
            events.append(Event(id=id, type="t", trace_id=TRACE if span else None, span_id=span, **fields))
    return draw(st.permutations(events))


def closure(graph: Graph, start: str, direction: str, follow: Follow) -> dict[str, int]:
    """Every reachable id and its least distance, the naive way."""
    distance = {start: 0}
    frontier = [start]
    for depth in range(1, 100):
        step = graph.causes if direction == "up" else graph.effects
        near = {tie.id for id in frontier for tie in step(id, follow) if tie.id in graph}
        frontier = sorted(near - set(distance))
        distance.update(dict.fromkeys(frontier, depth))
    return distance


@given(some_events(), st.sampled_from(Follow))
def test_up_and_down_are_the_same_edges(events: list[Event], follow: Follow) -> None:
    """An event is among the effects of exactly its causes, on the same basis."""
    graph = Graph(events)
    up = Counter((tie.id, id, tie.basis) for id in graph.ids if id in graph for tie in graph.causes(id, follow))
    down = Counter((id, tie.id, tie.basis) for id in graph.ids if id in graph for tie in graph.effects(id, follow))
    assert Counter({edge: n for edge, n in up.items() if edge[0] in graph}) == down
    assert not up or max(up.values()) == 1


@given(some_events(), st.sampled_from(Follow), st.sampled_from(["up", "down"]))
def test_a_chain_is_the_closure_each_event_once(events: list[Event], follow: Follow, direction: str) -> None:
    """Nothing reachable is left out, nothing stands twice, and depths are the least distances."""
    graph = Graph(events)
    for id in (id for id in graph.ids if id in graph):
        chain = (upstream if direction == "up" else downstream)(graph, id, follow=follow)
        assert {hop.id: hop.depth for hop in chain.hops} == closure(graph, id, direction, follow)
        assert len({hop.id for hop in chain.hops}) == len(chain.hops)
        assert chain.hops[-1 if direction == "up" else 0].id == id
        assert not chain.cut


@given(some_events(), st.sampled_from(Follow), st.sampled_from(["up", "down"]))
def test_causes_come_before_effects_unless_a_cycle_is_reported(
    events: list[Event], follow: Follow, direction: str
) -> None:
    """The order is causal, and each reported cycle is one."""
    graph = Graph(events)
    for id in (id for id in graph.ids if id in graph):
        chain = (upstream if direction == "up" else downstream)(graph, id, follow=follow)
        place = {hop.id: n for n, hop in enumerate(chain.hops)}
        edges = {(tie.id, hop.id) for hop in chain.hops for tie in hop.causes}
        for cycle in chain.cycles:
            assert all((cause, effect) in edges for cause, effect in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        if not chain.cycles:
            assert all(place[cause] < place[effect] for cause, effect in edges)


@given(some_events(), st.sampled_from(Follow), st.integers(0, 4), st.integers(1, 6))
def test_bounds_keep_the_nearest_and_say_so(events: list[Event], follow: Follow, depth: int, hops: int) -> None:
    """A bounded chain is a part of the whole one, and is marked when anything is left out."""
    graph = Graph(events)
    for id in (id for id in graph.ids if id in graph):
        for walk in (upstream, downstream):
            whole = {hop.id: hop.depth for hop in walk(graph, id, follow=follow).hops}
            part = walk(graph, id, follow=follow, max_depth=depth, max_hops=hops)
            kept = {hop.id: hop.depth for hop in part.hops}
            assert kept.items() <= whole.items()
            assert len(kept) <= hops and max(kept.values()) <= depth
            assert part.cut == (len(kept) < len(whole))


@given(some_events(), st.data())
def test_the_order_of_adding_changes_no_answer(events: list[Event], data: st.DataObject) -> None:
    """Events may come from any number of files, in any order."""
    one_each = list({event.id: event for event in events}.values())
    graph, shuffled = Graph(one_each), Graph(data.draw(st.permutations(one_each)))
    for event in one_each:
        assert graph.causes(event.id) == shuffled.causes(event.id)
        assert set(graph.effects(event.id)) == set(shuffled.effects(event.id))


def test_a_chain_of_many_thousand_hops_is_walked_whole() -> None:
    """No recursion: the longest chain is only a longer loop."""
    graph = Graph(a_log(str(n), *([str(n - 1)] if n else []), time=n) for n in range(LONG))
    up = upstream(graph, str(LONG - 1))
    assert [hop.id for hop in up.hops] == [str(n) for n in range(LONG)]
    assert up.hops[0].depth == LONG - 1
    assert len(downstream(graph, "0").hops) == LONG
    cut = upstream(graph, str(LONG - 1), max_depth=10)
    assert cut.cut and [hop.beyond for hop in cut.hops] == [1] + [0] * 10


def test_a_cycle_of_many_thousand_events_is_reported_once() -> None:
    """Even a cycle has no length at which it breaks the walk."""
    graph = Graph(a_log(str(n), str((n - 1) % LONG), time=n) for n in range(LONG))
    chain = upstream(graph, "5")
    assert len(chain.hops) == LONG and len(chain.cycles) == 1 and len(chain.cycles[0]) == LONG


def test_a_wide_fan_in_keeps_every_cause() -> None:
    """More causes than a span could have links."""
    graph = Graph([*(a_log(f"c{n}") for n in range(5_000)), a_log("end", *(f"c{n}" for n in range(5_000)))])
    chain = upstream(graph, "end")
    assert len(chain.hops) == 5_001 and len(chain.hops[-1].causes) == 5_000


def test_a_diamond_stands_in_causal_order_once_each() -> None:
    """Two ways to the same root are one root."""
    graph = Graph(
        [a_log("end", "l", "r", time=4), a_log("r", "root", time=3), a_log("l", "root", time=2), a_log("root")]
    )
    assert [hop.id for hop in upstream(graph, "end").hops] == ["root", "l", "r", "end"]
    assert [hop.id for hop in downstream(graph, "root").hops] == ["root", "l", "r", "end"]
    assert upstream(graph, "end").hops[-1].causes == (Tie("l", Basis.RECORDED), Tie("r", Basis.RECORDED))


def test_missing_causes_are_named_on_the_hop() -> None:
    """A chain that begins with something nowhere says so."""
    chain = upstream(Graph([a_log("2", "1", "0"), a_log("1", "gone")]), "2")
    assert [(hop.id, hop.missing) for hop in chain.hops] == [("1", ("gone",)), ("2", ("0",))]
    assert not chain.cut


def test_an_event_that_caused_itself_is_a_cycle_of_one() -> None:
    """The shortest of cycles."""
    for walk in (upstream, downstream):
        chain = walk(Graph([a_log("1", "1")]), "1")
        assert chain.cycles == (("1",),) and len(chain.hops) == 1


def test_an_event_that_is_not_there_has_no_chain() -> None:
    """Asking about nothing is an error, not an empty answer."""
    with pytest.raises(NotFoundError):
        upstream(Graph(), "1")
