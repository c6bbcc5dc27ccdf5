"""What the codec refuses whole, what it rejects by record with a count, and what it takes though it is spelled otherwise."""

import json
from typing import Any

import orjson
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from build_examples import examples
from build_requests import MESSAGES, SIGNALS, records_of, records_of_lines
from whence.errors import DataError
from whence.otlp.limits import Limits
from whence.otlp.wire import (
    Lines,
    count_of,
    lines_of_json,
    lines_of_protobuf,
    lines_of_tree,
    protobuf_of_lines,
    protobuf_of_tree,
    tree_of_json,
    tree_of_protobuf,
)
from whence.otlp.wire_scalars import counted

EACH = pytest.mark.parametrize("signal", SIGNALS)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def spans(*written: Any) -> dict[str, Any]:
    """A request of spans."""
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(written)}]}]}


def a_span(**fields: Any) -> dict[str, Any]:
    """A span with good ids, and these fields."""
    return {"traceId": TRACE, "spanId": SPAN, "name": "work", **fields}


def logs(*written: Any) -> dict[str, Any]:
    """A request of log records."""
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": list(written)}]}]}


def points(*written: Any) -> dict[str, Any]:
    """A request of one gauge with these data points."""
    return {
        "resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": list(written)}}]}]}]
    }


def every_way(signal: Any, tree: dict[str, Any], limits: Limits | None = None) -> Lines:
    """Lines of a request by JSON, and that by protobuf and tree they are the same."""
    limits = limits or Limits()
    found = lines_of_json(signal, orjson.dumps(tree), limits)
    opened = tree_of_json(signal, orjson.dumps(tree))
    assert lines_of_tree(signal, opened, limits) == found
    assert lines_of_protobuf(signal, protobuf_of_tree(signal, opened), limits) == found
    return found


# --- records rejected -----------------------------------------------------------------------------------------------------

WRONG_IDS = {
    "31 digits": {"traceId": TRACE[:-1]},
    "33 digits": {"traceId": TRACE + "0"},
    "30 digits": {"traceId": TRACE[:-2]},
    "no hex": {"traceId": "x" * 32},
    "not ASCII": {"traceId": "٣" * 32},
    "base64": {"traceId": "CvdlGRbNQ92ESOshHIAxnA=="},
    "span id of 15 digits": {"spanId": SPAN[:-1]},
    "span id of 18 digits": {"spanId": SPAN + "00"},
}
WRONG_SPANS = {
    **WRONG_IDS,
    "no trace id": {"traceId": None},
    "empty trace id": {"traceId": ""},
    "trace id of zeros": {"traceId": "0" * 32},
    "no span id": {"spanId": None},
    "span id of zeros": {"spanId": "0" * 16},
    "parent of 14 digits": {"parentSpanId": SPAN[:-2]},
    "link of 31 digits": {"links": [{"traceId": TRACE, "spanId": SPAN}, {"traceId": TRACE[:-1], "spanId": SPAN}]},
    "link with a long span id": {"links": [{"traceId": TRACE, "spanId": SPAN + "aa"}]},
}


@pytest.mark.parametrize("fields", WRONG_SPANS.values(), ids=WRONG_SPANS.keys())
def test_a_span_with_a_wrong_id_is_rejected_and_its_neighbours_are_kept(fields: dict[str, Any]) -> None:
    """The count is exact, the reason is English, and nothing else of the request is lost."""
    found = every_way("traces", spans(a_span(name="a"), a_span(**fields), a_span(name="b")))
    assert found.rejected == 1
    assert found.message.startswith("1 span was not stored: 1 with a ")
    assert [span["name"] for *_, span in records_of("traces", orjson.loads(found.lines[0].data))] == ["a", "b"]


@pytest.mark.parametrize("fields", WRONG_IDS.values(), ids=WRONG_IDS.keys())
def test_a_log_record_with_a_wrong_id_is_rejected(fields: dict[str, Any]) -> None:
    """A log record may have no ids at all, but none of a wrong length."""
    found = every_way("logs", logs({"body": {"stringValue": "kept"}}, fields))
    assert (found.rejected, found.lines[0].records) == (1, 1)
    assert found.message.startswith("1 log record was not stored: 1 with a ")


