"""Decoding: events are what the record said, any writer's OTLP JSON is read, and no garbage does worse than a DataError."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.json.file._log_exporter import FileLogExporter
from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from build_examples import examples
from build_otlp import EXACT, KEYS, SPAN, TEXT, TIME, a_log, an_ended_span, as_read, same
from whence.errors import DataError
from whence.event import names
from whence.event.flat import to_flat
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.otlp.decode import Decoded, Place, decode, events_of, signal_of
from whence.otlp.draft import new_event
from whence.otlp.encode import encode_logs, encode_spans

PLACE = Place("logs-20260101T000000Z-host-1-ab-1", 4096)
TRACE_HEX, SPAN_HEX = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def logs(*records: Any, resource: Any = None, scope: Any = None) -> dict[str, Any]:
    """A parsed line of log records."""
    described = {} if resource is None else {"resource": resource}
    scoped = {} if scope is None else {"scope": scope}
    return {"resourceLogs": [{**described, "scopeLogs": [{**scoped, "logRecords": list(records)}]}]}


def traces(*spans: Any) -> dict[str, Any]:
    """A parsed line of spans."""
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


def text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def only(data: Any) -> Event:
    """The one event of a line with nothing bad."""
    found = decode(data, PLACE)
    assert found.bad == []
    (event,) = found.events
    return event


# --- log records ----------------------------------------------------------------------------------------------------------


def test_every_field_of_an_event_is_lifted_from_its_attribute() -> None:
    """And what is no field stays an attribute."""
    log = a_log(
        {
            names.ID: "01KDVT0000000000000000000A",
            names.KIND: "decision",
            names.RUN: "run-7",
            names.SEQ: 12,
            names.ELAPSED: 99,
            names.AGENT: "a7",
            names.TURN: 5,
            names.TASK: "t",
            names.STAGE: "build",
            names.STATUS: "ok",
            names.SOURCE: "engine",
            names.CORRELATION: "c-1",
            names.CAUSED_BY: ["01KDVT00000000000000000001", "span:x", "span:x"],
            names.PAYLOAD: {"old": None, "new": [1, b"\x00", math.inf, {}]},
            names.SCHEMA: "decision/1",
            "custom": True,
        },
        body="bought bread",
        name="decision",
        observed=TIME + 3,
        span=SPAN,
    )
    event = only(encode_logs([log]).lines[0].data)
    assert event == Event(
        id="01KDVT0000000000000000000A",
        type="decision",
        time=TIME,
        observed_time=TIME + 3,
        kind="decision",
        source="engine",
        run="run-7",
        seq=12,
        elapsed_ns=99,
        severity=Severity.INFO,
        agent="a7",
        turn=5,
        task="t",
        stage="build",
        status="ok",
        correlation="c-1",
        description="bought bread",
        caused_by=("01KDVT00000000000000000001", "span:x"),
        payload={"old": None, "new": [1, b"\x00", math.inf, {}]},
        attributes={"custom": True},
        resource={"service.name": "shop", "whence.run": "run-1"},
        scope={"name": "app.shop", "version": "2.1", "attributes": {"team": "blue"}},
        schema="decision/1",
        trace_id=TRACE_HEX,
        span_id=SPAN_HEX,
    )


@examples(40)
@given(st.dictionaries(KEYS, EXACT, max_size=4), EXACT, TEXT)
def test_what_was_encoded_is_decoded_as_it_was(attributes: dict[str, Any], body: Any, name: str) -> None:
    """Attributes, body and name of any content."""
    event = only(encode_logs([a_log(attributes, body=body, name=name)]).lines[0].data)
    assert event.type == name
    if body is not None and not isinstance(body, str) and "body" not in attributes:
        attributes = {**attributes, "body": body}
    assert same(dict(sorted(event.attributes.items())), dict(sorted(as_read(attributes).items())))
    assert event.description == (body if isinstance(body, str) else None) or "body" in attributes


def test_a_body_that_is_no_text_is_an_attribute() -> None:
    """Where that name is taken, it is the description, as JSON."""
    body = {"kvlistValue": {"values": [{"key": "n", "value": {"intValue": "1"}}]}}
    event = only(logs({"body": body}))
    assert (event.attributes, event.description) == ({"body": {"n": 1}}, None)
    event = only(logs({"body": body, "attributes": [text("body", "mine")]}))
    assert (event.attributes, event.description) == ({"body": "mine"}, '{"n":1}')


def test_the_run_is_the_records_else_the_resources_else_the_services() -> None:
    """In this order; absent, it is nobody's."""
    service, run = text("service.name", "shop"), text(names.RUN, "r2")
    assert only(logs({})).run is None
    assert only(logs({}, resource={"attributes": [service]})).run == "shop"
    assert only(logs({}, resource={"attributes": [service, run]})).run == "r2"
    assert only(logs({"attributes": [text(names.RUN, "r3")]}, resource={"attributes": [service, run]})).run == "r3"


