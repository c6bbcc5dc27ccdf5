"""Traces out of an archive: found by everything Jaeger can ask, summed up, given whole, and no more than a caller may see."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from build import START, Built, an_event
from build_traces import SECOND, a_whole_span, many_spans, span_id, trace_id, write_traces
from whence.event import names
from whence.event.kinds import Severity
from whence.filter.parse import parse
from whence.index.engine import Engine
from whence.otlp.project import projected_span_id, projected_trace_id
from whence.serve.access.caller import ANYBODY, Caller
from whence.serve.access.mask import Mask
from whence.serve.jaeger.lists import Dependency, Operation
from whence.serve.jaeger.search import Search
from whence.serve.jaeger.traces import TraceStore
from whence.serve.settings import MaskSettings


def a_store(directory: Path, records: Iterable[Built], *, indexed: bool = False) -> TraceStore:
    return TraceStore(Engine(write_traces(directory, records), worthwhile=0 if indexed else 1 << 20))


def found(store: TraceStore, caller: Caller = ANYBODY, **search: object) -> list[int]:
    """The numbers of the traces that are found."""
    return [int(trace, 16) for trace in store.find(caller, Search(**search))]  # type: ignore[arg-type]


@pytest.mark.parametrize("indexed", [False, True], ids=["read from the lines", "indexed"])
def test_the_newest_traces_come_first_and_no_more_than_asked_for(tmp_path: Path, indexed: bool) -> None:
    """Of forty traces the five with the newest spans come, the newest first."""
    store = a_store(tmp_path / "a", (a_whole_span(n, n, at=n) for n in range(1, 41)), indexed=indexed)
    assert found(store, depth=5) == [40, 39, 38, 37, 36]
    assert found(store, depth=3, start_max=START + 10 * SECOND) == [10, 9, 8]


def test_an_event_on_the_span_may_say_an_attribute_and_the_span_another(tmp_path: Path) -> None:
    """Both on one span fit together; on two spans of a trace they do not."""
    store = a_store(
        tmp_path / "a",
        [
            a_whole_span(1, 1, attributes={"a": "1"}, events=[("hit", {"b": 2})]),
            a_whole_span(2, 2, attributes={"a": "1"}),
            a_whole_span(2, 3, parent=2, events=[("hit", {"b": 2})]),
        ],
    )
    assert found(store, attributes={"a": "1", "b": "2"}) == [1]
    assert sorted(found(store, attributes={"b": "2"})) == [1, 2]
    assert found(store, attributes={"a": "2"}) == []


def test_a_link_may_say_an_attribute(tmp_path: Path) -> None:
    """The index does not know what links say; the lines of the newest spans with links do."""
    spans = [
        a_whole_span(1, 1, attributes={"a": "1"}, links=[(9, 9, {"why": "retry"})]),
        a_whole_span(2, 2, links=[(9, 9, {"why": "retry"})]),
        a_whole_span(3, 3, links=[(9, 9, {"why": "other"})]),
    ]
    store = a_store(tmp_path / "a", spans)
    assert sorted(found(store, attributes={"why": "retry"})) == [1, 2]
    assert found(store, attributes={"why": "retry", "a": "1"}) == [1]


def test_log_events_are_found_and_shown_on_the_span_they_happened_in(tmp_path: Path) -> None:
    """Their attributes find the span; whole, the trace has them as span events with their ids and marks."""
    event = an_event(
        "cache.miss", span=span_id(5), trace=trace_id(7), attributes={"shard": 3}, payload={"n": {"deep": 1}}
    )
    store = a_store(tmp_path / "a", [a_whole_span(7, 5), event])
    assert found(store, attributes={"shard": "3"}) == [7]
    assert found(store, operation="cache.miss") == []
    [trace] = store.whole(ANYBODY, [trace_id(7)])
    [(_, span)] = trace.spans()
    said = {pair["key"]: pair["value"] for pair in span["events"][0]["attributes"]}
    assert span["events"][0]["name"] == "cache.miss"
    assert said[names.ID] == {"stringValue": event.id}
    assert said[names.PROJECTION] == {"stringValue": "span_event"}
    assert said[names.PAYLOAD] == {"stringValue": '{"n":{"deep":1}}'}


def test_log_events_of_no_span_are_spans_of_no_duration_linked_to_their_causes(tmp_path: Path) -> None:
    """All of a run are one trace, the same that recording projects them to."""
    cause = an_event("asked", run="r1")
    effect = an_event("answered", cause, run="r1", severity=Severity.ERROR)
    store = a_store(tmp_path / "a", [cause, effect])
    [trace] = store.find(ANYBODY, Search(operation="answered"))
    assert int(trace, 16) == projected_trace_id("r1")
    [made] = store.whole(ANYBODY, [trace])
    spans = {span["name"]: span for _, span in made.spans()}
    assert spans["answered"]["links"][0]["spanId"] == spans["asked"]["spanId"] == f"{projected_span_id(cause.id):016x}"
    assert spans["answered"]["startTimeUnixNano"] == spans["answered"]["endTimeUnixNano"] == str(effect.time)
    [summary] = store.summaries(ANYBODY, [trace])
    assert (summary.spans, summary.errors, summary.root_operation) == (2, 1, "asked")
    assert store.find(ANYBODY, Search(operation="answered", duration_min=1)) == []


def test_a_log_event_in_a_span_that_is_nowhere_is_a_span_itself(tmp_path: Path) -> None:
    """Its trace is found by its own service and name, and shows it below the span that is missing."""
    store = a_store(tmp_path / "a", [an_event("step", span=span_id(5), trace=trace_id(7))])
    assert found(store, service="tests", operation="step") == [7]
    [trace] = store.whole(ANYBODY, [trace_id(7)])
    [(_, span)] = trace.spans()
    assert (span["parentSpanId"], span["name"]) == (span_id(5), "step")
    assert store.lists.operations(ANYBODY, "tests") == [Operation("tests", "step", "internal")]
    [summary] = store.summaries(ANYBODY, [trace_id(7)])
    assert summary.orphans == 1


def test_summaries_count_services_errors_and_orphans(tmp_path: Path) -> None:
    """The root is the span without a parent; a span whose parent is nowhere is an orphan."""
    spans = [
        a_whole_span(1, 1, "root", service="a", at=1, took=10),
        a_whole_span(1, 2, "child", service="b", parent=1, at=2, status="error"),
        a_whole_span(1, 3, "lost", service="b", parent=99, at=0),
    ]
    store = a_store(tmp_path / "a", spans)
    [summary] = store.summaries(ANYBODY, [trace_id(1), trace_id(5)])
    assert (summary.root_service, summary.root_operation) == ("a", "root")
    assert (summary.start, summary.end) == (START, START + 11 * SECOND)
    assert (summary.spans, summary.errors, summary.orphans) == (3, 1, 1)
    assert {(one.service, one.spans, one.errors) for one in summary.services} == {("a", 1, 0), ("b", 2, 1)}


def test_services_operations_and_dependencies_are_listed(tmp_path: Path) -> None:
    """One row a name and kind; calls within a service are no dependency, and the window is of the child's start."""
    spans = [
        a_whole_span(1, 1, "in", service="web", kind="server"),
        a_whole_span(1, 2, "out", service="web", kind="client", parent=1, at=1),
        a_whole_span(1, 3, "get", service="db", kind="server", parent=2, at=2),
        a_whole_span(1, 4, "get", service="db", kind="server", parent=2, at=3),
        a_whole_span(2, 5, "x", service=None, kind="", at=4),
    ]
    store = a_store(tmp_path / "a", spans, indexed=True)
    assert store.lists.services(ANYBODY) == ["db", "unknown_service", "web"]
    assert store.lists.operations(ANYBODY, "web") == [
        Operation("web", "in", "server"),
        Operation("web", "out", "client"),
    ]
    assert store.lists.operations(ANYBODY, "web", "client") == [Operation("web", "out", "client")]
    assert store.lists.operations(ANYBODY, "unknown_service") == [Operation("unknown_service", "x", "")]
    assert store.lists.dependencies(ANYBODY, 0, 0) == [Dependency("web", "db", 2)]
    assert store.lists.dependencies(ANYBODY, START + 3 * SECOND, 0) == [Dependency("web", "db", 1)]
    assert found(store, service="unknown_service") == [2]


