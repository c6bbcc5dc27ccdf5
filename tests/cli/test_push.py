"""`whence push` as it is typed: to a real collector, to a real Jaeger, and to a backend that refuses."""

import json
from pathlib import Path

import pytest

from build import START, TRACE, Built, a_span, an_archive, an_event
from build_backend import Say, a_backend
from build_cli import Ask
from build_clients import whence_collector
from build_jaeger import a_jaeger, follows, in_jaeger, needs_jaeger
from waiting import until
from whence.archive.reader import Archive
from whence.event import names
from whence.otlp import wire
from whence.otlp.project import projected_span_id
from whence.otlp.shown import trace_of_run

FIRST, SECOND = "1" * 16, "2" * 16
OTHER = "b" * 32


def a_metric() -> Built:
    """A counter with two points."""
    points = [{"timeUnixNano": str(START + n), "asInt": str(n)} for n in range(2)]
    metric = {"name": "sent", "sum": {"dataPoints": points, "aggregationTemporality": 2, "isMonotonic": True}}
    group = {"resource": {"attributes": []}, "scopeMetrics": [{"scope": {"name": "x"}, "metrics": [metric]}]}
    return Built("", "metrics", {"resourceMetrics": [group]}, START, "run-1")


def a_town() -> list[Built]:
    """Two spans in traces of their own, the second linked to the first; events in the first, and in none."""
    ask = an_event("ask", id="01J00000000000000000000001", span=FIRST, description="it asked")
    wake = an_event("wake", ask, f"span:{OTHER}-{SECOND}", id="01J00000000000000000000002")
    fail = an_event("fail", wake, id="01J00000000000000000000003", payload={"n": {"deep": [1, None]}})
    first = a_span("first", span=FIRST)
    second = a_span("second", trace=OTHER, span=SECOND)
    second.data["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["links"] = [{"traceId": TRACE, "spanId": FIRST}]
    return [first, second, ask, wake, fail]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_collector_has_everything_that_the_archive_has(tmp_path: Path, whence: Ask, protocol: str) -> None:
    """Events, spans and metrics, the same when they are read; and as many as were told of."""
    archive = an_archive(tmp_path / "here", [*a_town(), a_metric(), *(an_event() for _ in range(1_200))])
    with whence_collector(tmp_path / "there") as server:
        url = f"{protocol}://127.0.0.1:{server.http if protocol == 'http' else server.grpc}"
        answer = whence("push", "-a", archive, "--otlp", url, "--json")
        assert answer.code == 0, answer.err
        assert answer.json == {"sent": {"traces": 2, "logs": 1_203, "metrics": 2}, "refused": {}, "unreadable": 0}
        assert "sent 2 spans, 1,203 log records, 2 data points to" in answer.err
    there = {event.id: event for event in Archive(server.archive).events()}
    assert there == {event.id: event for event in Archive(archive).events()}
    assert any(b'"sent"' in line.data for line in Archive(server.archive).lines())


def test_only_what_is_chosen_is_sent(tmp_path: Path, whence: Ask) -> None:
    """By a filter, by the usual options, by signal; with a filter no metrics."""
    archive = an_archive(tmp_path / "a", [*a_town(), an_event("step", run="run-2")])
    with a_backend() as backend:
        for options, sent in (
            (["--run", "run-2"], {"logs": 1}),
            (["type IN ('first', 'wake')"], {"traces": 1, "logs": 1}),
            (["--signals", "traces"], {"traces": 2}),
            (["--type", "nothing"], {}),
        ):
            answer = whence("push", *options, "-a", archive, "--otlp", backend.http, "--json")
            assert (answer.code, answer.json["sent"]) == (0, sent), answer.err


def test_requests_are_bounded_and_tried_again(tmp_path: Path, whence: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many lines go in several requests; one that the backend is too busy for goes again, and nothing goes twice."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=k")
    text = "x" * 100_000
    archive = an_archive(tmp_path / "a", (an_event(f"step{n}", description=text) for n in range(40)))
    with a_backend() as backend:
        backend.answers = [Say(), Say(503)]
        answer = whence("push", "-a", archive, "--otlp", backend.http)
        assert answer.code == 0 and "sent 40 log records" in answer.err and "503; trying again" in answer.err
        assert len(backend.kept) == 4 and all(len(data) <= 1_100_000 for _, data in backend.kept)
        assert len(backend.seen) == 5 and all(headers["x-key"] == "k" for _, headers in backend.seen)
        assert len(backend.bodies()) == 40


def test_what_is_refused_is_counted_and_keeps_nothing_else_back(tmp_path: Path, whence: Ask) -> None:
    """One bad line of many, with the backend's words; and records that a backend says it left out."""
    archive = an_archive(tmp_path / "a", (an_event(description="poison" if n == 4 else "good") for n in range(9)))
    with a_backend() as backend:
        backend.poison = "poison"
        answer = whence("push", "-a", archive, "--otlp", f"http://{backend.grpc}", "--protocol", "grpc")
        assert answer.code == 3 and "sent 8 log records" in answer.err and "1 log record refused" in answer.err
        backend.poison = None
        body = b"\x0a\x0c\x08\x02\x12\x08too old."
        backend.always = Say(body=body)
        answer = whence("push", "-a", archive, "--otlp", backend.http, "--json")
        assert answer.code == 3 and "the backend said: too old." in answer.err
        assert (answer.json["sent"], answer.json["refused"]) == ({"logs": 7}, {"logs": 2})


def test_what_cannot_be_mended_ends_it_and_says_what_to_do(tmp_path: Path, whence: Ask) -> None:
    """A backend that takes no log records, one that is not there, and usage that is wrong."""
    archive = an_archive(tmp_path / "a", a_town())
    with a_backend() as backend:
        backend.always = Say(404)
        answer = whence("push", "-a", archive, "--otlp", backend.http)
        assert answer.code == 3 and "404" in answer.err and "--projections events" in answer.err
        assert len(backend.seen) == 1
    away = ["push", "-a", archive, "--otlp", "http://127.0.0.1:1", "--retry", "0"]
    answer = whence(*away, "--json")
    assert answer.code == 3 and "cannot reach http://127.0.0.1:1" in answer.json["trouble"]
    for wrong in (["--otlp", "nowhere"], ["--otlp", "http://x", "--signals", "trace"], []):
        answer = whence("push", "-a", archive, *wrong)
        assert answer.code == 2 and answer.out == "", answer.err
    assert whence("push", "-a", tmp_path / "none", "--otlp", "http://x").code == 1


def test_projected_events_come_in_place_of_log_records(tmp_path: Path, whence: Ask) -> None:
    """Instants: those in no span; events: all. Metrics are left out, and whence reads them as the events they came from."""
    archive = an_archive(tmp_path / "a", [*a_town(), a_metric()])
    for kind, spans in (("instants", 4), ("events", 5)):
        with a_backend() as backend:
            answer = whence("push", "-a", archive, "--otlp", backend.http, "--projections", kind, "--json")
            assert answer.json["sent"] == {"traces": spans}, answer.err
            assert {signal for signal, _ in backend.kept} == {"traces"}
            there = tmp_path / kind
            there.mkdir()
            lines = [line.data for _, data in backend.kept for line in wire.lines_of_protobuf("traces", data).lines]
            (there / "traces.jsonl").write_bytes(b"".join(lines))
            ids = {event.id for event in Archive(archive).events()}
            assert {event.id for event in Archive(there).events()} == ids - (
                {"01J00000000000000000000001"} if kind == "instants" else set()
            )


@needs_jaeger
def test_a_jaeger_shows_what_was_pushed(tmp_path: Path, whence: Ask) -> None:
    """Links between spans, span events, and log events with links to their causes across traces."""
    archive = an_archive(tmp_path / "a", a_town())
    with a_jaeger(tmp_path / "jaeger") as jaeger:
        url = f"http://127.0.0.1:{jaeger.otlp}"
        refused = whence("push", "-a", archive, "--otlp", url)
        assert refused.code == 3 and "--projections events" in refused.err
        answer = whence("push", "-a", archive, "--otlp", url, "--projections", "events")
        assert answer.code == 0 and "sent 5 spans" in answer.err, answer.err
        run = trace_of_run("run-1")
        until(lambda: len(in_jaeger(jaeger, run)) == 2 and len(in_jaeger(jaeger, TRACE)) == 2)
        first, other, events = in_jaeger(jaeger, TRACE), in_jaeger(jaeger, OTHER), in_jaeger(jaeger, run)
    ask = (TRACE, f"{projected_span_id('01J00000000000000000000001'):016x}")
    assert first["ask"]["references"][0] == {"refType": "CHILD_OF", "traceID": TRACE, "spanID": FIRST}
    assert follows(other["second"]) == {(TRACE, FIRST)}
    assert follows(events["wake"]) == {ask, (OTHER, SECOND)}
    assert follows(events["fail"]) == {(run, f"{projected_span_id('01J00000000000000000000002'):016x}")}
    tags = {tag["key"]: tag["value"] for tag in events["fail"]["tags"]}
    assert tags[names.ID] == "01J00000000000000000000003"
    assert json.loads(tags[names.PAYLOAD]) == {"n": {"deep": [1, None]}}