def test_a_plain_log_line_is_an_event_without_a_type() -> None:
    """Unless an attribute hints at one, as stdlib logging's `extra` can; its source is its logger."""
    record = {"timeUnixNano": "5", "body": {"stringValue": "hello"}, "severityNumber": 13}
    event = only(logs(record, scope={"name": "app.db"}))
    assert (event.type, event.description, event.severity, event.source) == ("", "hello", Severity.WARN, "app.db")
    hinted = only(logs({**record, "attributes": [text("otel.event.name", "db.opened")]}))
    assert (hinted.type, hinted.attributes) == ("db.opened", {})
    named = only(logs({"eventName": "own", "attributes": [text("otel.event.name", "hint")]}))
    assert (named.type, named.attributes) == ("own", {"otel.event.name": "hint"})


@pytest.mark.parametrize(
    ("attributes", "field", "value"),
    [
        ([text("gen_ai.agent.name", "bob"), text("gen_ai.agent.id", "b1")], "agent", "b1"),
        ([text("gen_ai.agent.id", "b1"), text(names.AGENT, "a7")], "agent", "a7"),
        ([text("gen_ai.conversation.id", "c")], "correlation", "c"),
        ([text("session.id", "s"), text("gen_ai.conversation.id", "c")], "correlation", "s"),
        ([{"key": names.AGENT, "value": {"intValue": "7"}}], "agent", "7"),
        ([{"key": names.TURN, "value": {"intValue": 5}}], "turn", 5),
    ],
)
def test_other_conventions_names_are_understood(attributes: Any, field: str, value: Any) -> None:
    """Where whence's own is absent; they stay attributes as well."""
    event = only(logs({"attributes": attributes}))
    assert getattr(event, field) == value
    others = {one["key"] for one in attributes if not one["key"].startswith("whence.")}
    assert set(event.attributes) == others


@pytest.mark.parametrize(
    ("name", "written", "kept"),
    [
        (names.TURN, {"stringValue": "five"}, "five"),
        (names.SEQ, {"boolValue": True}, True),
        (names.SEQ, {"intValue": "99999999999999999999"}, "99999999999999999999"),
        (names.AGENT, {"kvlistValue": {}}, {}),
    ],
)
def test_a_field_of_another_type_stays_where_it_can_be_seen(name: str, written: Any, kept: Any) -> None:
    """Among the attributes."""
    assert only(logs({"attributes": [{"key": name, "value": written}]})).attributes == {name: kept}


def test_a_record_without_an_id_has_one_of_its_place() -> None:
    """The same whenever the line is read, another in every other place, and distinct within a line."""
    data = logs({"timeUnixNano": "5"}, {"timeUnixNano": "5"})
    ids = [event.id for event in events_of(data, PLACE)]
    assert ids == [event.id for event in events_of(orjson.dumps(data), PLACE)]
    assert ids == ["log:19557f856783ac3e0e77dbee", "log:6e212bc007fe5959fbc74ff5"]  # other archives name them: fixed
    assert not set(ids) & {event.id for event in events_of(data, Place(PLACE.stem, 0))}
    assert not set(ids) & {event.id for event in events_of(data, Place("other", PLACE.offset))}


@pytest.mark.parametrize(
    ("record", "severity"),
    [
        ({"severityNumber": 17}, Severity.ERROR),
        ({"severityNumber": "9"}, Severity.INFO),
        ({"severityNumber": 99}, None),
        ({"severityText": "warning"}, Severity.WARN),
        ({"severityText": "loud"}, None),
        ({}, None),
    ],
)
def test_severity_is_the_number_else_the_word(record: Any, severity: Any) -> None:
    """A number that OpenTelemetry does not know is none."""
    assert only(logs(record)).severity is severity


# --- spans ----------------------------------------------------------------------------------------------------------------


