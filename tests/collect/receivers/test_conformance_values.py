"""Values of every kind through a real receiver into a real archive: the same lines whatever way they came, and back again.

Points 10 to 13 and 24 of the checklist (`test_checklist.py`).
"""

import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData, ResourceLogs, ScopeLogs

from build_backend import Backend, a_backend, stopped
from build_receivers import JSON, PROTO, Answer, Running, an_archive, lines_in, receiving
from build_requests import MESSAGES, everything, json_of
from whence.collect.batch import Batch
from whence.collect.component import Host
from whence.collect.exporters import otlp_grpc, otlp_http
from whence.collect.telemetry import Telemetry
from whence.otlp.wire import protobuf_of_lines

DEEPER_THAN_ANY_STACK = 20_000


class Whole(NamedTuple):
    """A receiver with an archive."""

    running: Running
    archive: Path
    seen: dict[str, int]

    def new(self, signal: str) -> list[bytes]:
        """The lines that came since the last look."""
        lines = lines_in(self.archive, signal)
        before, self.seen[signal] = self.seen.get(signal, 0), len(lines)
        return lines[before:]

    def post(self, signal: str, body: Any, kind: str = JSON) -> Answer:
        """Over HTTP; what is no bytes is written as JSON."""
        return self.running.post(f"/v1/{signal}", body if isinstance(body, bytes) else orjson.dumps(body), kind)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """One for all tests."""
    directory = tmp_path_factory.mktemp("values")
    with an_archive(directory / "archive") as exporter, receiving(directory / "state", sink=exporter) as running:
        yield Whole(running, directory / "archive", {})


def every_way(whole: Whole, signal: str, message: Any) -> list[bytes]:
    """Sends a request as JSON and as protobuf over HTTP, and over gRPC; the lines, which must be the same of each."""
    data = message.SerializeToString()
    found = []
    for send in (
        lambda: whole.post(signal, json_of(message)).status == 200,
        lambda: whole.post(signal, data, PROTO).status == 200,
        lambda: whole.running.call(signal, data).code == "OK",
    ):
        assert send()
        found.append(whole.new(signal))
    assert found[0] == found[1] == found[2]
    return found[0]


def a_log(body: AnyValue, **fields: Any) -> LogsData:
    """A request of one record, which has the value as its body and as an attribute."""
    record = LogRecord(body=body, attributes=[KeyValue(key="same", value=body)], **fields)
    return LogsData(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[record])])])


def record_of(line: bytes) -> dict[str, Any]:
    """The one log record of a line."""
    found: dict[str, Any] = orjson.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    return found


def a_map(**values: AnyValue) -> AnyValue:
    """A map of values."""
    return AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=key, value=one) for key, one in values.items()]))


def a_list(*values: AnyValue) -> AnyValue:
    """A list of values."""
    return AnyValue(array_value=ArrayValue(values=values))


TEXT, NOTHING = AnyValue(string_value="a"), AnyValue()
KINDS: dict[str, tuple[AnyValue, dict[str, Any]]] = {
    "text": (TEXT, {"stringValue": "a"}),
    "empty text": (AnyValue(string_value=""), {"stringValue": ""}),
    "true": (AnyValue(bool_value=True), {"boolValue": True}),
    "false": (AnyValue(bool_value=False), {"boolValue": False}),
    "int": (AnyValue(int_value=-3), {"intValue": "-3"}),
    "zero": (AnyValue(int_value=0), {"intValue": "0"}),
    "double": (AnyValue(double_value=0.5), {"doubleValue": 0.5}),
    "bytes": (AnyValue(bytes_value=b"\x00\xfb\xff"), {"bytesValue": "APv/"}),
    "no bytes": (AnyValue(bytes_value=b""), {"bytesValue": ""}),
    "list": (a_list(TEXT, NOTHING, a_list()), {"arrayValue": {"values": [{"stringValue": "a"}, {}, {"arrayValue": {}}]}}),
    "map": (
        a_map(k=a_map(k=a_list(TEXT)), n=NOTHING),
        {"kvlistValue": {"values": [
            {"key": "k", "value": {"kvlistValue": {"values": [
                {"key": "k", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}}]}}},
            {"key": "n", "value": {}},
        ]}},
    ),
    "empty map": (a_map(), {"kvlistValue": {}}),
    "nothing": (NOTHING, {}),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_of_each_kind_is_stored_the_same_whatever_way_it_came(whole: Whole, kind: str) -> None:
    """As body and as attribute, empty ones among them; and the line goes back to the very bytes that were sent."""
    value, written = KINDS[kind]
    message = a_log(value, time_unix_nano=1)
    [line] = every_way(whole, "logs", message)
    record = record_of(line)
    assert record["body"] == record["attributes"][0]["value"] == written
    assert protobuf_of_lines("logs", [line]) == message.SerializeToString()


