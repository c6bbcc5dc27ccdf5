"""The bounds of the sending queue by bytes and by age: what does not fit is refused, what is too old is told."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build_backend import FAST, Backend, Say, a_backend, counted, stopped
from build_collect import some_logs
from whence.collect.component import Host
from whence.collect.exporters import otlp_http
from whence.collect.exporters.sending import Sender
from whence.collect.extensions.file_storage import FileStorage, FileStorageSettings
from whence.collect.outcome import Refused, Unacceptable
from whence.collect.telemetry import Telemetry

LOG = logging.getLogger("whence.collect.queue")
HOUR = 3600.0


class Clock:
    """Both clocks, moved on by tests."""

    def __init__(self, epoch: float = 1.8e9) -> None:
        self.seconds = 0.0
        self.epoch = epoch

    def now(self) -> int:
        """The wall's."""
        return int((self.epoch + self.seconds) * 1e9)


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A backend that is down."""
    with a_backend() as found:
        found.always = Say(503)
        yield found


@pytest.fixture(params=["memory", "disk"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Where the queue is."""
    return tmp_path if request.param == "disk" else None


def a_sender(backend: Backend, directory: Path | None, clock: Clock | None = None, **queue: Any) -> Sender:
    """A started exporter with a clock of its own."""
    telemetry, extensions = Telemetry(), {}
    if directory is not None:
        at = FileStorageSettings(directory=str(directory))
        extensions["file_storage"] = FileStorage(at, Host("s", telemetry, LOG, directory))
        queue = {"storage": "file_storage", **queue}
    more: dict[str, Any] = {"now": clock.now} if clock else {}
    host = Host("otlp_http", telemetry, LOG, Path("exporter_otlp_http"), extensions, **more)
    made = {"endpoint": backend.http, "retry_on_failure": FAST, "sending_queue": {"num_consumers": 1, **queue}}
    sender = otlp_http.build(otlp_http.OTLPHTTPSettings.model_validate(made), host)
    sender.start(host)
    return sender


def test_bytes_are_bounded_beside_the_number(backend: Backend, directory: Path | None) -> None:
    """What does not fit stays with its sender; once something is delivered there is room again."""
    size = len(some_logs("a" * 100).protobuf())
    sender = a_sender(backend, directory, max_bytes=2 * size)
    sender.consume(some_logs("a" * 100))
    sender.consume(some_logs("b" * 100))
    with pytest.raises(Refused, match="full"):
        sender.consume(some_logs("c"))
    with pytest.raises(Unacceptable, match="max_bytes"):
        sender.consume(some_logs("d" * 1000))
    backend.always = Say()
    backend.wait(lambda: counted(sender, "sent") == 2 and counted(sender, "queue_size") == 0)
    sender.consume(some_logs("c" * 100))
    backend.wait(lambda: counted(sender, "sent") == 3)
    stopped(sender)


def test_what_is_too_old_is_given_up_counted_and_logged(
    backend: Backend, directory: Path | None, caplog: pytest.LogCaptureFixture
) -> None:
    """One that is being tried, and those that wait behind it; what comes after the outage arrives."""
    sender = a_sender(backend, directory, max_age="100ms")
    for _ in range(3):
        sender.consume(some_logs("old", "older"))
    backend.wait(lambda: counted(sender, "send_failed") == 6)
    assert expired(sender) == 6
    assert counted(sender, "queue_size") == 0
    assert "longer than max_age, 0.1 s" in caplog.text
    assert not sender.health().ok
    backend.always = Say()
    sender.consume(some_logs("new"))
    backend.wait(lambda: backend.bodies() == ["new"])
    stopped(sender)


def test_the_age_goes_on_over_a_restart(backend: Backend, tmp_path: Path) -> None:
    """On disk it counts from when it was taken: what was taken later is still sent."""
    clock = Clock()
    sender = a_sender(backend, tmp_path, clock, max_age="2h")
    sender.consume(some_logs("old"))
    clock.seconds = HOUR
    sender.consume(some_logs("young"))
    stopped(sender, 5)
    clock.seconds = 2.5 * HOUR
    backend.always = Say()
    again = a_sender(backend, tmp_path, clock, max_age="2h")
    backend.wait(lambda: counted(again, "sent") == 1 and expired(again) == 1)
    stopped(again)
    assert backend.bodies() == ["young"]


def test_a_clock_that_was_never_set_does_not_cost_what_was_queued(backend: Backend, tmp_path: Path) -> None:
    """A small machine begins in 1970, and after the next start it is today."""
    sender = a_sender(backend, tmp_path, Clock(epoch=100.0), max_age="2h")
    sender.consume(some_logs("a"))
    stopped(sender, 5)
    backend.always = Say()
    again = a_sender(backend, tmp_path, Clock(), max_age="2h")
    backend.wait(lambda: backend.bodies() == ["a"])
    stopped(again)
    assert expired(again) == 0


def expired(sender: Sender) -> float:
    """How many log records were too old."""
    found = [one for one in sender._host.telemetry.families() if one.name == "whence_exporter_expired_log_records"]
    return sum(sample.value for one in found for sample in one.samples)
