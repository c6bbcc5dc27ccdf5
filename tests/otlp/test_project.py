"""Projections: a log event as trace viewers see it, and back to the very same event."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Link, SpanContext

from build_examples import examples
from build_otlp import EXACT, KEYS, LOSSY, SPAN, TEXT, TIME, a_log, an_ended_span, nested, same
from whence.event import names
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.otlp.decode import Place, decode
from whence.otlp.encode import encode_logs, encode_spans
from whence.otlp.project import (
    AS_SPAN,
    AS_SPAN_EVENT,
    json_text,
    json_value,
    projected,
    projected_link,
    projected_span_id,
    projected_trace_id,
)
from whence.record.otel import ReadWriteLogRecord

PLACE = Place("x", 0)
ID = "01KDVT0000000000000000000A"


def stored(log: ReadWriteLogRecord) -> Event:
    """The event as the archive has it."""
    (event,) = decode(encode_logs([log]).lines[0].data, PLACE).events
    return event


def flat(log: ReadWriteLogRecord, mark: str) -> dict[str, Any]:
    record = log.log_record
    return dict(projected(record.attributes or {}, record.severity_number.value, record.body, mark, source="app.shop"))  # type: ignore[union-attr]


def as_span_event(log: ReadWriteLogRecord) -> Event:
    """The event as read from a span that some OTLP sender sent with the projection on it."""
    span = an_ended_span(parent=SPAN)
    event = {
        "name": log.log_record.event_name,
        "timeUnixNano": str(log.log_record.timestamp),
        "attributes": sent(flat(log, AS_SPAN_EVENT)),
    }
    line = orjson.loads(encode_spans([span]).lines[0].data)
    line["resourceSpans"][0]["scopeSpans"][0]["spans"][0] |= {"spanId": "b7ad6b7169203331", "events": [event]}
    _, found = decode(orjson.dumps(line), PLACE).events
    return found


def sent(attributes: dict[str, Any]) -> Any:
    """Attributes in OTLP, by way of a real span."""
    line = orjson.loads(encode_spans([an_ended_span(attributes)]).lines[0].data)
    return line["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]


def as_span(log: ReadWriteLogRecord) -> Event:
    """The event as read from a span of no duration."""
    record = log.log_record
    parent = SpanContext(record.trace_id, record.span_id, False) if record.span_id else None
    span = ReadableSpan(
        name=record.event_name or "",
        context=SpanContext(record.trace_id or projected_trace_id("run-1"), projected_span_id(ID), False),
        parent=parent,
        resource=log.resource,
        attributes=flat(log, AS_SPAN),
        links=[Link(SPAN, {names.CAUSE: "01B", names.EFFECT: ID})],
        start_time=record.timestamp,
        end_time=record.timestamp,
        instrumentation_scope=log.instrumentation_scope,
    )
    (event,) = decode(encode_spans([span]).lines[0].data, PLACE).events
    return event


@examples(40)
@given(st.dictionaries(KEYS, EXACT | LOSSY | nested(LOSSY), max_size=4), EXACT | LOSSY, TEXT, st.sampled_from(Severity))
def test_a_projection_is_read_back_as_the_event_it_came_from(
    values: dict[str, Any], body: Any, name: str, severity: Severity
) -> None:
    """Of any attributes and body, to a span event and to a span; lost is what the archive itself loses, and said alike."""
    attributes = {**values, names.ID: ID, names.CAUSED_BY: ["01B"], names.PAYLOAD: values, names.TURN: 3}
    log = a_log(attributes, body=body, name=name, severity=severity, span=SPAN)
    original = stored(log)
    for event in (as_span_event(log), as_span(log)):
        assert same(sorted(event.attributes.items()), sorted(original.attributes.items()))
        assert same(event.payload, original.payload)
        empty = {"attributes": {}, "payload": {}, "source": "app.shop"}
        assert replace(event, **empty) == replace(original, **empty)


def test_an_event_in_no_span_is_read_back_in_none() -> None:
    """The span it was shown as is nobody's but the viewer's."""
    log = a_log({names.ID: ID})
    assert as_span(log) == replace(stored(log), source="app.shop")
    assert as_span(log).span_id is None


def test_viewers_are_given_flat_values() -> None:
    """Scalars and lists of one kind as they are; everything else as JSON text, listed in `whence.json`."""
    values = {"a": 1, "b": [1, 2], "c": ("x",), "d": [1, "x"], "e": {"k": [None]}, "f": None, "g": [], "h": b"\xff"}
    assert projected({**values, names.ID: ID}, Severity.WARN, "said", AS_SPAN_EVENT) == {
        "a": 1,
        "b": [1, 2],
        "c": ["x"],
        "d": '[1,"x"]',
        "e": '{"k":[null]}',
        "f": "null",
        "g": [],
        "h": '{"bytesValue":"/w=="}',
        names.ID: ID,
        names.PROJECTION: "span_event",
        names.PROJECTED_JSON: ["d", "e", "f", "h"],
        names.PROJECTED_SEVERITY: "WARN",
        names.PROJECTED_DESCRIPTION: "said",
    }


@pytest.mark.parametrize(
    ("severity", "name"), [(17, "ERROR"), ("ERROR", "ERROR"), (0, None), (99, None), ("loud", None), (None, None)]
)
def test_severity_is_given_by_its_short_name(severity: Any, name: str | None) -> None:
    """A number or word that OpenTelemetry does not have is left out."""
    assert projected({}, severity, None, AS_SPAN).get(names.PROJECTED_SEVERITY) == name


@given(EXACT)
def test_json_text_keeps_what_json_has_no_form_for(value: Any) -> None:
    """Bytes, numbers that are not finite, and maps that look like the form they are given."""
    assert same(json_value(json_text(value)), value)


@pytest.mark.parametrize(
    "value", [{"bytesValue": "AA=="}, [{"kvlistValue": {"values": []}}], {"a": {"doubleValue": "NaN"}}]
)
def test_maps_that_look_like_otlp_values_stay_maps(value: Any) -> None:
    """However confusing."""
    assert json_value(json_text(value)) == value


@pytest.mark.parametrize(
    "attributes",
    [
        {names.PROJECTION: "span_event"},
        {names.PROJECTION: "span_event", names.ID: ""},
        {names.PROJECTION: True, names.ID: ID},
        {names.PROJECTION: "other", names.ID: ID},
    ],
)
def test_a_mark_without_an_id_projects_nothing(attributes: dict[str, Any]) -> None:
    """It is a span event like any other."""
    span = {
        "traceId": "0" * 31 + "1",
        "spanId": "0" * 15 + "1",
        "events": [{"name": "e", "attributes": sent(attributes)}],
    }
    _, event = decode({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}, PLACE).events
    assert (event.signal, event.id) == ("span_event", f"span:{span['traceId']}-{span['spanId']}#0")


def test_the_ids_of_projections_are_fixed() -> None:
    """Another process, or a later version, must show the same event as the same span."""
    assert f"{projected_trace_id('run-1'):032x}" == "28cf416517fceb45940d381e404a0389"
    assert f"{projected_span_id(ID):016x}" == "8538dcc386c2da6f"
    assert projected_trace_id("run-2") != projected_trace_id("run-1")


def test_links_lead_to_where_the_cause_is_shown() -> None:
    """Its span, the span it is, or else the span it is projected to, in the effect's trace."""
    said = {names.LINK: "caused_by", names.CAUSE: "01B", names.EFFECT: ID}
    assert projected_link("01B", ID, (1, 2), 9) == (1, 2, said)
    assert projected_link("01B", ID, None, 9) == (9, projected_span_id("01B"), said)
    span = f"span:{10:032x}-{11:016x}"
    assert projected_link(span, ID, None, 9) == (10, 11, {**said, names.CAUSE: span})


def test_a_projection_without_time_of_observation_is_the_one_loss() -> None:
    """Which is not when the event happened, and differs from that only for events not recorded by whence."""
    log = a_log({names.ID: ID}, observed=TIME + 5, span=SPAN)
    assert as_span_event(log) == replace(stored(log), observed_time=None)