SMALLEST, LARGEST = -(1 << 63), (1 << 63) - 1
INTS: list[tuple[Any, int]] = [
    ("7", 7), (7, 7), ("-0", 0), (-0, 0), (1e3, 1000), ("1e3", 1000), (9007199254740993, 9007199254740993),
    ("9007199254740993", 9007199254740993), (LARGEST, LARGEST), (str(LARGEST), LARGEST), (SMALLEST, SMALLEST),
    (str(SMALLEST), SMALLEST),
]  # fmt: skip
DOUBLES: list[tuple[bytes, float]] = [
    (b'"NaN"', math.nan), (b'"Infinity"', math.inf), (b'"-Infinity"', -math.inf), (b"-0.0", -0.0), (b"1", 1.0),
    (b'"2.5"', 2.5), (b"1e308", 1e308), (b"9007199254740993", 9007199254740992.0), (b"5e-324", 5e-324),
]  # fmt: skip


@pytest.mark.parametrize(("written", "meant"), INTS, ids=str)
def test_an_integer_may_be_text_or_number(whole: Whole, written: Any, meant: int) -> None:
    """Exact over all 64 bits: stored as the protobuf of that number is."""
    [line] = every_way(whole, "logs", a_log(AnyValue(int_value=meant)))
    record = {"body": {"intValue": written}, "attributes": [{"key": "same", "value": {"intValue": written}}]}
    assert whole.post("logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).body == b"{}"
    assert whole.new("logs") == [line]
    assert record_of(line)["body"] == {"intValue": str(meant)}


@pytest.mark.parametrize(("written", "meant"), DOUBLES, ids=str)
def test_a_double_may_be_anything_that_a_double_can(whole: Whole, written: bytes, meant: float) -> None:
    """Also what JSON has no number for; stored as the protobuf of that number is."""
    [line] = every_way(whole, "logs", a_log(AnyValue(double_value=meant)))
    value = b'{"doubleValue":' + written + b"}"
    record = b'{"body":%b,"attributes":[{"key":"same","value":%b}]}' % (value, value)
    assert whole.post("logs", b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[%b]}]}]}' % record).body == b"{}"
    assert whole.new("logs") == [line]
    found = float(record_of(line)["body"]["doubleValue"])
    assert repr(found) == repr(meant)


