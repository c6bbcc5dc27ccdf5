"""The graph of causes: what is recorded, what is inferred, and what is nowhere."""

import pytest

from whence.causality.graph import Basis, Follow, Graph, Tie
from whence.errors import NotFoundError
from whence.event.model import Event

TRACE = "0af7651916cd43dd8448eb211c80319c"
HERE = {"service.instance.id": "one"}


def a_log(id: str, time: int = 1, **fields: object) -> Event:
    """A log event of the given id."""
    return Event(id=id, type="t", time=time, **fields)  # type: ignore[arg-type]


def a_span(span: str, parent: str | None = None, time: int = 1, **fields: object) -> Event:
    """A span of one trace."""
    return Event(
        id=f"span:{TRACE}-{span}",
        type="work",
        time=time,
        signal="span",
        trace_id=TRACE,
        span_id=span,
        parent_span_id=parent,
        **fields,  # type: ignore[arg-type]
    )


A, B = "a" * 16, "b" * 16


def test_a_recorded_cause_is_an_edge_both_ways() -> None:
    """`caused_by` says what an event's causes are, and so what a cause's effects are."""
    graph = Graph([a_log("1"), a_log("2", caused_by=("1",))])
    assert graph.causes("2") == [Tie("1", Basis.RECORDED)]
    assert graph.effects("1") == [Tie("2", Basis.RECORDED)]


def test_causes_keep_the_order_the_program_gave_and_stand_once() -> None:
    """An event may name several causes, even the same one twice."""
    graph = Graph([a_log("3", caused_by=("2", "1", "2")), a_log("1"), a_log("2")])
    assert [tie.id for tie in graph.causes("3")] == ["2", "1"]


def test_an_event_in_a_span_is_inferred_to_come_from_it() -> None:
    """A log event without causes of its own is led back to the span it happened in, and that to its parent."""
    graph = Graph([a_span(A), a_span(B, A), a_log("1", trace_id=TRACE, span_id=B)])
    assert graph.causes("1") == [Tie(f"span:{TRACE}-{B}", Basis.ENCLOSING_SPAN)]
    assert graph.causes(f"span:{TRACE}-{B}") == [Tie(f"span:{TRACE}-{A}", Basis.PARENT_SPAN)]
    assert graph.effects(f"span:{TRACE}-{B}") == [Tie("1", Basis.ENCLOSING_SPAN)]


def test_a_recorded_cause_silences_guesses_unless_all_are_asked_for() -> None:
    """What the program said is not diluted by what could be guessed."""
    graph = Graph([a_log("0"), a_span(A), a_log("1", trace_id=TRACE, span_id=A, caused_by=("0",))])
    assert graph.causes("1") == [Tie("0", Basis.RECORDED)]
    assert graph.effects(f"span:{TRACE}-{A}") == []
    assert Tie(f"span:{TRACE}-{A}", Basis.ENCLOSING_SPAN) in graph.causes("1", Follow.ALL)
    assert graph.effects(f"span:{TRACE}-{A}", Follow.ALL) == [Tie("1", Basis.ENCLOSING_SPAN)]


def test_recorded_only_infers_nothing() -> None:
    """`Follow.RECORDED` knows neither spans nor agents."""
    graph = Graph([a_span(A), a_log("1", trace_id=TRACE, span_id=A, agent="a"), a_log("2", time=2, agent="a")])
    assert graph.causes("1", Follow.RECORDED) == graph.causes("2", Follow.RECORDED) == []


def test_the_previous_event_of_an_agent_is_the_last_resort() -> None:
    """An event with no cause and no span follows what the same agent did before in the same run."""
    graph = Graph([a_log("1", time=5, agent="a", run="r"), a_log("2", time=9, agent="a", run="r")])
    graph.add(a_log("other run", time=8, agent="a", run="s"))
    graph.add(a_log("other agent", time=8, agent="b", run="r"))
    assert graph.causes("2") == [Tie("1", Basis.PREVIOUS_OF_AGENT)]
    assert graph.effects("1") == [Tie("2", Basis.PREVIOUS_OF_AGENT)]
    graph.add(a_log("between", time=7, agent="a", run="r"))
    assert graph.causes("2") == [Tie("between", Basis.PREVIOUS_OF_AGENT)]


def test_within_one_process_seq_tells_which_event_was_previous() -> None:
    """A clock that jumped back does not turn an agent's story round."""
    graph = Graph(
        [a_log("1", time=99, seq=1, agent="a", resource=HERE), a_log("2", time=5, seq=2, agent="a", resource=HERE)]
    )
    assert graph.causes("2") == [Tie("1", Basis.PREVIOUS_OF_AGENT)]
    assert graph.causes("1") == []


def test_a_span_that_is_nowhere_gives_way_to_the_previous_event() -> None:
    """A span cut off by a crash cannot be shown, so the next best guess is."""
    graph = Graph([a_log("1", agent="a"), a_log("2", time=2, agent="a", trace_id=TRACE, span_id=A)])
    assert graph.causes("2") == [Tie("1", Basis.PREVIOUS_OF_AGENT)]
    graph.add(a_span(A))
    assert graph.causes("2") == [Tie(f"span:{TRACE}-{A}", Basis.ENCLOSING_SPAN)]


def test_a_missing_cause_is_known_by_its_id_until_it_arrives() -> None:
    """A cause that is nowhere is neither dropped nor made up."""
    graph = Graph([a_log("2", caused_by=("1",))])
    assert list(graph.missing()) == [("1", ["2"])]
    assert "1" not in graph and len(graph) == 1
    graph.add(a_log("1"))
    assert list(graph.missing()) == [] and len(graph) == 2


def test_the_first_event_of_an_id_counts() -> None:
    """The same event read twice adds nothing."""
    graph = Graph([a_log("1"), a_log("2", caused_by=("1",)), a_log("2", caused_by=("9",))])
    assert [tie.id for tie in graph.causes("2")] == ["1"]


def test_an_unknown_id_is_told_from_a_missing_cause() -> None:
    """The message says whether anybody ever named the id."""
    graph = Graph([a_log("2", caused_by=("1",))])
    with pytest.raises(NotFoundError, match="others name it"):
        graph.causes("1")
    with pytest.raises(NotFoundError, match="there is none"):
        graph.causes("no such")


def test_times_beyond_64_bits_do_not_upset_the_graph() -> None:
    """Whatever a file claims its times to be, its causes can be walked."""
    graph = Graph([a_log("1", time=-5, seq=1 << 80), a_log("2", time=1 << 70, caused_by=("1",))])
    assert graph.causes("2") == [Tie("1", Basis.RECORDED)]