def test_a_caller_finds_and_sees_only_what_they_may(tmp_path: Path) -> None:
    """Spans, span events and log events behind the wall are not found by, counted, listed or given."""
    spans = [
        a_whole_span(1, 1, "open", service="a", events=[("seen", {"k": "v"}), ("secret", {"k": "w"})]),
        a_whole_span(1, 2, "hidden", service="b", parent=1),
        an_event("secret", span=span_id(1), trace=trace_id(1), attributes={"k": "x"}),
    ]
    store = a_store(tmp_path / "a", spans)
    caller = Caller("one", "read", parse("NOT type = 'hidden' AND NOT type = 'secret'", now=0))
    assert store.lists.services(caller) == ["a"]
    assert store.lists.services(ANYBODY) == ["a", "b"]
    assert found(store, caller, attributes={"k": "v"}) == [1]
    assert found(store, caller, attributes={"k": "w"}) == []
    assert found(store, caller, attributes={"k": "x"}) == []
    assert found(store, caller, operation="hidden") == []
    [trace] = store.whole(caller, [trace_id(1)])
    [(_, span)] = trace.spans()
    assert [event["name"] for event in span["events"]] == ["seen"]
    [summary] = store.summaries(caller, [trace_id(1)])
    assert summary.spans == 1
    assert store.lists.dependencies(caller, 0, 0) == []