@pytest.mark.parametrize("fields", WRONG_IDS.values(), ids=WRONG_IDS.keys())
def test_a_data_point_with_a_wrong_exemplar_is_rejected(fields: dict[str, Any]) -> None:
    """The other points of its metric are kept."""
    found = every_way("metrics", points({"asInt": "1"}, {"asInt": "2", "exemplars": [{"asInt": "3"}, fields]}))
    assert (found.rejected, found.lines[0].records) == (1, 1)
    assert found.message.startswith("1 data point was not stored: 1 with an exemplar")


@pytest.mark.parametrize(
    "fields",
    [{}, {"traceId": "", "spanId": ""}, {"traceId": TRACE}, {"traceId": "0" * 32, "spanId": "0" * 16}],
    ids=["none", "empty", "trace only", "zeros"],
)
def test_a_log_record_needs_no_ids(fields: dict[str, Any]) -> None:
    """Most log records are outside of any span."""
    found = every_way("logs", logs({"body": {"stringValue": "kept"}, **fields}))
    assert (found.rejected, found.lines[0].records) == (0, 1)


def test_reasons_are_counted_each() -> None:
    """One sentence says how many records have which trouble."""
    found = every_way("traces", spans(a_span(spanId="aa"), a_span(traceId=""), a_span(traceId="bb"), a_span()))
    assert found.rejected == 3
    assert found.message.startswith("3 spans were not stored: 1 with a spanId ")
    assert "; 2 with a traceId " in found.message


def nested(levels: int, name: str = "arrayValue") -> dict[str, Any]:
    """An AnyValue of so many levels."""
    value: dict[str, Any] = {"stringValue": "x"}
    for _ in range(levels - 1):
        value = {name: {"values": [value if name == "arrayValue" else {"key": "k", "value": value}]}}
    return value


@pytest.mark.parametrize("name", ["arrayValue", "kvlistValue"])
@pytest.mark.parametrize("place", ["record", "resource", "scope"])
def test_what_is_nested_deeper_than_the_limit_is_rejected(place: str, name: str) -> None:
    """At the limit it is stored; one level more costs the records concerned, and no others."""
    for levels, rejected in ((5, 0), (6, 1)):
        attributes = {"attributes": [{"key": "k", "value": nested(levels, name)}]}
        record = {"body": {"stringValue": "b"}, **(attributes if place == "record" else {})}
        group = {
            "resource": attributes if place == "resource" else {},
            "scopeLogs": [{"scope": attributes if place == "scope" else {}, "logRecords": [record]}],
        }
        tree = {"resourceLogs": [group, *logs({"body": {"stringValue": "other"}})["resourceLogs"]]}
        found = every_way("logs", tree, Limits(depth=5))
        assert (found.rejected, sum(line.records for line in found.lines)) == (rejected, 2 - rejected)
        assert ("nested deeper" in found.message) == bool(rejected)


@pytest.mark.parametrize("where", ["metadata", "attributes"])
def test_a_metric_nested_too_deep_costs_its_points(where: str) -> None:
    """What a metric says of itself counts for each of its points."""
    deep = {where: [{"key": "k", "value": nested(40)}]}
    tree = points({"asInt": "1"}, {"asInt": "2"})
    metric = tree["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]
    (metric if where == "metadata" else metric["gauge"]["dataPoints"][0]).update(deep)
    found = every_way("metrics", tree)
    assert found.rejected == (2 if where == "metadata" else 1)


@pytest.mark.parametrize("levels", [33, 48, 49, 50, 51, 60, 300, 5000])
def test_json_is_as_deep_as_protobuf_can_be(levels: int) -> None:
    """What protobuf's own readers refuse is refused in both encodings; nothing overflows a stack."""
    body = b"\x18\x01"
    for _ in range(levels - 1):
        body = b"\x2a" + counted(b"\x0a" + counted(body))
    data = b"\x0a" + counted(b"\x12" + counted(b"\x12" + counted(b"\x2a" + counted(body))))
    written = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":%b1%b}]}]}]}' % (
        b'{"arrayValue":{"values":[' * (levels - 1) + b'{"intValue":',
        b"}" + b"]}}" * (levels - 1),
    )
    try:
        MESSAGES["logs"].FromString(data)
    except DecodeError:
        for read, request in ((lines_of_json, written), (lines_of_protobuf, data), (tree_of_protobuf, data)):
            with pytest.raises(DataError):
                read("logs", request)
    else:
        assert levels < 60
        assert lines_of_json("logs", written) == lines_of_protobuf("logs", data)
        assert lines_of_json("logs", written).rejected == 1
        assert protobuf_of_tree("logs", tree_of_json("logs", written)) == data


