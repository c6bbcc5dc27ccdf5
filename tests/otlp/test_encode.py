"""Encoding: lines are strict OTLP JSON, equal to the official encoder's where that keeps a value, and no record costs another."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common import _log_encoder, trace_encoder
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from build_examples import examples
from build_otlp import (
    EXACT,
    KEYS,
    LOSSY,
    RESOURCE,
    SCOPE,
    SPAN,
    TEXT,
    TIME,
    a_log,
    an_ended_span,
    nested,
    same,
    strictly,
)
from whence.event import names
from whence.otlp.decode import Place, decode
from whence.otlp.encode import encode_logs, encode_spans
from whence.otlp.faithful_record import faithful_log, faithful_span
from whence.otlp.limits import Limits
from whence.otlp.page import Encoded, Line
from whence.otlp.record_text import log_text, span_text
from whence.record.otel import ReadableLogRecord, SeverityNumber

PLACE = Place("logs-x", 0)
ATTRIBUTES = st.dictionaries(KEYS, EXACT, max_size=4)


def only(encoded: Encoded) -> Line:
    """The one line of a batch without failures."""
    assert (encoded.failed, encoded.error) == (0, None)
    (line,) = encoded.lines
    assert line.data.endswith(b"]}\n")
    assert line.data.count(b"\n") == 1
    return line


def record_of(line: Line) -> dict[str, Any]:
    """The JSON of a line's one log record or span."""
    data = orjson.loads(line.data)
    group = next(iter(data.values()))[0]
    scope = group.get("scopeLogs") or group["scopeSpans"]
    (record,) = scope[0].get("logRecords") or scope[0]["spans"]
    return record  # type: ignore[no-any-return]


def official(message: Any) -> bytes:
    """The official encoder's request in the bytes by which messages are compared (NaN equals no NaN)."""
    return message.SerializeToString(deterministic=True)  # type: ignore[no-any-return]


# --- equal to the official encoder ----------------------------------------------------------------------------------------


@examples(40)
@given(st.lists(st.tuples(ATTRIBUTES, EXACT, TEXT, st.sampled_from(SeverityNumber), st.booleans()), max_size=3))
def test_logs_are_what_the_official_encoder_writes(given: list[Any]) -> None:
    """Read strictly by protobuf, every field of every record is the same."""
    records = [
        a_log(attributes, body=body, name=name, severity=severity, span=SPAN if spanned else None)
        for attributes, body, name, severity, spanned in given
    ]
    theirs = _log_encoder.encode_logs(records)  # type: ignore[arg-type]
    for resource in theirs.resource_logs:
        for record, built in zip(resource.scope_logs[0].log_records, records, strict=True):
            if built.log_record.body is None:
                record.ClearField("body")  # no body, and a body of no value, are told apart by nobody but protobuf
    encoded = encode_logs(records)
    if not records:
        assert encoded == ([], 0, None)
        return
    assert official(strictly(only(encoded).data)) == official(theirs)


@examples(40)
@given(ATTRIBUTES, st.lists(st.tuples(TEXT, ATTRIBUTES), max_size=2), st.lists(ATTRIBUTES, max_size=2), st.booleans())
def test_spans_are_what_the_official_encoder_writes(
    attributes: dict[str, Any], events: list[Any], links: list[dict[str, Any]], remote: bool
) -> None:
    """Save the W3C flag bits and the links' trace states, which the official one leaves out."""
    parent = SpanContext(SPAN.trace_id, SPAN.span_id, remote, TraceFlags(1))
    span = an_ended_span(attributes, events=events, links=[Link(parent, link) for link in links], parent=parent)
    ours = strictly(only(encode_spans([span])).data)
    written = ours.resource_spans[0].scope_spans[0].spans[0]
    assert written.flags & 0xFF == span.context.trace_flags
    written.flags &= ~0xFF
    for link in written.links:
        assert link.flags & 0xFF == 1
        link.flags &= ~0xFF
    written.status.SetInParent()
    assert official(ours) == official(trace_encoder.encode_spans([span]))


def test_a_span_keeps_what_the_official_encoder_drops() -> None:
    """W3C flags, whether parent and link are remote, and the trace states of span and link."""
    state = TraceState([("vendor", "a"), ("other", "b")])
    parent = SpanContext(SPAN.trace_id, SPAN.span_id, True, TraceFlags(3), state)
    near = SpanContext(SPAN.trace_id, 5, False, TraceFlags(2), state)
    span = an_ended_span(parent=parent, links=[Link(parent), Link(near)])
    record = record_of(only(encode_spans([span])))
    assert record["traceState"] == "vendor=a,other=b"
    assert record["parentSpanId"] == "b7ad6b7169203331"
    assert record["flags"] == 0x300 | int(span.context.trace_flags)
    assert [link["flags"] for link in record["links"]] == [0x303, 0x102]
    assert [link["traceState"] for link in record["links"]] == ["vendor=a,other=b"] * 2


