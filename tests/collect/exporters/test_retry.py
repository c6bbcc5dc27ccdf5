"""What answers mean: retried where OTLP says so and nowhere else, and never sooner than asked."""

from email.utils import formatdate

import orjson
import pytest
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from build_backend import retry_info
from whence.collect.exporters.retry import (
    LONGEST,
    GivenUp,
    PartiallyRejected,
    Retry,
    Sent,
    judge_grpc,
    judge_http,
    judge_response,
    next_wait,
    retry_after,
)
from whence.collect.settings import RetryOnFailure

NOW = 1_000_000_000.0


@pytest.mark.parametrize("status", range(100, 600))
def test_only_four_http_statuses_are_retried(status: int) -> None:
    """429, 502, 503 and 504 are; 2xx arrived; everything else is for good."""
    expected = Retry if status in (429, 502, 503, 504) else Sent if 200 <= status < 300 else GivenUp
    assert isinstance(judge_http("logs", status, {}, b"", NOW), expected)


@pytest.mark.parametrize("code", range(18))
@pytest.mark.parametrize("info", [False, True])
def test_grpc_codes_are_retried_as_the_specification_lists_them(code: int, info: bool) -> None:
    """RESOURCE_EXHAUSTED only with RetryInfo; UNKNOWN, INTERNAL, UNAUTHENTICATED and so on never."""
    verdict = judge_grpc(code, "as told", retry_info(code, 2.5) if info else None)
    again = code in (1, 4, 10, 11, 14, 15) or (code == 8 and info)
    assert isinstance(verdict, Retry if again else GivenUp)
    if isinstance(verdict, Retry):
        assert verdict.after == (2.5 if info else None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None), ("0", 0.0), (" 7 ", 7.0), ("soon", None), ("-3", None), ("9" * 5000, LONGEST), ("", None),
        (formatdate(NOW + 20, usegmt=True), 20.0), (formatdate(NOW - 20, usegmt=True), 0.0),
        (formatdate(NOW + 1e8, usegmt=True), LONGEST),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    """What is neither says nothing; what asks for too much is bounded."""
    assert retry_after(value, NOW) == seconds


def test_a_partial_success_says_how_many_in_both_encodings() -> None:
    """A rejection is counted; a message alone is a warning; rubbish is a plain success."""
    partial = ExportTracePartialSuccess(rejected_spans=3, error_message="too old")
    body = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    assert judge_response("traces", body) == PartiallyRejected(3, "too old")
    said = orjson.dumps({"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too old"}})
    assert judge_http("traces", 200, {"content-type": "application/json; charset=utf-8"}, said, NOW) == (3, "too old")
    assert judge_response("traces", orjson.dumps({"partialSuccess": {"errorMessage": "hm"}}), as_json=True) == Sent(
        "hm"
    )
    for rubbish in (b"\xff\xff", b"[]", b"null", b'{"partialSuccess": 7}'):
        assert judge_response("traces", rubbish, as_json=True) == Sent()
    assert judge_response("traces", b"\xff\xff") == Sent()


def test_a_failure_shows_what_the_backend_says() -> None:
    """The Status of a protobuf, JSON or plain answer is in the reason, bounded."""
    status = Status(message="no such tenant").SerializeToString()
    assert "no such tenant" in judge_http("logs", 400, {"content-type": "application/x-protobuf"}, status, NOW)[0]
    said = b'{"code": 3, "message": "no such tenant"}'
    assert "no such tenant" in judge_http("logs", 400, {"content-type": "application/json"}, said, NOW)[0]
    plain = {"content-type": "text/plain"}
    assert "no such tenant" in judge_http("logs", 503, plain, b"no such tenant", NOW)[0]
    assert len(str(judge_http("logs", 400, plain, b"x" * 10_000_000, NOW))) < 1_000


def test_details_that_are_no_status_say_nothing() -> None:
    """Rubbish in the trailer must not stop a sending thread."""
    assert judge_grpc(14, "", b"\xff\xff\xff") == Retry("the backend answered UNAVAILABLE")


@given(
    failures=st.integers(1, 10_000),
    elapsed=st.floats(0, 1e6),
    after=st.none() | st.floats(0, LONGEST),
    chance=st.floats(0, 1),
    longest=st.sampled_from([0, 300e9]),
)
def test_waits_are_bounded_and_never_shorter_than_asked(
    failures: int, elapsed: float, after: float | None, chance: float, longest: float
) -> None:
    """Between half and one and a half of the interval, or what the backend asked for; 0 never gives up."""
    settings = RetryOnFailure.model_validate({"max_elapsed_time": longest})
    wait = next_wait(settings, failures, elapsed, after, chance)
    if wait is None:
        assert longest and elapsed + max(after or 0, 45.0) > 300
        return
    assert (after or 0) <= wait <= max(45.0, after or 0)
    assert wait >= 2.5


def test_waits_grow_by_the_multiplier_up_to_the_longest() -> None:
    """5, 7.5, 11.25 ... 30 seconds without jitter; without retry, none."""
    settings = RetryOnFailure()
    waits = [next_wait(settings, failures, 0, None, 0.5) for failures in range(1, 8)]
    assert waits == [5.0, 7.5, 11.25, 16.875, 25.3125, 30.0, 30.0]
    assert next_wait(RetryOnFailure(enabled=False), 1, 0, None, 0.5) is None
