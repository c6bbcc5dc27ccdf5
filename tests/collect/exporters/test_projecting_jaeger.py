"""Forwarded traces and events in a real Jaeger. Run where a program `jaeger` (2.x) is on PATH."""

from pathlib import Path
from typing import Any

from build_backend import a_sender, stopped
from build_jaeger import a_jaeger, follows, in_jaeger, needs_jaeger
from build_processors import a_log, a_span, logs, spans
from waiting import until
from whence.event import names
from whence.otlp.project import projected_span_id
from whence.otlp.shown import trace_of_run
from whence.otlp.value import pairs

TRACE, FIRST, SECOND = "a" * 32, "1" * 16, "2" * 16
UIDS = {name: f"01J0000000000000000000000{n}" for n, name in enumerate(("ask", "wake", "fail"))}


def an_event(name: str, *causes: str, **fields: Any) -> dict[str, Any]:
    """A log record of whence's."""
    record = a_log(f"it did {name}", **fields)
    said = {names.ID: UIDS[name], names.RUN: "town", names.CAUSED_BY: list(causes)}
    return {**record, "attributes": pairs(said), "eventName": name, "timeUnixNano": "1700000000000000005"}


@needs_jaeger
def test_a_jaeger_shows_events_with_their_links(tmp_path: Path) -> None:
    """Forwarded spans keep their links and events; events are spans that refer to their causes, also across traces."""
    with a_jaeger(tmp_path) as jaeger:
        sender = a_sender("http", f"http://127.0.0.1:{jaeger.otlp}", projections="instants")
        first = a_span("first", traceId=TRACE, spanId=FIRST, events=[{"name": "half way", "timeUnixNano": "5"}])
        second = a_span("second", traceId=TRACE, spanId=SECOND, links=[{"traceId": TRACE, "spanId": FIRST}])
        sender.consume(spans(first, second, resource={"service.name": "town"}))
        sender.consume(logs(an_event("ask", traceId=TRACE, spanId=FIRST), resource={"service.name": "town"}))
        wake = an_event("wake", UIDS["ask"], f"span:{TRACE}-{SECOND}")
        fail = an_event("fail", UIDS["wake"], severityNumber=17)
        sender.consume(logs(wake, fail, a_log("no event"), resource={"service.name": "town"}))
        run = trace_of_run("town")
        until(lambda: len(in_jaeger(jaeger, TRACE)) == len(in_jaeger(jaeger, run)) == 2)
        stopped(sender)
        recorded, events = in_jaeger(jaeger, TRACE), in_jaeger(jaeger, run)
    assert follows(recorded["second"]) == {(TRACE, FIRST)}
    assert [field["value"] for log in recorded["first"]["logs"] for field in log["fields"]] == ["half way"]
    assert follows(events["wake"]) == {(TRACE, FIRST), (TRACE, SECOND)}
    assert follows(events["fail"]) == {(run, f"{projected_span_id(UIDS['wake']):016x}")}
    tags = {tag["key"]: tag["value"] for tag in events["fail"]["tags"]}
    assert tags["error"] is True
    assert tags[names.ID] == UIDS["fail"]
    assert events["fail"]["duration"] == 0