# --- bodies refused -------------------------------------------------------------------------------------------------------

NO_JSON = {
    "truncated": b'{"resourceSpans":[',
    "array": b"[]",
    "number": b"7",
    "null": b"null",
    "text": b'"x"',
    "byte order mark": b"\xef\xbb\xbf{}",
    "invalid UTF-8": b'{"resourceSpans":[{"schemaUrl":"\xff"}]}',
    "lone surrogate": b'{"resourceSpans":[{"schemaUrl":"\\ud800"}]}',
    "bare NaN": b'{"resourceSpans":[{"x":NaN}]}',
    "two objects": b"{}{}",
    "protobuf": b"\n\x00",
    "a hundred thousand brackets": b"[" * 100_000,
}


@pytest.mark.parametrize("data", NO_JSON.values(), ids=NO_JSON.keys())
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    """The whole body is the client's mistake, and it is told what was wrong with it."""
    for read in (lines_of_json, tree_of_json):
        with pytest.raises(DataError, match=r"cannot read .* as OTLP traces in JSON: "):
            read("traces", data)
    with pytest.raises(DataError):
        count_of("traces", data, "json")


WRONG_FIELDS = {
    "enum as text": ({"kind": "SPAN_KIND_SERVER"}, "kind: expected an enum as a number"),
    "enum as digits": ({"kind": "2"}, "kind: expected an enum as a number"),
    "enum with a fraction": ({"kind": 1.5}, "kind: expected a whole number of 32 bits"),
    "status code as text": ({"status": {"code": "STATUS_CODE_OK"}}, r"status\.code: expected an enum"),
    "name as number": ({"name": 3}, "name: expected text"),
    "time negative": ({"startTimeUnixNano": -1}, "startTimeUnixNano: expected a whole number of 64 bits, not negative"),
    "time beyond 64 bits": ({"startTimeUnixNano": "18446744073709551616"}, "startTimeUnixNano: expected"),
    "time as date": ({"startTimeUnixNano": "2026-01-01"}, "startTimeUnixNano: expected"),
    "time in Arabic digits": ({"startTimeUnixNano": "٣"}, "startTimeUnixNano: expected"),
    "count beyond 32 bits": ({"droppedLinksCount": 1 << 32}, "droppedLinksCount: expected"),
    "id as number": ({"traceId": 7}, "traceId: expected an id in hex"),
    "attributes as object": ({"attributes": {"a": 1}}, "attributes: expected an array"),
    "attribute as text": ({"attributes": ["a"]}, r"attributes\[0\]: expected an object"),
    "null attribute": ({"attributes": [None]}, r"attributes\[0\]: expected an object"),
    "value as text": ({"attributes": [{"key": "a", "value": "b"}]}, r"attributes\[0\]\.value: expected an object"),
    "status as array": ({"status": []}, "status: expected an object"),
}


@pytest.mark.parametrize(("fields", "said"), WRONG_FIELDS.values(), ids=WRONG_FIELDS.keys())
def test_a_field_that_cannot_hold_its_value_is_refused_by_place(fields: dict[str, Any], said: str) -> None:
    """Whoever wrote the client finds the field."""
    with pytest.raises(DataError, match=r"at resourceSpans\[0\]\.scopeSpans\[0\]\.spans\[1\]\." + said):
        lines_of_json("traces", orjson.dumps(spans(a_span(), a_span(**fields))))


WRONG_VALUES = [
    {"intValue": 1.5}, {"intValue": "1.5"}, {"intValue": "9223372036854775808"}, {"intValue": -(1 << 63) - 1},
    {"intValue": 1 << 63}, {"intValue": True}, {"intValue": " 1"}, {"intValue": "1_0"}, {"intValue": "+1"},
    {"intValue": ""}, {"intValue": "1e999999999"}, {"intValue": "-"}, {"intValue": []}, {"doubleValue": "nan"},
    {"doubleValue": "1e999"}, {"doubleValue": "0x1"}, {"doubleValue": True}, {"doubleValue": "infinity"},
    {"doubleValue": ""}, {"boolValue": "true"}, {"boolValue": 1}, {"stringValue": 1}, {"bytesValue": "*"},
    {"bytesValue": "A"}, {"bytesValue": 1}, {"arrayValue": []}, {"arrayValue": {"values": {}}},
    {"arrayValue": {"values": [None]}}, {"kvlistValue": {"values": [1]}}, {"stringValue": "a", "intValue": "1"},
    {"stringValue": "", "boolValue": False},
]  # fmt: skip


