"""What is found wrong with recorded causes, and what is not."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from whence.causality.checks import Fault, Finding, check
from whence.causality.graph import Graph
from whence.event.model import Event

TRACE = "0af7651916cd43dd8448eb211c80319c"
SECOND = 1_000_000_000


def a_log(id: str, *caused_by: str, time: int = 0, **fields: object) -> Event:
    """A log event with its causes."""
    return Event(id=id, type="t", time=time, caused_by=caused_by, **fields)  # type: ignore[arg-type]


def found(events: Iterable[Event], **options: int) -> list[Finding]:
    """All that is wrong with these events."""
    return list(check(Graph(events), **options))


def test_a_sound_story_has_no_findings() -> None:
    """Nothing is held against recorded causes that are there and earlier."""
    assert found([a_log("1"), a_log("2", "1", time=5), a_log("3", "1", "2", time=6)]) == []


def test_a_cycle_is_found_once_and_told_in_causal_order() -> None:
    """What follows from a cycle is not part of it."""
    findings = found([a_log("1", "3"), a_log("2", "1"), a_log("3", "2"), a_log("after", "3")])
    assert findings == [Finding(Fault.CYCLE, ("1", "2", "3"))]


def test_a_cause_later_by_the_clock_is_found_beyond_the_tolerance() -> None:
    """Clocks of different computers differ, so a little later is not too late."""
    events = [a_log("effect", "cause", time=0), a_log("cause", time=2 * SECOND)]
    assert found(events) == [Finding(Fault.LATER, ("cause", "effect"), late_ns=2 * SECOND)]
    assert found(events, tolerance_ns=2 * SECOND) == []


def test_within_a_process_seq_decides_and_not_the_clock() -> None:
    """A clock set back by an hour makes no cause late; a wrong order of emitting does."""
    here = {"host.name": "h", "process.pid": 7}
    jumped = [
        a_log("cause", time=3600 * SECOND, seq=1, resource=here),
        a_log("effect", "cause", seq=2, resource=here),
    ]
    assert found(jumped) == []
    wrong = [a_log("cause", time=6, seq=2, resource=here), a_log("effect", "cause", time=5, seq=1, resource=here)]
    assert found(wrong) == [Finding(Fault.LATER, ("cause", "effect"), late_ns=1)]


def test_a_forked_child_that_shares_its_parents_resource_raises_no_false_alarm() -> None:
    """Both go on counting from the same number, so that `seq` alone says nothing."""
    assert found([a_log("cause", time=5, seq=9), a_log("effect", "cause", time=6, seq=3)]) == []


def test_seq_says_nothing_across_processes_or_runs() -> None:
    """Each process counts for itself."""
    one, two = {"service.instance.id": "1"}, {"service.instance.id": "2"}
    assert found([a_log("cause", seq=9, resource=one), a_log("effect", "cause", seq=1, resource=two)]) == []
    assert (
        found([a_log("cause", seq=9, resource=one, run="r"), a_log("effect", "cause", seq=1, resource=one, run="s")])
        == []
    )


def test_a_missing_cause_is_found_for_each_event_that_names_it() -> None:
    """The finding says who named what."""
    assert found([a_log("1", "gone"), a_log("2", "gone", "1")]) == [
        Finding(Fault.MISSING, ("1",), names="gone"),
        Finding(Fault.MISSING, ("2",), names="gone"),
    ]


def test_an_orphan_names_a_span_that_is_nowhere_and_no_cause() -> None:
    """With a recorded cause, or with its span there, an event is not cut off."""
    span = "a" * 16
    inside = {"trace_id": TRACE, "span_id": span}
    assert found([a_log("1", **inside)]) == [Finding(Fault.ORPHAN, ("1",), names=f"span:{TRACE}-{span}")]
    assert found([a_log("0"), a_log("1", "0", **inside)]) == []
    there = Event(id=f"span:{TRACE}-{span}", type="s", time=0, signal="span", **inside)
    assert found([a_log("1", **inside), there]) == []


@given(st.lists(st.lists(st.integers(0, 8), max_size=3), max_size=8))
def test_a_cycle_is_found_exactly_where_there_is_one(causes: list[list[int]]) -> None:
    """Against the naive way: an event is in a cycle where it is among the causes of its causes."""
    events = [a_log(str(n), *map(str, named)) for n, named in enumerate(causes)]
    cycles = [set(one.events) for one in found(events) if one.fault is Fault.CYCLE]
    ancestors = {n: set(named) for n, named in enumerate(causes)}
    for _ in causes:
        for reached in ancestors.values():
            reached.update(*(ancestors.get(cause, ()) for cause in tuple(reached)))
    cyclic = {str(n) for n, reached in ancestors.items() if n in reached}
    assert set().union(*cycles) <= cyclic
    assert bool(cycles) == bool(cyclic)
    knots = {frozenset(str(m) for m in ancestors[int(n)] if int(n) in ancestors.get(m, ())) for n in cyclic}
    assert len(cycles) == len(knots)
