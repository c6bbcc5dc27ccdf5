"""What an exporter to a trace viewer sends in place of log records: events as spans, linked to their causes."""

from typing import Any

import pytest

from build_backend import Backend, a_sender, stopped
from build_processors import a_log, a_span, logs, spans
from whence.collect.batch import Batch
from whence.collect.exporters import projecting
from whence.collect.exporters.projecting import Projecting
from whence.event import names
from whence.otlp import wire
from whence.otlp.decode import Place, events_of
from whence.otlp.project import projected_span_id
from whence.otlp.shown import trace_of_run
from whence.otlp.value import pairs

TRACE, FIRST, SECOND = "a" * 32, "1" * 16, "2" * 16
UIDS = {name: f"01J0000000000000000000000{n}" for n, name in enumerate(("ask", "wake", "fail"))}


def an_event(name: str, *causes: str, **fields: Any) -> dict[str, Any]:
    """A log record of whence's."""
    said = {names.ID: UIDS[name], names.RUN: "town", names.PAYLOAD: {"deep": {"n": 1}}}
    record = a_log(f"it did {name}", **fields)
    record["attributes"] = pairs({**said, names.CAUSED_BY: list(causes)} if causes else said)
    return {**record, "eventName": name, "timeUnixNano": "1700000000000000005"}


def some_events() -> Batch:
    """One in a span; one in none, caused by it and by a span; one caused by that; and a line of text that is no event."""
    return logs(
        an_event("fail", UIDS["wake"], severityNumber=17),
        an_event("ask", traceId=TRACE, spanId=FIRST),
        an_event("wake", UIDS["ask"], f"span:{TRACE}-{SECOND}"),
        a_log("no event"),
        resource={"service.name": "town"},
    )


def shown(batch: Batch | None) -> dict[str, dict[str, Any]]:
    """The spans of a batch by name."""
    tree = batch.opened().tree or {} if batch else {}
    found = [span for group in tree.get("resourceSpans", ()) for part in group["scopeSpans"] for span in part["spans"]]
    assert len({span["name"] for span in found}) == len(found)
    return {span["name"]: span for span in found}


def targets(span: dict[str, Any]) -> list[tuple[str, str]]:
    """Where its links lead."""
    return [(link["traceId"], link["spanId"]) for link in span.get("links", ())]


def own(name: str) -> str:
    """The span that an event is shown as."""
    return f"{projected_span_id(UIDS[name]):016x}"


def test_events_without_a_span_are_spans_linked_to_their_causes() -> None:
    """Wherever these stand in the request, and whether they are events or spans."""
    found = shown(Projecting("instants")(some_events()))
    run = trace_of_run("town")
    assert set(found) == {"wake", "fail"}
    assert targets(found["wake"]) == [(TRACE, FIRST), (TRACE, SECOND)]
    assert targets(found["fail"]) == [(run, own("wake"))]
    assert (found["wake"]["traceId"], found["wake"]["spanId"]) == (run, own("wake"))
    assert found["wake"]["startTimeUnixNano"] == found["wake"]["endTimeUnixNano"] == "1700000000000000005"
    assert found["fail"]["status"] == {"code": 2}


def test_events_in_spans_can_be_spans_below_them() -> None:
    """For programs that do not put them there themselves; links lead to where the event is shown then."""
    found = shown(Projecting("events")(some_events()))
    assert set(found) == {"ask", "wake", "fail"}
    assert (found["ask"]["traceId"], found["ask"]["parentSpanId"]) == (TRACE, FIRST)
    assert targets(found["wake"]) == [(TRACE, own("ask")), (TRACE, SECOND)]


def test_causes_in_earlier_requests_are_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as the memory reaches; beyond it a link leads to where the cause would be without a trace of its own."""
    monkeypatch.setattr(projecting, "_KNOWN", 2)
    project = Projecting("instants")
    assert project(logs(an_event("ask", traceId=TRACE, spanId=FIRST))) is None
    assert targets(shown(project(logs(an_event("wake", UIDS["ask"]))))["wake"]) == [(TRACE, FIRST)]
    project(logs(an_event("fail"), an_event("wake")))
    assert targets(shown(project(logs(an_event("wake", UIDS["ask"]))))["wake"]) == [(trace_of_run("town"), own("ask"))]


def test_an_event_of_somebody_elses_is_shown_once_however_often_it_is_sent() -> None:
    """It has no id of its own: the same request gives the same spans, another one others."""
    twice = [shown(Projecting("instants")(logs({**a_log("x"), "eventName": "theirs"}))) for _ in range(2)]
    other = shown(Projecting("instants")(logs({**a_log("y"), "eventName": "theirs"})))
    assert twice[0] == twice[1]
    assert twice[0]["theirs"]["spanId"] != other["theirs"]["spanId"]


def test_read_back_they_are_the_events_they_came_from() -> None:
    """The id, the causes, the payload and the words: nobody sees an event twice."""
    batch = Projecting("events")(some_events())
    assert batch is not None
    [line] = [line.data for line in batch.lines().lines]
    back = {event.type: event for event in events_of(line, Place("s", 0))}
    there = {event.type: event for event in events_of(some_events().tree or {}, Place("s", 0)) if event.type}
    for name, event in there.items():
        assert (back[name].id, back[name].caused_by) == (event.id, event.caused_by)
        assert (back[name].payload, back[name].description) == (event.payload, event.description)


@pytest.mark.parametrize("by", ["http", "grpc"])
def test_the_backend_gets_spans_and_no_logs(backend: Backend, by: str) -> None:
    """Traces go on as they came; log records that name no event are not sent."""
    sender = a_sender(by, backend, projections="instants")
    for batch in (spans(a_span()), some_events(), logs(a_log("no event"))):
        sender.consume(batch)
    stopped(sender)
    assert [signal for signal, _ in backend.kept] == ["traces", "traces"]
    names_ = {name for _, data in backend.kept for name in shown(Batch("traces", data=data))}
    assert names_ == {"GET /", "wake", "fail"}


def test_without_it_logs_are_logs(backend: Backend) -> None:
    """The bytes are those that came."""
    sender = a_sender("http", backend)
    sender.consume(some_events())
    stopped(sender)
    [(signal, data)] = backend.kept
    assert signal == "logs"
    assert wire.tree_of_protobuf("logs", data) == some_events().tree