@pytest.mark.parametrize("kind", SpanKind)
@pytest.mark.parametrize("status", [Status(), Status(StatusCode.OK), Status(StatusCode.ERROR, "broken")])
def test_every_kind_and_status_is_the_official_number(kind: SpanKind, status: Status) -> None:
    """The SDK counts kinds from 0, OTLP from 1."""
    provider = TracerProvider(shutdown_on_exit=False)
    span = provider.get_tracer("t").start_span("s", kind=kind)
    span.set_status(status)
    span.end()
    assert isinstance(span, ReadableSpan)
    ours = strictly(only(encode_spans([span])).data).resource_spans[0].scope_spans[0].spans[0]
    theirs = trace_encoder.encode_spans([span]).resource_spans[0].scope_spans[0].spans[0]
    assert (ours.kind, ours.status) == (theirs.kind, theirs.status)


def test_what_the_sdk_dropped_is_counted_in_the_line() -> None:
    """Attributes, events and links over its limits: loss must be seen by whoever reads."""
    links = [Link(SPAN, {f"k{n}": n for n in range(130)})] * 130
    span = an_ended_span(dict.fromkeys("abc"), events=[("e", {})] * 131, links=links)
    record = record_of(only(encode_spans([span])))
    assert (record["droppedLinksCount"], record["droppedEventsCount"]) == (2, 3)
    log = a_log({f"k{n}": n for n in range(129)})
    assert record_of(only(encode_logs([log])))["droppedAttributesCount"] == 1
    (event,) = decode(only(encode_logs([log])).data, PLACE).events
    assert event.dropped == 1


def test_readable_and_read_write_records_are_written_alike() -> None:
    """Processors are given the one, exporters the other."""
    log = a_log({"a": 1})
    readable = ReadableLogRecord(log.log_record, log.resource or RESOURCE, log.instrumentation_scope, log.limits)
    assert encode_logs([readable]) == encode_logs([log])


def test_span_events_that_only_repeat_a_log_event_are_left_out() -> None:
    """The archive has the log event itself."""
    span = an_ended_span(events=[("own", {"a": 1}), ("projected", {names.PROJECTION: "span_event"})])
    assert [event["name"] for event in record_of(only(encode_spans([span])))["events"]] == ["own"]
    alone = an_ended_span(events=[("projected", {names.PROJECTION: "span_event"})])
    assert "events" not in record_of(only(encode_spans([alone])))


# --- values ---------------------------------------------------------------------------------------------------------------


@examples(40)
@given(ATTRIBUTES, EXACT)
def test_both_paths_write_the_same(attributes: dict[str, Any], body: Any) -> None:
    """Of a record that needs no care, the careful path makes nothing else."""
    log = a_log(attributes, body=body, span=SPAN)
    assert orjson.loads(log_text(faithful_log(log, 32), 32)) == orjson.loads(log_text(log, 32))
    span = an_ended_span(attributes, events=[("e", attributes)], links=[Link(SPAN, attributes)], parent=SPAN)
    assert orjson.loads(span_text(faithful_span(span, 32), 32)) == orjson.loads(span_text(span, 32))


@examples(40)
@given(st.dictionaries(KEYS, nested(LOSSY | st.integers()), min_size=1, max_size=3), nested(LOSSY))
def test_any_value_at_all_is_written_strictly_and_the_record_says_what_it_lost(
    values: dict[str, Any], body: Any
) -> None:
    """The attribute `whence.lossy` names exactly the attributes whose value is not the one that was given."""
    line = only(encode_logs([a_log({**values, "plain": 1}, body=body)]))
    strictly(line.data)
    (event,) = decode(line.data, PLACE).events
    said = event.attributes.get(names.LOSSY, [])
    assert {key for key in values if not same(event.attributes[key], values[key])} <= set(said)
    assert "plain" not in said
    span = an_ended_span(values, events=[("e", values)], links=[Link(SPAN, values)])
    strictly(only(encode_spans([span])).data)


def test_what_was_called_lossy_before_stays_so() -> None:
    """Whoever made the record may have lost something already."""
    (event,) = decode(only(encode_logs([a_log({names.LOSSY: ["a"], "b": 1 << 70})])).data, PLACE).events
    assert event.attributes == {names.LOSSY: ["a", "b"], "b": str(1 << 70)}


class Nested:
    """Maps inside each other around a value, as deep as asked."""

    @staticmethod
    def of(levels: int) -> Any:
        value: Any = "leaf"
        for _ in range(levels - 1):
            value = {"k": value}
        return value


def test_the_deepest_value_is_one_that_protobuf_still_reads() -> None:
    """On a span event, where attributes start deepest; one level more, and it is text."""
    deepest, deeper = Nested.of(32), Nested.of(33)
    span = an_ended_span(
        {"a": deepest}, events=[("e", {"a": deepest, "b": deeper})], links=[Link(SPAN, {"a": deepest})]
    )
    line = only(encode_spans([span]))
    strictly(line.data)
    events = decode(line.data, PLACE).events
    assert events[1].attributes["a"] == deepest
    assert events[1].attributes[names.LOSSY] == ["b"]
    strictly(only(encode_logs([a_log({"a": deepest}, body=deepest)])).data)