@pytest.mark.parametrize("value", WRONG_VALUES, ids=str)
def test_a_value_of_another_type_than_it_says_is_refused(value: dict[str, Any]) -> None:
    """Nothing is stored that the client may have meant otherwise."""
    with pytest.raises(DataError, match="cannot read OTLP JSON at resourceLogs"):
        lines_of_json("logs", json.dumps(logs({"body": value})).encode())


RIGHT_VALUES = [
    ({"intValue": 7}, {"intValue": "7"}),
    ({"intValue": "-9223372036854775808"}, {"intValue": "-9223372036854775808"}),
    ({"intValue": 9007199254740993}, {"intValue": "9007199254740993"}),
    ({"intValue": 1e3}, {"intValue": "1000"}),
    ({"intValue": "1e3"}, {"intValue": "1000"}),
    ({"intValue": "12.0"}, {"intValue": "12"}),
    ({"intValue": "-0"}, {"intValue": "0"}),
    ({"doubleValue": 1}, {"doubleValue": 1.0}),
    ({"doubleValue": "2.5"}, {"doubleValue": 2.5}),
    ({"doubleValue": -0.0}, {"doubleValue": -0.0}),
    ({"doubleValue": 0}, {"doubleValue": 0.0}),
    ({"doubleValue": "NaN"}, {"doubleValue": "NaN"}),
    ({"doubleValue": "Infinity"}, {"doubleValue": "Infinity"}),
    ({"doubleValue": "-Infinity"}, {"doubleValue": "-Infinity"}),
    ({"boolValue": False}, {"boolValue": False}),
    ({"stringValue": ""}, {"stringValue": ""}),
    ({"stringValue": None, "intValue": "1"}, {"intValue": "1"}),
    ({"stringValue": None}, {}),
    ({}, {}),
    ({"futureValue": 1}, {}),
    ({"string_value": "x"}, {}),
    ({"bytesValue": "-_8"}, {"bytesValue": "+/8="}),
    ({"bytesValue": "+/8="}, {"bytesValue": "+/8="}),
    ({"bytesValue": ""}, {"bytesValue": ""}),
    ({"arrayValue": {}}, {"arrayValue": {}}),
    ({"arrayValue": {"values": None}}, {"arrayValue": {}}),
    ({"arrayValue": {"values": [{}]}}, {"arrayValue": {"values": [{}]}}),
    ({"kvlistValue": {"values": [{"key": "a"}]}}, {"kvlistValue": {"values": [{"key": "a"}]}}),
]


@pytest.mark.parametrize(("written", "kept"), RIGHT_VALUES, ids=str)
def test_a_value_is_taken_in_every_spelling_that_protobuf_allows(written: Any, kept: Any) -> None:
    """One canonical form is stored, and empty or false is not absent."""
    found = every_way("logs", logs({"body": written}))
    assert orjson.dumps(kept) in found.lines[0].data
    ((*_, record),) = records_of("logs", orjson.loads(found.lines[0].data))
    assert repr(record["body"]) == repr(kept)


def test_unknown_names_are_ignored_at_every_level_snake_case_among_them() -> None:
    """A newer client loses only what we do not know."""
    more = {"futureField": {"x": [{}]}, "trace_id": "x", "schema_url": 7}
    tree = {
        "resourceSpans": [
            {
                "resource": {"attributes": [], **more},
                "scopeSpans": [
                    {"scope": {"name": "s", **more}, "spans": [a_span(status={"code": 1, **more}, **more)], **more}
                ],
                **more,
            }
        ],
        **more,
    }
    found = every_way("traces", tree)
    assert found.rejected == 0
    assert b"future" not in found.lines[0].data
    assert b"trace_id" not in found.lines[0].data


def test_of_two_fields_of_the_same_name_the_last_counts() -> None:
    """As protobuf's JSON readers have it."""
    found = lines_of_json("logs", b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"flags":1,"flags":2}]}]}]}')
    assert b'[{"flags":2}]' in found.lines[0].data


