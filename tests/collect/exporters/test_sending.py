"""Both OTLP exporters against a real backend that refuses, throttles, hangs and comes back: each batch arrives once."""

import gzip
import logging
import threading
import time
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess, ExportLogsServiceResponse

from build_backend import Backend, Say, a_backend, a_pair, a_sender, counted, retry_info, stopped
from build_collect import some_logs
from build_processors import a_span, a_sum, metrics, spans
from whence.collect.component import Host
from whence.collect.exporters import otlp_http
from whence.collect.outcome import Refused, Unacceptable
from whence.collect.telemetry import Telemetry
from whence.errors import ConfigError

UNREADY = {"http": [Say(502), Say(503), Say(429), Say(504)], "grpc": [Say(code=14), Say(code=4), Say(code=10)]}
THROTTLED = {"http": Say(429, (("Retry-After", "1"),)), "grpc": Say(code=8, details=retry_info(8, 1))}
NEVER = {"http": Say(400), "grpc": Say(code=3)}


def test_every_signal_arrives_where_it_belongs(backend: Backend, by: str) -> None:
    """Logs, traces and metrics, and stop waits until they are there."""
    sender = a_sender(by, backend)
    for batch in (some_logs("a"), spans(a_span()), metrics(a_sum("n", {"asInt": "1", "timeUnixNano": "1"}))):
        sender.consume(batch)
    stopped(sender)
    assert sorted(signal for signal, _ in backend.kept) == ["logs", "metrics", "traces"]
    assert backend.bodies() == ["a"]
    assert counted(sender, "sent") == counted(sender, "sent", "spans") == counted(sender, "sent", "metric_points") == 1


@pytest.mark.parametrize("compression", ["gzip", "zstd", "zlib", "deflate", "none"])
@pytest.mark.parametrize("encoding", ["proto", "json"])
def test_http_bodies_say_how_they_are_written(backend: Backend, compression: str, encoding: str) -> None:
    """Each encoding and compression is what its headers say."""
    sender = a_sender("http", backend, compression=compression, encoding=encoding)
    sender.consume(some_logs("a"))
    stopped(sender)
    [(_, headers)] = backend.seen
    assert headers["content-type"] == ("application/json" if encoding == "json" else "application/x-protobuf")
    [(_, body)] = backend.kept
    assert body.startswith(b'{"resourceLogs"') if encoding == "json" else backend.bodies() == ["a"]


def test_headers_and_endpoints_by_signal_are_used(backend: Backend) -> None:
    """A signal's own endpoint is taken as it is."""
    sender = a_sender("http", backend, logs_endpoint=backend.http + "/own/logs", headers={"X-Tenant": "t"})
    sender.consume(some_logs("a"))
    stopped(sender)
    [(path, headers)] = backend.seen
    assert (path, headers["x-tenant"]) == ("/own/logs", "t")


def test_what_is_refused_for_now_arrives_once(backend: Backend, by: str) -> None:
    """After every retryable answer each batch is there exactly once."""
    backend.answers = UNREADY[by] * 3
    sender = a_sender(by, backend)
    for number in range(20):
        sender.consume(some_logs(f"event-{number}"))
    backend.wait(lambda: len(backend.kept) == 20)
    stopped(sender)
    assert sorted(backend.bodies()) == sorted(f"event-{number}" for number in range(20))
    assert len(backend.seen) == 20 + len(UNREADY[by] * 3)
    assert counted(sender, "sent") == 20
    assert counted(sender, "send_failed") == 0


def test_a_backend_that_throttles_is_given_the_time_it_asks_for(backend: Backend, by: str) -> None:
    """Not a second attempt sooner than Retry-After or RetryInfo says."""
    backend.answers = [THROTTLED[by]]
    sender = a_sender(by, backend)
    begun = time.monotonic()
    sender.consume(some_logs("a"))
    backend.wait(lambda: len(backend.kept) == 1)
    assert time.monotonic() - begun >= 1
    stopped(sender)
    assert backend.bodies() == ["a"]


