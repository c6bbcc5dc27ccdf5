"""The OTLP path beside the archive: official exporters to a real receiver, with events where trace viewers look."""

import socket
import threading
from collections.abc import Callable

import pytest
from opentelemetry import trace

import whence
from otlp_receiver import Receiver, attributes_of
from whence import ConfigError, Event, Severity
from whence.event import names
from whence.otlp.decode import Place, events_of
from whence.record.forward import protocol_of
from whence.record.recorder import Recorder

Start = Callable[..., Recorder]
Recorded = Callable[..., list[Event]]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_same_data_goes_to_the_archive_and_to_a_backend(start: Start, recorded: Recorded, protocol: str) -> None:
    """Both protocols: spans and log records arrive complete, and the archive has them too."""
    with Receiver() as receiver:
        endpoint = receiver.grpc if protocol == "grpc" else receiver.http
        start(otlp={"endpoint": endpoint, "protocol": "grpc" if protocol == "grpc" else "http/protobuf"})
        with trace.get_tracer("t").start_as_current_span("work"):
            cause = whence.log("cause", {"n": 1})
        whence.log("effect", {"n": {"deep": [1, 2]}}, caused_by=cause)
        assert whence.flush(60)
        archived = {event.type for event in recorded()}
    assert archived == {"work", "cause", "effect"}
    assert {record.event_name for record in receiver.logs} >= {"cause", "effect"}
    assert {span.name for span in receiver.spans} >= {"work", "effect"}


def test_events_appear_on_their_spans_and_as_spans_with_links(start: Start, recorded: Recorded) -> None:
    """An event in a span is a span event on it; one without is a span of no duration, linked to its causes."""
    with Receiver() as receiver:
        start(otlp=receiver.http)
        with trace.get_tracer("t").start_as_current_span("work"):
            cause = whence.decision("price", 1, {"new": 2}, agent="a7")
        lonely = whence.log("lonely")
        effect = whence.log("effect", severity=Severity.ERROR, caused_by=[cause, lonely])
        assert whence.flush(60)
        events = recorded()
    spans = {span.name: span for span in receiver.spans}
    (on_timeline,) = spans["work"].events
    assert on_timeline.name == "decision"
    assert attributes_of(on_timeline)[names.PROJECTION] == "span_event"
    assert attributes_of(on_timeline)[names.ID] == str(cause)
    shown = spans["effect"]
    assert shown.start_time_unix_nano == shown.end_time_unix_nano
    assert shown.status.code == 2
    links = {attributes_of(link)[names.CAUSE]: link for link in shown.links}
    assert links[str(cause)].span_id == spans["work"].span_id
    assert links[str(lonely)].span_id == spans["lonely"].span_id
    assert all(attributes_of(link)[names.EFFECT] == str(effect) for link in shown.links)
    assert spans["lonely"].trace_id == shown.trace_id  # one trace a run for what has none
    # the archive has each event once, as itself: projections are sent, never stored
    assert [event.type for event in events if event.signal == "span_event"] == []
    assert sorted(event.type for event in events) == ["decision", "effect", "lonely", "work"]


def test_what_was_sent_reads_back_as_the_events_it_came_from(start: Start, recorded: Recorded) -> None:
    """A file of another tool that kept our projections gives the original events, by their own ids."""
    from google.protobuf.json_format import MessageToDict

    with Receiver() as receiver:
        start(otlp=receiver.http)
        with trace.get_tracer("t").start_as_current_span("work"):
            whence.decision("price", 1, {"new": [1, {"x": None}]}, agent="a7", turn=3)
        whence.log("lonely", {"a": {"b": 1}}, severity=Severity.WARN, description="alone")
        assert whence.flush(60)
        originals = {event.type: event for event in recorded()}
    for request in receiver.requests:
        line = MessageToDict(request)
        if "resourceSpans" not in line:
            continue
        for event in events_of(with_hex_ids(line), Place("x", 0)):
            original = originals.get(event.type)
            if original is None or original.signal == "span":
                continue
            for field in ("id", "type", "time", "agent", "turn", "payload", "severity", "description", "kind", "seq"):
                assert getattr(event, field) == getattr(original, field), field
            assert event.signal == "log"


def with_hex_ids(value: object) -> dict:  # type: ignore[type-arg]
    """Protobuf's JSON writes ids in base64; OTLP's in hex."""
    import base64

    if isinstance(value, dict):
        return {
            key: base64.b64decode(item).hex()
            if key in ("traceId", "spanId", "parentSpanId")
            else int({"SPAN_KIND_INTERNAL": 1}.get(item, 0))
            if key == "kind"
            else {"STATUS_CODE_ERROR": 2}.get(item, 0)
            if key == "code"
            else with_hex_ids(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [with_hex_ids(item) for item in value]  # type: ignore[return-value]
    return value  # type: ignore[return-value]


def test_a_dead_backend_costs_the_archive_nothing(start: Start, recorded: Recorded) -> None:
    """Nobody listens: the archive is complete, and the end of the program does not hang on it."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        start(otlp={"endpoint": f"http://127.0.0.1:{unused.getsockname()[1]}", "timeout": 0.2})
        for n in range(100):
            whence.log("e", {"n": n})
        ending = threading.Thread(target=whence.shutdown, args=(2.0,))
        ending.start()
        ending.join(60)
        assert not ending.is_alive()
    assert [event.payload["n"] for event in recorded()] == list(range(100))


@pytest.mark.parametrize(
    ("endpoint", "asked", "protocol"),
    [
        ("http://localhost:4317", None, "grpc"),
        ("localhost:4317", None, "grpc"),
        ("http://localhost:4318", None, "http/protobuf"),
        ("https://tempo.example/otlp", None, "http/protobuf"),
        ("http://localhost:4317", "http/protobuf", "http/protobuf"),
    ],
)
def test_the_protocol_follows_the_port_unless_said(endpoint: str, asked: str | None, protocol: str) -> None:
    """4317 is OTLP/gRPC's port; everything else speaks HTTP."""
    assert protocol_of(endpoint, asked) == protocol


def test_a_wrong_endpoint_is_an_error_that_names_the_setting(start: Start) -> None:
    """The message says which setting is wrong, before anything is recorded."""
    with pytest.raises(ConfigError, match="otlp"):
        start(otlp={"endpoint": "http://localhost:4318", "protocol": "carrier-pigeon"})
