"""The processors `memory_limiter` and `batch`: when senders must wait, and what is never acknowledged early."""

import logging
import time

import pytest
from pydantic import ValidationError

from build_processors import Sink, a_host, a_log, a_processor, logs
from whence.collect.outcome import Refused
from whence.collect.processors import memory_limiter
from whence.collect.processors.memory_limiter import MemoryLimiterSettings, limits, memory_available, memory_held
from whence.collect.settings import MIB


def settings(**given: object) -> MemoryLimiterSettings:
    return MemoryLimiterSettings.model_validate({"check_interval": "1s", **given})


def test_limits_are_absolute_or_of_what_there_is() -> None:
    """The soft limit is the hard one less the spike, a fifth where none is given."""
    assert limits(settings(limit_mib=100), 0) == (80 * MIB, 100 * MIB)
    assert limits(settings(limit_mib=100, spike_limit_mib=30), 0) == (70 * MIB, 100 * MIB)
    assert limits(settings(limit_percentage=50, spike_limit_percentage=10), 1000 * MIB) == (400 * MIB, 500 * MIB)


def test_the_process_s_memory_is_measured() -> None:
    """More than nothing, and not more than there is; what is taken is seen."""
    before = memory_held()
    held = b"x" * (64 * MIB)
    assert before + 32 * MIB < memory_held() <= memory_available()
    assert len(held) == 64 * MIB


def test_above_the_soft_limit_senders_wait() -> None:
    """With the time to come back; health says so; nothing went on."""
    sink, host = Sink(), a_host("memory_limiter")
    limiter = a_processor("memory_limiter", {"check_interval": "1s", "limit_mib": 1}, host, sink)
    limiter.start(host)
    with pytest.raises(Refused) as caught:
        limiter.consume(logs(a_log("x"), a_log("y")))
    assert caught.value.retry_after == 1.0
    assert sink.batches == []
    assert not limiter.health().ok
    counted = {family.name: family.samples[0].value for family in host.telemetry.families()}
    assert counted == {"otelcol_processor_memory_limiter_refused_log_records": 2}
    limiter.stop(time.monotonic() + 30)


def test_below_it_batches_pass_as_they_are() -> None:
    """The very batch, counted."""
    sink, host = Sink(), a_host("memory_limiter")
    limiter = a_processor("memory_limiter", {"check_interval": "10ms", "limit_percentage": 100}, host, sink)
    limiter.start(host)
    batch = logs(a_log("x"))
    limiter.consume(batch)
    assert sink.batches[0] is batch
    assert limiter.health().ok
    limiter.stop(time.monotonic() + 30)
    assert limiter._thread is not None
    assert not limiter._thread.is_alive()


def test_it_takes_batches_again_when_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look decides."""
    limiter = a_processor("memory_limiter", {"check_interval": "1s", "limit_mib": 100})
    for held, well in ((90, False), (70, True), (120, False), (10, True)):
        monkeypatch.setattr(memory_limiter, "memory_held", lambda held=held: held * MIB)
        limiter.look()
        assert limiter.health().ok is well


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"check_interval": 0, "limit_mib": 1}, "check_interval must be set"),
        ({}, "limit_mib or limit_percentage"),
        ({"limit_mib": 1, "spike_limit_mib": 1}, "less than limit_mib"),
        ({"limit_percentage": 101}, "100"),
    ],
)
def test_wrong_limits_are_refused_with_the_reason(given: dict, said: str) -> None:
    """Before anything starts."""
    with pytest.raises(ValidationError, match=said):
        settings(**given)


def test_batch_passes_on_at_once_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """The Collector's keys are taken."""
    with caplog.at_level(logging.INFO):
        process = a_processor("batch", {"timeout": "1s", "send_batch_size": 100, "send_batch_max_size": 200})
    batch = logs(a_log("x"))
    assert process(batch) is batch
    assert "passes batches on at once" in caplog.text