def test_nothing_is_sent_again_after_a_permanent_error(
    backend: Backend, by: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted, logged with its reason, and health says so until something arrives."""
    backend.answers = [NEVER[by]]
    sender = a_sender(by, backend)
    sender.consume(some_logs("bad", "worse"))
    backend.wait(lambda: counted(sender, "send_failed") == 2)
    assert not sender.health().ok
    sender.consume(some_logs("good"))
    backend.wait(lambda: counted(sender, "sent") == 1)
    assert sender.health().ok
    stopped(sender)
    assert (len(backend.seen), backend.bodies()) == (2, ["good"])
    assert "gives up 2 log records" in caplog.text


def test_a_backend_that_hangs_and_comes_back_gets_it(backend: Backend, by: str) -> None:
    """The time-out ends the attempt, the next one arrives."""
    backend.answers = [Say(hang=True)]
    sender = a_sender(by, backend, timeout="1500ms")
    sender.consume(some_logs("a"))
    backend.wait(lambda: len(backend.kept) == 1)
    stopped(sender)
    assert backend.bodies() == ["a"]
    assert len(backend.seen) == 2


def test_a_partial_success_is_counted_on_both_sides_and_not_sent_again(backend: Backend, by: str) -> None:
    """What the backend rejected is failed, the rest is sent."""
    partial = ExportLogsPartialSuccess(rejected_log_records=1, error_message="too old")
    headers = (("Content-Type", "application/x-protobuf"),)
    backend.answers = [Say(200, headers, ExportLogsServiceResponse(partial_success=partial).SerializeToString())]
    sender = a_sender(by, backend)
    sender.consume(some_logs("a", "b", "c"))
    stopped(sender)
    assert (counted(sender, "sent"), counted(sender, "send_failed"), len(backend.seen)) == (2, 1, 1)


def test_an_answer_without_end_is_not_read_to_its_end(backend: Backend) -> None:
    """16 MiB of zeros in an error, plain or as a gzip bomb, cost neither the thread nor the next request."""
    zeros = b"\0" * (16 << 20)
    backend.answers = [Say(400, (), zeros), Say(400, (("Content-Encoding", "gzip"),), gzip.compress(zeros))]
    sender = a_sender("http", backend, sending_queue={"num_consumers": 1})
    for name in "abc":
        sender.consume(some_logs(name))
    backend.wait(lambda: len(backend.kept) == 1)
    stopped(sender)
    assert backend.bodies() == ["c"]


@pytest.mark.parametrize("value", ["a\nb", "\u20ac"])
def test_a_header_that_cannot_be_sent_is_given_up_and_counted(backend: Backend, by: str, value: str) -> None:
    """No thread ends of it, and nothing is lost without a word."""
    sender = a_sender(by, backend, headers={"x-own": value})
    sender.consume(some_logs("a"))
    backend.wait(lambda: counted(sender, "send_failed") == 1)
    assert not sender.health().ok
    assert counted(sender, "queue_size") == 0
    stopped(sender)


def test_redirects_are_not_followed(backend: Backend) -> None:
    """Headers with secrets must not go where somebody else points."""
    backend.answers = [Say(307, (("Location", backend.http + "/v1/logs"),))]
    sender = a_sender("http", backend)
    sender.consume(some_logs("a"))
    backend.wait(lambda: counted(sender, "send_failed") == 1)
    stopped(sender)
    assert len(backend.seen) == 1


def test_a_full_queue_refuses(backend: Backend, by: str) -> None:
    """What does not fit is the sender's to keep; it is counted, and the rest arrives."""
    backend.always = UNREADY[by][0]
    sender = a_sender(by, backend, sending_queue={"queue_size": 2, "num_consumers": 1})
    sender.consume(some_logs("a"))
    sender.consume(some_logs("b"))
    with pytest.raises(Refused) as refused:
        sender.consume(some_logs("c"))
    assert refused.value.retry_after
    assert counted(sender, "enqueue_failed") == 1
    assert counted(sender, "queue_size") == counted(sender, "queue_capacity") == 2
    backend.wait(lambda: bool(backend.seen) and not sender.health().ok)
    backend.always = Say()
    backend.wait(lambda: len(backend.kept) == 2)
    stopped(sender)
    assert sorted(backend.bodies()) == ["a", "b"]


def test_a_request_that_can_never_fit_is_not_asked_for_again(backend: Backend) -> None:
    """By items: more in one request than the whole queue holds."""
    sender = a_sender("http", backend, sending_queue={"queue_size": 2, "sizer": "items"})
    with pytest.raises(Unacceptable):
        sender.consume(some_logs("a", "b", "c"))
    stopped(sender)


def test_a_full_queue_can_make_the_caller_wait(backend: Backend) -> None:
    """`block_on_overflow` takes it as soon as there is room."""
    backend.always = Say(503)
    settings = {"queue_size": 1, "num_consumers": 1, "block_on_overflow": True}
    sender = a_sender("http", backend, sending_queue=settings)
    sender.consume(some_logs("a"))
    waiting = threading.Thread(target=sender.consume, args=(some_logs("b"),))
    waiting.start()
    backend.wait(lambda: bool(backend.seen))
    assert waiting.is_alive()
    backend.always = Say()
    waiting.join(60)
    stopped(sender)
    assert backend.bodies() == ["a", "b"]


@pytest.mark.parametrize("settings", [{"enabled": False}, {"wait_for_result": True}])
def test_without_a_queue_the_caller_hears_what_became_of_it(
    backend: Backend, by: str, settings: dict[str, bool]
) -> None:
    """Retried within the call; a permanent error is raised as unacceptable."""
    backend.answers = [UNREADY[by][0], Say(), NEVER[by]]
    sender = a_sender(by, backend, sending_queue=settings)
    assert sender.consume(some_logs("a")).rejected == 0
    with pytest.raises(Unacceptable):
        sender.consume(some_logs("b"))
    stopped(sender)
    assert (backend.bodies(), len(backend.seen)) == (["a"], 3)


def test_without_retry_the_caller_keeps_it(backend: Backend, by: str) -> None:
    """Refused with the time that the backend asked for."""
    backend.answers = [THROTTLED[by]]
    sender = a_sender(by, backend, sending_queue={"enabled": False}, retry_on_failure={"enabled": False})
    with pytest.raises(Refused) as refused:
        sender.consume(some_logs("a"))
    assert refused.value.retry_after == 1
    stopped(sender)


def test_requests_are_put_together_where_asked(backend: Backend, by: str) -> None:
    """With `batch`, what waits goes out as one request with every record."""
    batch = {"min_size": 3, "flush_timeout": "60s"}
    sender = a_sender(by, backend, sending_queue={"num_consumers": 1, "batch": batch})
    for name in "abc":
        sender.consume(some_logs(name))
    backend.wait(lambda: len(backend.kept) == 1)
    stopped(sender)
    assert (backend.bodies(), len(backend.kept)) == (["a", "b", "c"], 1)


def test_what_is_left_at_the_stop_is_told_and_counted(
    backend: Backend, by: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A backend that is gone costs what is in memory, and the log says how much."""
    backend.always = UNREADY[by][0]
    sender = a_sender(by, backend, sending_queue={"num_consumers": 1})
    sender.consume(some_logs("a", "b"))
    sender.consume(some_logs("c"))
    stopped(sender, 0.3)
    assert "2 requests with 3 items are lost" in caplog.text
    assert counted(sender, "send_failed") == 3


def test_both_ends_show_their_certificates(by: str, tmp_path: Path) -> None:
    """Mutual TLS by files; a backend whose authority is not known gets nothing."""
    certificate, key = a_pair(tmp_path)
    ours = {"cert_file": str(certificate), "key_file": str(key)}
    with a_backend((certificate, key)) as backend:
        sender = a_sender(by, backend, tls={**ours, "ca_file": str(certificate)}, headers={"Authorization": "Bearer t"})
        stranger = a_sender(by, backend, tls=ours)
        sender.consume(some_logs("a"))
        stranger.consume(some_logs("b"))
        backend.wait(lambda: len(backend.kept) == 1 and not stranger.health().ok)
        stopped(sender)
        stopped(stranger, 0.2)
        assert backend.bodies() == ["a"]
        assert backend.seen[0][1]["authorization"] == "Bearer t"


def test_verification_can_be_skipped_over_http_only(tmp_path: Path) -> None:
    """Also where the endpoint is plain HTTP; gRPC's library cannot, and the start says so."""
    certificate, key = a_pair(tmp_path)
    tls = {"insecure_skip_verify": True, "cert_pem": certificate.read_text(), "key_pem": key.read_text()}
    for pair in ((certificate, key), None):
        with a_backend(pair) as backend:
            sender = a_sender("http", backend, tls=tls)
            sender.consume(some_logs("a"))
            backend.wait(lambda: backend.bodies() == ["a"])
            stopped(sender)
    with pytest.raises(ConfigError, match="verification"):
        a_sender("grpc", "localhost:1", tls=tls)


@pytest.mark.parametrize("endpoint", [{}, {"endpoint": "localhost:4318"}, {"endpoint": "http://"}])
def test_an_endpoint_that_cannot_work_is_a_configuration_error(endpoint: dict[str, str]) -> None:
    """Said at the start, not with the first batch."""
    host = Host("otlp_http", Telemetry(), logging.getLogger("whence"), Path("unused"))
    with pytest.raises(ConfigError):
        otlp_http.build(otlp_http.OTLPHTTPSettings.model_validate(endpoint), host)