def test_what_is_masked_is_hidden_in_whole_traces_and_cannot_be_searched_for(tmp_path: Path) -> None:
    """Values under a blocked key are hidden on spans, events, links, scopes and resources."""
    secret = {"password": "hunter2"}
    span = a_whole_span(1, 1, attributes=secret, resource=secret, scope_attributes=secret,
                        events=[("login", secret)], links=[(2, 2, secret)])  # fmt: skip
    store = a_store(tmp_path / "a", [span])
    caller = Caller("one", audit=True, mask=Mask(MaskSettings(blocked_key_patterns=("password",))))
    [trace] = store.whole(caller, [trace_id(1)])
    assert "hunter2" not in repr(trace.tree())
    assert repr(trace.tree()).count("password") == 5
    assert found(store, caller, attributes=secret) == []
    assert found(store, ANYBODY, attributes=secret) == [1]


def test_a_large_trace_comes_whole_in_chunks_of_bounded_size(tmp_path: Path) -> None:
    """10,008 spans, each once, in messages of at most 2 MiB."""
    store = a_store(tmp_path / "a", many_spans(3, 10_008), indexed=True)
    [trace] = store.whole(ANYBODY, [trace_id(3)])
    assert len(trace) == 10_008
    chunks = list(trace.chunks())
    assert len(chunks) > 1
    names_of = [span["spanId"] for chunk in chunks for group in chunk["resourceSpans"]
                for part in group["scopeSpans"] for span in part["spans"]]  # fmt: skip
    assert len(set(names_of)) == len(names_of) == 10_008
    [summary] = store.summaries(ANYBODY, [trace_id(3)])
    assert (summary.spans, summary.orphans) == (10_008, 0)


def test_a_span_that_stands_twice_is_given_once_and_what_projects_an_event_is_not_doubled(tmp_path: Path) -> None:
    """A batch that was sent twice, and a span event that repeats a log event which is there itself."""
    event = an_event("step", span=span_id(1), trace=trace_id(1))
    repeated = {names.ID: event.id, names.PROJECTION: "span_event"}
    span = a_whole_span(1, 1, events=[("step", repeated)])
    store = a_store(tmp_path / "a", [span, span, event])
    [trace] = store.whole(ANYBODY, [trace_id(1)])
    [(_, one)] = trace.spans()
    assert len(one["events"]) == 1


def test_unknown_traces_are_left_out(tmp_path: Path) -> None:
    """Ids that are nowhere are skipped, in summaries and whole."""
    store = a_store(tmp_path / "a", [a_whole_span(1, 1)])
    assert [trace.id for trace in store.whole(ANYBODY, [trace_id(9), trace_id(1)])] == [trace_id(1)]
    assert list(store.summaries(ANYBODY, [trace_id(9)])) == []
    assert found(store, depth=0) == []
