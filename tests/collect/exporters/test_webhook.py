"""The exporter `webhook` against a real server that refuses, hangs, throttles and comes back: every event arrives, signed."""

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from build_backend import FAST, Backend, Say, a_backend
from build_collect import problems, some_logs
from build_exporters import a_host
from build_processors import a_span, spans
from waiting import until
from whence.collect.exporters.webhook import Webhook, WebhookSettings, build
from whence.collect.extensions.file_storage import PLUG as STORAGE
from whence.errors import ConfigError

SECRET = "whsec_" + base64.b64encode(b"a secret of 32 bytes, no more...").decode()


def a_webhook(backend: Backend, directory: Path = Path(), extensions: Any = None, **settings: Any) -> Webhook:
    """A running exporter that posts to it."""
    given = {"endpoint": backend.http + "/hook", "retry_on_failure": FAST, **settings}
    host = a_host(directory, "webhook")
    if extensions:
        host = type(host)(host.id, host.telemetry, host.log, host.directory, extensions)
    made = build(WebhookSettings.model_validate(given), host)
    made.start(host)
    return made


def stop(webhook: Webhook, seconds: float = 60) -> None:
    """With time for what it has."""
    webhook.stop(webhook._host.monotonic() + seconds)


def told(backend: Backend) -> list[str]:
    """The descriptions of the events it took, in order."""
    found = [orjson.loads(body) for _, body in backend.kept]
    return [event["description"] for body in found for event in body.get("events", [body])]


def counted(webhook: Webhook, name: str) -> float:
    """A counter's sum."""
    families = webhook._host.telemetry.families()
    return sum(sample.value for family in families if family.name == name for sample in family.samples)


def test_matching_events_are_posted_in_their_flat_form(backend: Backend) -> None:
    """As the command line and HTTP show them; what does not match is not sent, and what has nothing sends nothing."""
    webhook = a_webhook(backend, filter="description CONTAINS 'good'")
    webhook.consume(some_logs("good one", "bad", "good two"))
    webhook.consume(some_logs("bad"))
    stop(webhook)
    [(path, headers)] = backend.seen
    assert (path, headers["content-type"], "webhook-signature" in headers) == ("/hook", "application/json", False)
    [(_, body)] = backend.kept
    first, second = orjson.loads(body)["events"]
    assert (first["description"], second["description"]) == ("good one", "good two")
    assert {"id", "type", "time", "signal"} <= set(first)
    assert counted(webhook, "otelcol_exporter_sent_log_records") == 2


def test_spans_are_events_too(backend: Backend) -> None:
    """And the filter asks each of them."""
    webhook = a_webhook(backend, filter="signal = 'span'", send="each")
    webhook.consume(spans(a_span()))
    stop(webhook)
    [(_, body)] = backend.kept
    assert orjson.loads(body)["signal"] == "span"