@pytest.mark.parametrize("number", [0, 1, (1 << 53) + 1, (1 << 64) - 1])
def test_a_time_of_64_bits_is_exact(whole: Whole, number: int) -> None:
    """As number and as text; 0 is no time, and a record without time is a record."""
    [line] = every_way(whole, "logs", a_log(TEXT, time_unix_nano=number))
    value = {"stringValue": "a"}
    for written in (number, str(number)):
        record = {"timeUnixNano": written, "body": value, "attributes": [{"key": "same", "value": value}]}
        assert whole.post("logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).body == b"{}"
        assert whole.new("logs") == [line]
    assert record_of(line).get("timeUnixNano", "0") == str(number)


def test_an_enum_is_a_number_and_only_that(whole: Whole) -> None:
    """Its name is refused, and the answer says where it stands."""
    span = {"traceId": "1" * 32, "spanId": "1" * 16, "kind": "SPAN_KIND_SERVER"}
    answer = whole.post("traces", {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    assert (answer.status, whole.new("traces")) == (400, [])
    assert "spans[0].kind" in orjson.loads(answer.body)["message"]


def test_unknown_fields_are_ignored_at_every_level(whole: Whole) -> None:
    """In JSON, snake_case among them; in protobuf too, where they go on to whoever the bytes are sent to."""
    more = {"resource_logs": 1, "newer": [{"a": None}]}
    record = {"body": {"stringValue": "a", **more}, "severity_text": "no", **more}
    scope = {"scope": {"name": "s", **more}, "logRecords": [record], **more}
    tree = {"resourceLogs": [{"resource": {**more}, "scopeLogs": [scope], **more}], **more}
    assert whole.post("logs", tree).body == b"{}"
    [line] = whole.new("logs")
    assert record_of(line) == {"body": {"stringValue": "a"}}
    unknown = b"\xfa\x3f\x03new"  # field 1023
    inner = b"\x12" + bytes([len(unknown)]) + unknown  # a scope of nothing that is known
    data = b"\x0a" + bytes([len(inner)]) + inner + unknown
    assert whole.post("logs", data, PROTO).status == 200
    assert whole.running.call("logs", data).code == "OK"
    assert Batch("logs", data).protobuf() == data


@pytest.mark.parametrize("levels", [32, 33, 60, 100, DEEPER_THAN_ANY_STACK])
def test_a_deep_value_is_stored_or_refused_and_overflows_nothing(whole: Whole, levels: int) -> None:
    """32 levels are stored; more costs the record (partial success) or the request, the same over both transports."""
    data, written = b"\x0a\x01a", b'{"stringValue":"a"}'
    for _ in range(levels - 1):
        data = _field(5, _field(1, data))
        written = b'{"arrayValue":{"values":[' + written + b"]}}"
    data = _field(1, _field(2, _field(2, _field(5, data))))
    written = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":' + written + b"}]}]}]}"
    answers = [whole.post("logs", written), whole.post("logs", data, PROTO)]
    over_grpc = whole.running.call("logs", data)
    taken = [answer.status == 200 and answer.body in (b"", b"{}") for answer in answers]
    assert taken == [levels <= 32] * 2
    assert (over_grpc.code, over_grpc.body) == ("OK", b"") if levels <= 32 else over_grpc.code != "OK" or over_grpc.body
    assert {answer.status for answer in answers} <= {200, 400}
    assert over_grpc.code in ("OK", "INVALID_ARGUMENT")
    assert len(whole.new("logs")) == (3 if levels <= 32 else 0)


def _field(number: int, data: bytes) -> bytes:
    """A field of bytes."""
    length, digits = len(data), b""
    while length > 127:
        digits, length = digits + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + digits + bytes([length]) + data


@pytest.mark.parametrize("signal", MESSAGES)
def test_every_field_of_the_schema_is_stored_the_same_whatever_way_it_came(whole: Whole, signal: str) -> None:
    """Every type of metric with exemplars, flags and `asInt`; links, events and states of spans; logs without time."""
    message = everything(signal)
    lines = every_way(whole, signal, message)
    again = MESSAGES[signal].FromString(protobuf_of_lines(signal, lines))
    assert again == message
    names = {"gauge", "sum", "histogram", "exponentialHistogram", "summary", "exemplars", "asInt", "asDouble", "flags"}
    if signal == "metrics":
        assert [name for name in names if f'"{name}"'.encode() not in b"".join(lines)] == []


SENDERS: dict[str, Callable[[Backend], Any]] = {
    "http": lambda to: otlp_http.build(
        otlp_http.OTLPHTTPSettings.model_validate({"endpoint": to.http}), _host("otlp_http")
    ),
    "grpc": lambda to: otlp_grpc.build(
        otlp_grpc.OTLPGRPCSettings.model_validate({"endpoint": to.grpc, "tls": {"insecure": True}}), _host("otlp_grpc")
    ),
}


def _host(name: str) -> Host:
    return Host(name, Telemetry(), logging.getLogger(f"whence.collect.{name}"), Path("unused"))


@pytest.mark.parametrize("by", SENDERS)
@pytest.mark.parametrize("signal", MESSAGES)
def test_what_is_sent_on_from_the_archive_is_the_bytes_that_came(whole: Whole, signal: str, by: str) -> None:
    """A request of one line: archived, read, sent by the exporter, the same protobuf arrives."""
    message = everything(signal)
    data = message.SerializeToString()
    assert whole.running.call(signal, data).code == "OK"
    lines = whole.new(signal)
    with a_backend() as backend:
        sender = SENDERS[by](backend)
        sender.start(sender._host)
        for line in lines:
            sender.consume(Batch(signal, tree=orjson.loads(line)))
        stopped(sender)
        assert [one for one, _ in backend.kept] == [signal] * len(lines)
        assert b"".join(sent for _, sent in backend.kept) == data