def test_a_span_is_an_event_with_a_duration_and_causes() -> None:
    """Its own causes first, then its links', each once; a link made for an event inside is that event's."""
    other = SpanContext(SPAN.trace_id, 7, is_remote=True)
    links = [
        Link(other, {"any": 1}),
        Link(other, {names.CAUSE: "01A", names.LINK: "caused_by"}),
        Link(other, {names.CAUSE: "01B"}),
        Link(other, {names.CAUSE: "01C", names.EFFECT: "01E"}),
    ]
    span = an_ended_span({names.CAUSED_BY: ["01B"], "a": 1}, links=links, parent=SPAN)
    event = only(encode_spans([span]).lines[0].data)
    own = f"{span.context.span_id:016x}"
    assert event.id == f"span:{TRACE_HEX}-{own}"
    assert event.caused_by == ("01B", f"span:{TRACE_HEX}-0000000000000007", "01A")
    assert (event.signal, event.type, event.duration_ns) == ("span", "work", 1_000_000_000)
    assert (event.trace_id, event.span_id, event.parent_span_id) == (TRACE_HEX, own, SPAN_HEX)
    assert (event.run, event.source, event.status) == ("run-1", "app.shop", None)
    assert event.attributes == {"a": 1, names.SPAN_KIND: SpanKind.INTERNAL.name.lower()}


@pytest.mark.parametrize(
    ("status", "attributes", "expected"),
    [
        ({}, [], None),
        ({"code": 1}, [], "ok"),
        ({"code": 2, "message": "no"}, [], "error"),
        ({"code": 2}, [text(names.STATUS, "denied")], "denied"),
        ({"code": 1}, [text("cicd.pipeline.task.run.result", "skip")], "skip"),
    ],
)
def test_a_spans_status_is_its_own_word_else_opentelemetrys(status: Any, attributes: Any, expected: Any) -> None:
    """An error is of that severity, and its message is an attribute."""
    event = only(traces({"status": status, "attributes": attributes}))
    assert event.status == expected
    assert event.severity == (Severity.ERROR if status.get("code") == 2 else None)
    assert event.attributes.get(names.SPAN_STATUS_MESSAGE) == status.get("message")


def test_span_events_are_events_in_their_span() -> None:
    """Numbered as they stand on it, of its run; exceptions are errors."""
    span = an_ended_span({names.RUN: "r9"}, events=[("tick", {"n": 1}), ("exception", {"exception.type": "KeyError"})])
    parent, tick, exception = decode(encode_spans([span]).lines[0].data, PLACE).events
    assert [tick.id, exception.id] == [f"{parent.id}#0", f"{parent.id}#1"]
    assert (tick.signal, tick.run, tick.span_id, tick.time) == ("span_event", "r9", parent.span_id, TIME)
    assert (exception.severity, exception.attributes) == (Severity.ERROR, {"exception.type": "KeyError"})


def test_a_span_without_ids_is_an_event_all_the_same() -> None:
    """With an id of its place, so that two of them are two."""
    events = decode(
        traces({"name": "a", "events": [{"name": "e"}]}, {"name": "b", "traceId": "00", "spanId": 5}), PLACE
    ).events
    assert [event.type for event in events] == ["a", "e", "b"]
    assert len({event.id for event in events}) == 3
    assert events[1].id == f"{events[0].id}#0"


# --- any writer -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        {"timeUnixNano": 5, "traceId": TRACE_HEX.upper(), "spanId": SPAN_HEX, "droppedAttributesCount": "2"},
        {
            "timeUnixNano": "5",
            "traceId": TRACE_HEX,
            "spanId": SPAN_HEX.upper(),
            "droppedAttributesCount": 2,
            "new": [{}],
        },
        {
            "timeUnixNano": 0,
            "observedTimeUnixNano": 5.0,
            "traceId": TRACE_HEX,
            "spanId": SPAN_HEX,
            "droppedAttributesCount": 2,
        },
    ],
)
def test_the_same_record_written_otherwise_is_the_same_event(record: Any) -> None:
    """Numbers or text, ids in any case, fields of the future."""
    event = only(logs(record))
    assert (event.time, event.trace_id, event.span_id, event.dropped) == (5, TRACE_HEX, SPAN_HEX, 2)