@EACH
def test_a_request_without_records_is_a_success_without_lines(signal: Any) -> None:
    """Empty bodies and empty envelopes are no mistake."""
    nothing = Lines([], 0, "")
    resource, scope = {"logs": ("Logs", "Logs"), "traces": ("Spans", "Spans"), "metrics": ("Metrics", "Metrics")}[
        signal
    ]
    for data in (b"", b"{}", b'{"resource%b":[]}' % resource.encode(), b'{"resource%b":[{}]}' % resource.encode()):
        assert lines_of_json(signal, data) == nothing
    empty = {f"resource{resource}": [{"resource": {}, f"scope{scope}": [{"scope": {}}]}]}
    assert every_way(signal, empty) == nothing
    assert lines_of_protobuf(signal, b"") == nothing
    assert tree_of_protobuf(signal, b"") == {}
    assert count_of(signal, b"", "json") == count_of(signal, b"", "protobuf") == 0


def test_a_metric_with_more_points_than_a_line_holds_is_several_of_its_name() -> None:
    """As OTLP allows, so that no line grows without bound."""
    tree = points(*({"asInt": str(n), "timeUnixNano": str(n + 1)} for n in range(300)))
    found = every_way("metrics", tree)
    assert [(line.records, line.first_time, line.last_time) for line in found.lines] == [
        (128, 1, 128), (128, 129, 256), (44, 257, 300),
    ]  # fmt: skip
    assert records_of_lines("metrics", found.lines) == records_of("metrics", tree)


@pytest.mark.parametrize("signal", ["logs", "metrics"])
@given(sizes=st.lists(st.integers(0, 700), min_size=1, max_size=60), scopes=st.integers(1, 3))
@examples(15)
def test_a_line_keeps_to_its_limits(signal: Any, sizes: list[int], scopes: int) -> None:
    """So many records, so many bytes; only a record that is larger by itself has a longer line, alone."""
    limits = Limits(line_bytes=2000, records_per_line=7)
    texts = [{"attributes": [{"key": "k", "value": {"stringValue": "x" * size}}]} for size in sizes]
    (group,) = logs(*texts)["resourceLogs"] if signal == "logs" else points(*texts)["resourceMetrics"]
    name, list_name = ("resourceLogs", "scopeLogs") if signal == "logs" else ("resourceMetrics", "scopeMetrics")
    tree = {name: [{"resource": {"attributes": [{"key": "r", "value": {}}]}, list_name: group[list_name] * scopes}]}
    found = every_way(signal, tree, limits)
    assert records_of_lines(signal, found.lines) == records_of(signal, tree)
    assert all(line.records <= 7 for line in found.lines)
    assert all(line.records == 1 or len(line.data) <= 2000 for line in found.lines)


@pytest.mark.parametrize("large", ["resource", "scope", "metric"])
def test_a_huge_resource_is_not_repeated_beside_a_few_bytes(large: str) -> None:
    """A small request cannot become gigabytes of lines; everything is stored all the same."""
    huge = {"name": "x" * 300_000} if large != "resource" else {}
    point = {"asInt": "1"}
    tree = {
        "resourceMetrics": [
            {
                "resource": {"attributes": [{"key": "x" * (300_000 if large == "resource" else 1), "value": {}}]},
                "scopeMetrics": [
                    {
                        "scope": huge if large == "scope" else {},
                        "metrics": [{"gauge": {"dataPoints": [point] * 20_000}, **(huge if large == "metric" else {})}],
                    }
                ],
            }
        ]
    }
    found = every_way("metrics", tree)
    assert sum(line.records for line in found.lines) == 20_000
    assert sum(len(line.data) for line in found.lines) < 6 * len(orjson.dumps(tree))


def test_lines_of_another_signal_are_not_sent() -> None:
    """A file holds one signal only; a stray line is not silently left out."""
    (line,) = lines_of_json("logs", orjson.dumps(logs({"flags": 1}))).lines
    with pytest.raises(DataError, match="cannot send a line as traces"):
        protobuf_of_lines("traces", [line.data])
    with pytest.raises(DataError):
        protobuf_of_lines("logs", [b"{"])


def test_a_tree_that_a_component_spoiled_is_refused() -> None:
    """A processor's mistake is said and not stored."""
    for spoiled in ({"resourceLogs": [7]}, logs({"timeUnixNano": "x"}), logs({"body": object()}), logs({"traceId": 7})):
        with pytest.raises(DataError):
            lines_of_tree("logs", spoiled)
    with pytest.raises(DataError):
        protobuf_of_tree("logs", logs({"body": {"stringValue": "\ud800"}}))
    with pytest.raises(DataError):
        protobuf_of_tree("logs", logs({"timeUnixNano": "x"}))
