"""What becomes of a batch downstream, in the words of either transport: partial success, refusals, trouble.

Points 9, 14, 15 and 25 of the checklist (`test_checklist.py`).
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest
from google.protobuf import json_format
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GRPCExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HTTPExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from build_otlp import a_log
from build_receivers import JSON, PROTO, Running, receiving
from build_requests import everything, records_of_lines
from waiting import until
from whence.collect.batch import Receipt
from whence.collect.outcome import Refused, Unacceptable
from whence.otlp.wire import protobuf_of_json

LOGS = everything("logs").SerializeToString()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A receiver of this test's own."""
    with receiving(tmp_path) as found:
        yield found


def _spans(*ids: str) -> bytes:
    spans = [{"traceId": one, "spanId": "00f067aa0ba902b7", "name": "a"} for one in ids]
    return orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})


GOOD = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_spans_with_wrong_ids_are_counted_out(running: Running) -> None:
    """Ids of all zeros or of the wrong length: the exact count, over both transports; capitals are the same id."""
    body = _spans(GOOD, "0" * 32, GOOD.upper(), GOOD[:30], "")
    answer = running.post("/v1/traces", body, JSON)
    assert answer.status == 200
    said = orjson.loads(answer.body)["partialSuccess"]
    assert said["rejectedSpans"] == "3"
    assert said["errorMessage"]
    binary = protobuf_of_json("traces", body)
    answer = running.post("/v1/traces", binary, PROTO)
    assert answer.status == 200
    over_http = ExportTraceServiceResponse.FromString(answer.body)
    over_grpc = ExportTraceServiceResponse.FromString(running.call("traces", binary).body)
    assert over_http.partial_success.rejected_spans == over_grpc.partial_success.rejected_spans == 3
    assert over_http.partial_success.error_message


@pytest.mark.parametrize("id_", [GOOD[:31], GOOD + "0", "x" * 32])
def test_an_id_that_is_no_hex_has_a_defined_outcome(running: Running, id_: str) -> None:
    """One span is rejected, or the request is the client's fault; the good one is never lost in silence."""
    answer = running.post("/v1/traces", _spans(GOOD, id_), JSON)
    if answer.status == 200:
        assert orjson.loads(answer.body)["partialSuccess"]["rejectedSpans"] == "1"
    else:
        assert answer.status == 400


def test_a_warning_rejects_nothing(running: Running) -> None:
    """The message alone, in either encoding and transport; however long it is, the answer stays small."""
    running.sink.receipt = Receipt(0, "beware " * 1_000_000)
    answer = running.post("/v1/logs", LOGS, PROTO)
    response = ExportLogsServiceResponse.FromString(answer.body)
    assert (answer.status, response.partial_success.rejected_log_records) == (200, 0)
    assert response.partial_success.error_message.startswith("beware")
    assert len(answer.body) < 4 << 20
    assert ExportLogsServiceResponse.FromString(running.call("logs", LOGS).body) == response
    said = orjson.loads(running.post("/v1/logs", b'{"resourceLogs":[]}', JSON).body)["partialSuccess"]
    assert set(said) == {"errorMessage"}


@pytest.mark.parametrize(
    ("failure", "status", "after"),
    [
        (Refused("the disk is full"), 503, "1"),
        (Refused("the disk is full", 0.25), 503, "1"),
        (Refused("the disk is full", 7.5), 503, "8"),
        (Refused("too fast", 3.0, throttled=True), 429, "3"),
        (RuntimeError("a secret of ours"), 503, "1"),
    ],
)
def test_what_a_retry_can_help_says_so(running: Running, failure: Exception, status: int, after: str) -> None:
    """Retry-After over HTTP; UNAVAILABLE with RetryInfo over gRPC; and the same request passes afterwards."""
    running.sink.failure = failure
    answer = running.post("/v1/logs", LOGS, PROTO)
    assert (answer.status, answer.headers["retry-after"]) == (status, after)
    assert b"a secret of ours" not in answer.body
    in_json = json_format.Parse(running.post("/v1/logs", b'{"resourceLogs":[{}]}', JSON).body, Status())
    assert in_json == Status.FromString(answer.body)
    over_grpc = running.call("logs", LOGS)
    assert over_grpc.status == in_json
    assert (over_grpc.code, over_grpc.details) == ("UNAVAILABLE", ["RetryInfo"])
    info = RetryInfo()
    assert over_grpc.status.details[0].Unpack(info)
    assert info.retry_delay.ToTimedelta().total_seconds() == (getattr(failure, "retry_after", None) or 1.0)
    running.sink.failure = None
    assert running.post("/v1/logs", LOGS, PROTO).status == 200
    assert running.call("logs", LOGS).code == "OK"