@pytest.mark.parametrize(
    "data",
    [
        {"resourceLogs": []},
        {"resourceLogs": None},
        {"resourceLogs": [{}]},
        {"resourceLogs": [{"resource": None, "scopeLogs": [{"scope": None, "logRecords": None}]}]},
        {"resourceSpans": [{"scopeSpans": []}]},
        {"resourceMetrics": [{"scopeMetrics": "whatever"}]},
    ],
)
def test_a_line_of_nothing_has_no_events(data: Any) -> None:
    """And nothing bad."""
    assert decode(data, PLACE) == ([], [])


def test_the_official_exporters_files_are_read(tmp_path: Path) -> None:
    """Unchanged, with the values that it writes otherwise than OTLP says."""
    log = a_log(
        {"n": 1, "big": 1 << 70, "half": "\ud800", "nan": math.nan, "raw": b"\xff", "none": None}, body="hi", span=SPAN
    )
    exporter = FileLogExporter(path=str(tmp_path / "logs.jsonl"))
    exporter.export([log])  # type: ignore[list-item]
    exporter.shutdown()
    event = only((tmp_path / "logs.jsonl").read_bytes())
    assert repr(event.attributes) == repr(
        {"n": 1, "big": "1180591620717411303424", "half": "\\ud800", "nan": math.nan, "raw": b"\xff", "none": None}
    )
    assert (event.type, event.description, event.run, event.trace_id) == ("step", "hi", "run-1", TRACE_HEX)
    span = an_ended_span({"a": [1, "x"]}, events=[("e", {})], links=[Link(SPAN)], parent=SPAN)
    spans = FileSpanExporter(path=str(tmp_path / "traces.jsonl"))
    spans.export([span])
    spans.shutdown()
    theirs = decode((tmp_path / "traces.jsonl").read_bytes(), PLACE)
    assert theirs == decode(encode_spans([span]).lines[0].data, PLACE)
    assert len(theirs.events) == 2


@pytest.mark.parametrize("bare", ["NaN", "Infinity", "-Infinity"])
def test_bare_constants_are_read(bare: str) -> None:
    """Python's json writes them, and so do exporters that use it without care."""
    record = {"attributes": [{"key": "x", "value": {"doubleValue": "?"}}]}
    line = orjson.dumps(logs(record)).decode().replace('"?"', bare)
    assert repr(only(line.encode()).attributes["x"]) == repr(float(bare))


# --- garbage --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"", b"null", b"[]", b"5", b'"text"', b"{}", b'{"spans":[]}', b"{", b"\xff\xfe", b"\0\0\0\0",
        b'{"resourceLogs":' * 2000, b"[" * 100_000, b'["\\ud800"' + b"[" * 100_000, b'{"a":NaN', b'{"resourceLogs":[]}\n{}',
    ],
)  # fmt: skip
def test_what_is_no_otlp_is_a_data_error(data: bytes) -> None:
    """That says what is wrong."""
    with pytest.raises(DataError, match=r"not (JSON|OTLP): "):
        decode(data, PLACE)


def test_the_signal_is_told_by_the_outermost_key() -> None:
    """Or it is no OTLP."""
    found = [signal_of({key: []}) for key in ("resourceLogs", "resourceSpans", "resourceMetrics")]
    assert found == ["logs", "traces", "metrics"]
    with pytest.raises(DataError):
        signal_of({"other": []})


@pytest.mark.parametrize(
    "bad",
    [
        5, None, "x", [], {"attributes": 5}, {"attributes": [5]}, {"attributes": [{"key": "a", "value": {"intValue": "x"}}]},
        {"timeUnixNano": "soon"}, {"timeUnixNano": -1}, {"timeUnixNano": 1 << 64}, {"timeUnixNano": 1e300},
        {"timeUnixNano": {"a": 1}},
        {"droppedAttributesCount": "many"}, {"severityNumber": [1]}, {"body": 5},
    ],
)  # fmt: skip
def test_a_bad_record_is_named_and_costs_no_other(bad: Any) -> None:
    """Those before and after it are read, with the ids they would have had."""
    found = decode(logs({"eventName": "a"}, bad, {"eventName": "b"}), PLACE)
    assert [event.type for event in found.events] == ["a", "b"]
    assert len(found.bad) == 1
    assert found.bad[0].startswith("cannot read log record 1: ")
    intact = decode(logs({"eventName": "a"}, {}, {"eventName": "b"}), PLACE)
    assert found.events == [intact.events[0], intact.events[2]]