@pytest.mark.parametrize(
    ("log", "lossy"),
    [
        (a_log(time=1.7e18), ["timeUnixNano"]),
        (a_log(time=-5), ["timeUnixNano"]),
        (a_log(observed=1 << 64), ["observedTimeUnixNano"]),
        (a_log(severity=13), []),
        (a_log(severity="INFO"), ["severityNumber"]),
        (a_log(severity_text=5), ["severityText"]),
        (a_log(name="\udcff"), ["eventName"]),
        (a_log(body=object), ["body"]),
        (a_log(span=SpanContext(1 << 130, 1, False)), ["traceId"]),
    ],
)
def test_a_field_of_the_wrong_kind_costs_at_most_itself(log: Any, lossy: list[str]) -> None:
    """OpenTelemetry's API checks none of them; the field is mended or left out, and the record says so."""
    line = only(encode_logs([log]))
    strictly(line.data)
    (event,) = decode(line.data, PLACE).events
    assert event.attributes.get(names.LOSSY, []) == lossy


class Refusing:
    """A record that raises at whatever it is asked."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no")


def test_a_record_that_cannot_be_written_costs_no_other() -> None:
    """It is counted, and the reason is given."""
    encoded = encode_logs([a_log(name="one"), Refusing(), a_log(name="two")])  # type: ignore[list-item]
    assert (encoded.failed, encoded.error) == (1, "cannot encode a Refusing: no")
    (line,) = encoded.lines
    assert line.records == 2
    assert [event.type for event in decode(line.data, PLACE).events] == ["one", "two"]
    assert encode_spans([Refusing()]).failed == 1  # type: ignore[list-item]


# --- lines ----------------------------------------------------------------------------------------------------------------


def sizes(lines: Sequence[Line]) -> list[int]:
    return [line.records for line in lines]


def test_a_line_holds_so_many_records_and_no_more() -> None:
    """With its records' least and greatest time."""
    records = [a_log({"n": n}, time=TIME + n) for n in range(10)]
    lines = encode_logs(records, Limits(records_per_line=4)).lines
    assert sizes(lines) == [4, 4, 2]
    assert [(line.first_time - TIME, line.last_time - TIME) for line in lines] == [(0, 3), (4, 7), (8, 9)]
    assert [event.attributes["n"] for line in lines for event in decode(line.data, PLACE).events] == list(range(10))


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=20))
def test_a_line_is_never_longer_than_it_may_be_unless_one_record_is(given: list[tuple[int, int, int]]) -> None:
    """Resources and scopes, repeated in each line, counted in."""
    resources = [RESOURCE, Resource({"service.name": "other", "pad": "p" * 99}), Resource({})]
    scopes = [SCOPE, None, InstrumentationScope("s" * 50)]
    records = [a_log({"x": "é" * size}, resource=resources[r], scope=scopes[s]) for size, r, s in given]
    lines = encode_logs(records, Limits(line_bytes=1000)).lines
    assert sum(sizes(lines)) == len(records)
    for line in lines:
        strictly(line.data)
        assert len(line.data) <= 1000 or line.records == 1


def test_records_of_several_resources_and_scopes_share_a_line() -> None:
    """Each under its own, described once, with schema URL, version and attributes."""
    other = Resource({"service.name": "other"})
    records = [a_log(name="a"), a_log(name="b", scope=None), a_log(name="c", resource=other), a_log(name="d")]
    line = only(encode_logs(records))
    data = strictly(line.data)
    assert [len(group.scope_logs) for group in data.resource_logs] == [2, 1]
    assert data.resource_logs[0].schema_url == "https://opentelemetry.io/schemas/1.44.0"
    scope = data.resource_logs[0].scope_logs[0]
    assert (scope.schema_url, scope.scope.name, scope.scope.version) == (
        "https://example.org/schema",
        "app.shop",
        "2.1",
    )
    assert scope.scope.attributes[0].key == "team"
    assert [event.type for event in decode(line.data, PLACE).events] == ["a", "d", "b", "c"]


def test_resources_that_come_and_go_are_never_taken_for_each_other() -> None:
    """What is remembered of one is not given for another that happens to stand at the same address in memory."""
    for n in range(1000):
        resource, scope = Resource({"n": n}), InstrumentationScope(f"s{n}")
        (event,) = decode(only(encode_logs([a_log(resource=resource, scope=scope)])).data, PLACE).events
        assert (event.resource, event.scope) == ({"n": n}, {"name": f"s{n}"})


def test_a_resource_of_anything_is_described() -> None:
    """Values that OTLP has no place for are text there too."""
    resource = Resource({"big": 1 << 70, "odd": "\ud800"})
    line = only(encode_logs([a_log(resource=resource, scope=InstrumentationScope("\ud800", "1", "\ud800"))]))
    strictly(line.data)
    (event,) = decode(line.data, PLACE).events
    assert event.resource == {"big": "1180591620717411303424", "odd": "\\ud800"}
    assert event.source == "\\ud800"