def test_real_clients_deliver_everything_exactly_once_after_an_overload(running: Running) -> None:
    """While there is no room the official exporters are told to come again; with room again each record is there once."""
    assert running.receiver.http
    budget = running.receiver.http._budget
    exporters = [
        HTTPExporter(f"http://127.0.0.1:{running.http}/v1/logs", timeout=60),
        GRPCExporter(f"127.0.0.1:{running.grpc}", insecure=True, timeout=60),
    ]
    assert budget.take(budget.size)
    with ThreadPoolExecutor(len(exporters)) as pool:
        bodies = [[f"{n} {k}" for k in range(20)] for n in range(len(exporters))]
        sent = [pool.submit(one.export, [a_log(body=body) for body in bodies[n]]) for n, one in enumerate(exporters)]
        until(
            lambda: (
                {transport for transport, outcome in _outcomes(running) if outcome == "failure"} == {"http", "grpc"}
            ),
            60,
        )
        budget.give(budget.size)
        assert {one.result(60).name for one in sent} == {"SUCCESS"}
    for one in exporters:
        one.shutdown()
    kept = [record for batch in running.sink.kept for *_, record in records_of_lines("logs", batch.lines().lines)]
    assert sorted(record["body"]["stringValue"] for record in kept) == sorted(body for some in bodies for body in some)


@pytest.mark.parametrize("message", ["never", "n\xe9ver \U0001f600 " * 5000, "two\nlines"])
def test_what_no_retry_can_help_says_so(running: Running, message: str) -> None:
    """400 and INVALID_ARGUMENT, with words that fit into the trailers of gRPC."""
    running.sink.failure = Unacceptable(message)
    answer = running.post("/v1/logs", LOGS, PROTO)
    assert answer.status == 400
    assert "retry-after" not in answer.headers
    over_grpc = running.call("logs", LOGS)
    assert (over_grpc.code, over_grpc.details) == ("INVALID_ARGUMENT", ["BadRequest"])
    assert message.startswith(over_grpc.status.message)


def test_a_signal_without_a_pipeline_is_refused_for_good(tmp_path: Path) -> None:
    """404 and NOT_FOUND: a sender need not come again, and hears why."""
    with receiving(tmp_path, signals=("logs",)) as running:
        answer = running.post("/v1/traces", everything("traces").SerializeToString(), PROTO)
        assert answer.status == 404
        assert b"no pipeline" in answer.body
        over_grpc = running.call("traces", everything("traces").SerializeToString())
        assert (over_grpc.code, over_grpc.details) == ("NOT_FOUND", [])


def test_requests_are_counted_by_their_outcome(running: Running) -> None:
    """By transport, success and failure."""
    running.post("/v1/logs", LOGS, PROTO)
    running.post("/v1/logs", b"\xff", PROTO)
    running.call("logs", LOGS)
    assert _outcomes(running) == {("http", "success"): 1, ("http", "failure"): 1, ("grpc", "success"): 1}


def _outcomes(running: Running) -> dict[tuple[str, str], float]:
    """How many requests, by transport and outcome."""
    return {
        (labels["transport"], labels["outcome"]): sample.value
        for family in running.host.telemetry.families()
        if family.name == "otelcol_receiver_requests"
        for sample in family.samples
        for labels in [dict(sample.labels)]
    }