def test_requests_are_signed_and_fresh(backend: Backend) -> None:
    """A receiver that computes the signature itself finds it; settings cannot take the place of these headers."""
    webhook = a_webhook(backend, secret=SECRET, headers={"webhook-id": "mine", "X-Token": "t"})
    webhook.consume(some_logs("a"))
    stop(webhook)
    [(_, headers)], [(_, body)] = backend.seen, backend.kept
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(b"a secret of 32 bytes, no more...", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert abs(int(headers["webhook-timestamp"]) - webhook._host.now() / 1e9) < 600
    assert headers["webhook-id"].startswith("msg_") and headers["x-token"] == "t"


@pytest.mark.parametrize(("send", "requests"), [("each", 5), ("batch", 3)])
def test_how_many_events_a_request_holds(backend: Backend, send: str, requests: int) -> None:
    """One, or as many as are allowed; none is lost or doubled by being parted."""
    webhook = a_webhook(backend, send=send, max_events=2, sending_queue={"num_consumers": 1})
    webhook.consume(some_logs(*"abcde"))
    stop(webhook)
    assert (len(backend.kept), told(backend)) == (requests, list("abcde"))
    assert len({headers["webhook-id"] for _, headers in backend.seen}) == requests


def test_requests_that_came_together_share_a_delivery_where_the_queue_batches(backend: Backend) -> None:
    """Ten batches of one event are one request."""
    batch = {"min_size": 10, "flush_timeout": "60s"}
    webhook = a_webhook(backend, sending_queue={"batch": batch, "num_consumers": 1})
    for number in range(10):
        webhook.consume(some_logs(str(number)))
    backend.wait(lambda: len(backend.kept) == 1)
    stop(webhook)
    assert told(backend) == [str(number) for number in range(10)]


def test_what_fails_for_now_is_sent_again_with_the_same_id(backend: Backend) -> None:
    """And with a signature of its own time; what had arrived before the failure is not sent twice."""
    backend.answers = [Say(), Say(503), Say(500), Say(429, (("Retry-After", "0"),)), Say()]
    webhook = a_webhook(backend, secret=SECRET, send="each", sending_queue={"num_consumers": 1})
    webhook.consume(some_logs("a", "b"))
    stop(webhook)
    assert told(backend) == ["a", "b"]
    first, *again = [headers["webhook-id"] for _, headers in backend.seen]
    assert len(again) == 4 and set(again) == {again[0]} and first != again[0]
    assert counted(webhook, "otelcol_exporter_sent_log_records") == 2


def test_a_server_that_throttles_is_given_the_time_it_asks_for(backend: Backend) -> None:
    """Retry-After counts."""
    backend.answers = [Say(429, (("Retry-After", "1"),))]
    webhook = a_webhook(backend)
    webhook.consume(some_logs("a"))
    backend.wait(lambda: len(backend.kept) == 1)
    first, second = (int(headers["webhook-timestamp"]) for _, headers in backend.seen)
    assert second - first >= 1
    stop(webhook)


def test_a_server_that_hangs_costs_an_attempt(backend: Backend) -> None:
    """`timeout` ends it; meanwhile the pipeline and health go on, and then the events arrive."""
    backend.answers = [Say(hang=True)]
    webhook = a_webhook(backend, timeout="1500ms")
    webhook.consume(some_logs("a"))
    backend.wait(lambda: len(backend.kept) == 1)
    stop(webhook)
    assert told(backend) == ["a"] and len(backend.seen) == 2


def test_a_server_that_is_away_gets_everything_when_it_comes_back(backend: Backend, tmp_path: Path) -> None:
    """Health says why meanwhile."""
    backend.always = Say(503)
    webhook = a_webhook(backend)
    for number in range(20):
        webhook.consume(some_logs(str(number)))
    until(lambda: "answered 503" in (webhook.health().reason or ""))
    backend.always = Say()
    backend.wait(lambda: len(backend.kept) == 20)
    stop(webhook)
    assert sorted(told(backend), key=int) == [str(number) for number in range(20)]
    assert webhook.health().ok


def test_a_redirect_is_not_followed(backend: Backend) -> None:
    """It is given up, counted, and health says what to do."""
    backend.always = Say(302, (("Location", backend.http + "/elsewhere"),))
    webhook = a_webhook(backend)
    webhook.consume(some_logs("a"))
    until(lambda: "redirects are not followed" in (webhook.health().reason or ""))
    stop(webhook)
    assert {path for path, _ in backend.seen} == {"/hook"} and backend.kept == []
    assert counted(webhook, "otelcol_exporter_send_failed_log_records") == 1


def test_a_body_that_is_refused_costs_no_other(backend: Backend) -> None:
    """400 is about one body; 410 is about all."""
    backend.answers = [Say(400), Say()]
    webhook = a_webhook(backend, send="each", sending_queue={"num_consumers": 1})
    webhook.consume(some_logs("bad", "good"))
    backend.wait(lambda: len(backend.kept) == 1)
    backend.always = Say(410)
    webhook.consume(some_logs("a", "b", "c"))
    stop(webhook)
    assert told(backend) == ["good"] and len(backend.seen) == 3
    assert counted(webhook, "otelcol_exporter_sent_log_records") == 1
    assert counted(webhook, "otelcol_exporter_send_failed_log_records") == 4


def test_a_full_queue_drops_and_never_holds_up_the_pipeline(backend: Backend) -> None:
    """Counted and told by health, until there is room again."""
    backend.always = Say(503)
    webhook = a_webhook(backend, sending_queue={"queue_size": 2, "num_consumers": 1})
    for number in range(5):
        webhook.consume(some_logs(str(number)))
    assert counted(webhook, "otelcol_exporter_enqueue_failed_log_records") == 3
    assert "are dropped" in (webhook.health().reason or "")
    backend.always = Say()
    backend.wait(lambda: len(backend.kept) == 2)
    until(lambda: not webhook.consume(some_logs("after")).rejected and webhook.health().ok)
    stop(webhook)
    assert {"0", "1", "after"} <= set(told(backend))


def test_a_queue_on_disk_goes_on_after_a_restart_with_the_same_ids(backend: Backend, tmp_path: Path) -> None:
    """What was sent and not noted is known by its id."""
    storage = STORAGE.build(STORAGE.settings.model_validate({"directory": str(tmp_path / "state")}), a_host(tmp_path))
    storage.start(a_host(tmp_path))
    backend.always = Say(503)
    settings: dict[str, Any] = {"sending_queue": {"storage": "file_storage"}, "extensions": {"file_storage": storage}}
    webhook = a_webhook(backend, tmp_path, **settings)
    webhook.consume(some_logs("a"))
    backend.wait(lambda: bool(backend.seen))
    stop(webhook)
    backend.always = Say()
    again = a_webhook(backend, tmp_path, **settings)
    backend.wait(lambda: len(backend.kept) == 1)
    stop(again)
    assert told(backend) == ["a"]
    assert len({headers["webhook-id"] for _, headers in backend.seen}) == 1


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_bodies_may_be_compressed(backend: Backend, compression: str) -> None:
    """Only where that is asked for; the signature is of the plain body."""
    webhook = a_webhook(backend, compression=compression)
    webhook.consume(some_logs("a"))
    stop(webhook)
    assert told(backend) == ["a"] and backend.seen[0][1]["content-encoding"] == compression


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"filter": "kind = "}, "cannot read the filter"),
        ({"filter": "CAUSED_BY (type = 'x')"}, "caus"),
        ({"secret": "short"}, "at least 16 bytes"),
        ({"sending_queue": {"block_on_overflow": True}}, "never holds up"),
        ({"sending_queue": {"enabled": False}}, "never holds up"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], said: str) -> None:
    """By name, when the configuration is checked."""
    with pytest.raises(ValidationError, match=said):
        WebhookSettings.model_validate({"endpoint": "http://localhost", **settings})


def test_a_configuration_names_what_is_wrong() -> None:
    """As every component's."""
    text = """\
receivers: {source: }
exporters: {webhook: {endpoint: "https://host/path", filtre: "kind = 'x'"}}
service: {pipelines: {logs: {receivers: [source], exporters: [webhook]}}}
"""
    [problem] = problems(text)
    assert "did you mean 'filter'" in problem
    assert problems(text.replace("filtre", "filter")) == []
    assert problems(text.replace("filtre", "filter").replace("logs:", "metrics:"))
    with pytest.raises(ConfigError, match="an endpoint is such as"):
        build(WebhookSettings.model_validate({"endpoint": "host"}), a_host(Path()))


def test_no_message_shows_more_of_the_endpoint_than_its_host() -> None:
    """Paths of webhooks are passwords; health and the log are read by others."""
    with a_backend() as gone:
        endpoint = gone.http + "/services/T0/B0/confidential?token=confidential"
    webhook = a_webhook(gone, endpoint=endpoint)
    webhook.consume(some_logs("a"))
    until(lambda: gone.http in (webhook.health().reason or ""))
    assert "confidential" not in (webhook.health().reason or "") + repr(webhook._settings)
    stop(webhook, 0.1)