@pytest.mark.parametrize("bad", [{"attributes": 5}, 5, "x", {"attributes": [{"key": "a", "value": 1}]}])
def test_a_bad_resource_or_scope_leaves_its_records(bad: Any) -> None:
    """They are read without it, and it is named."""
    found = decode(logs({"eventName": "a"}, resource=bad, scope=bad), PLACE)
    assert [(event.type, event.resource, event.scope) for event in found.events] == [("a", {}, {})]
    assert [sentence.partition(":")[0] for sentence in found.bad] == ["cannot read a resource", "cannot read a scope"]


@pytest.mark.parametrize("bad", [5, "text", {"a": 1}])
def test_what_should_be_an_array_and_is_not_is_named(bad: Any) -> None:
    """At each of the three levels."""
    for data in (
        {"resourceLogs": bad},
        {"resourceLogs": [{"scopeLogs": bad}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": bad}]}]},
    ):
        found = decode(data, PLACE)
        assert found.events == []
        assert [sentence.endswith(f"expected a JSON array, not {type(bad).__name__}") for sentence in found.bad] == [
            True
        ]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["", "0", "-1", "9" * 30]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["key", "value", "values", "intValue"]), inner)
    ),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into a JSON value."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [path, *(found for key in keys for found in places(value[key], (*path, key)))]


SAMPLE_SPAN = an_ended_span(
    {"a": [1, {"b": b"x"}], names.TURN: 1, names.CAUSED_BY: ["01A"], names.PAYLOAD: {"p": 1.5}},
    events=[("e", {"a": None}), ("p", {names.ID: "01B", "a": "{}", names.PROJECTED_JSON: ["a"]})],
    links=[Link(SPAN, {names.CAUSE: "01A"})],
    parent=SPAN,
)
SAMPLE_LOG = a_log(
    {"a": [1, {"b": b"x"}], names.ID: "01A", names.CAUSED_BY: ["01B"], names.TURN: 1}, body={"a": 1}, span=SPAN
)
SAMPLES = [
    orjson.loads(encode_spans([SAMPLE_SPAN]).lines[0].data),
    orjson.loads(encode_logs([SAMPLE_LOG] * 2).lines[0].data),
]


def is_sound(found: Decoded) -> None:
    """Whatever was read can be shown: its fields are of their types, and JSON takes it."""
    for event in found.events:
        assert type(event) is Event
        assert event.id
        assert event.time >= 0
        orjson.dumps(to_flat(event))
    assert all(sentence.startswith("cannot read ") for sentence in found.bad)


@examples(100)
@given(st.sampled_from(SAMPLES), st.data())
def test_a_line_with_anything_in_any_place_is_read_or_refused(sample: Any, data: st.DataObject) -> None:
    """Values of any type anywhere: events that are sound, sentences, or a DataError."""
    line = {"": copy.deepcopy(sample)}
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from(places(line)[1:]))
        inner: Any = line
        for key in path:
            inner = inner[key]
        inner[last] = data.draw(JSON)
    for whole in (line[""], json.dumps(line[""]).encode()):
        try:
            is_sound(decode(whole, PLACE))
        except DataError:
            pass


@examples(60)
@given(
    st.sampled_from([orjson.dumps(sample) for sample in SAMPLES]),
    st.integers(0),
    st.binary(max_size=4),
    st.integers(0, 9),
)
def test_a_line_with_other_bytes_in_it_is_read_or_refused(line: bytes, at: int, put: bytes, cut: int) -> None:
    """As a disk or a careless editor leaves them."""
    at %= len(line)
    try:
        is_sound(decode(line[:at] + put + line[at + cut :], PLACE))
    except DataError:
        pass


# --- made quickly ---------------------------------------------------------------------------------------------------------


def test_a_quickly_made_event_is_an_event() -> None:
    """Frozen, equal and hashed alike, with the same defaults, and maps of its own."""
    event = new_event(id="a", type="b", time=1)
    assert type(event) is Event
    assert event == Event(id="a", type="b", time=1)
    assert event.attributes is not new_event(id="a", type="b", time=1).attributes
    with pytest.raises(AttributeError):
        event.id = "c"  # type: ignore[misc]


def test_the_status_of_a_real_span_comes_through() -> None:
    """Set on it by the API."""
    span = an_ended_span()
    span._status = Status(StatusCode.ERROR, "broken")
    event = only(encode_spans([span]).lines[0].data)
    assert (event.status, event.attributes[names.SPAN_STATUS_MESSAGE]) == ("error", "broken")
