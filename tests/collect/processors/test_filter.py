"""The processor `filter` with whence's own language."""

import pytest
from pydantic import ValidationError

from build_processors import a_host, a_log, a_span, a_sum, logs, metrics, process, records, spans
from whence.collect.processors.filter import FilterSettings


def left(settings: dict, batch: object) -> list[object]:
    return [record.get("eventName") or record.get("name") for record in records(process("filter", settings, batch))]


def some_logs() -> object:
    return logs(
        a_log("turn 5", {"whence.agent": "a7", "whence.turn": 5}, eventName="turn_start", severityNumber=9),
        a_log("it broke", {"whence.agent": "a8"}, eventName="task.failed", severityNumber=17),
        a_log("chatter", {"n": 1}, eventName="noise"),
    )


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"keep": "type LIKE 't%'"}, ["turn_start", "task.failed"]),
        ({"drop": "type LIKE 't%'"}, ["noise"]),
        ({"keep": "agent = 'a7'"}, ["turn_start"]),
        ({"drop": "agent = 'a7'"}, ["task.failed", "noise"]),
        ({"keep": "severity >= ERROR OR attributes.n = 1"}, ["task.failed", "noise"]),
        ({"keep": "resource.service.name = shop", "drop": "broke"}, ["turn_start", "noise"]),
        ({"drop": "timestamp > now-1000000h"}, []),
    ],
)
def test_keep_and_drop_ask_every_record(settings: dict, names: list[str]) -> None:
    """What hangs on a missing value is not true: keep lets it go, drop lets it stay."""
    assert left(settings, some_logs()) == names


def test_now_moves_on_with_the_clock() -> None:
    """`now-5m` counts from each batch, not from the start."""
    time = 1767225600_000000000
    host = a_host(now=lambda: time)
    settings = {"keep": "timestamp > now-5m"}
    assert process("filter", settings, logs(a_log()), host) is not None
    host = a_host(now=lambda: time + 301_000000000)
    assert process("filter", settings, logs(a_log()), host) is None


def test_a_span_goes_with_its_events() -> None:
    """The span is asked, its events are not."""
    batch = spans(a_span("GET /", events=[{"name": "x", "timeUnixNano": "1"}]), a_span("SELECT"))
    assert left({"drop": "type = 'x'"}, batch) == ["GET /", "SELECT"]
    assert left({"drop": "type STARTSWITH 'GET'"}, batch) == ["SELECT"]


def test_metrics_pass() -> None:
    """They are no events."""
    batch = metrics(a_sum("n", {}))
    assert process("filter", {"drop": "type = n"}, batch) is batch


def test_dropping_nothing_gives_the_very_batch_and_dropping_all_none() -> None:
    """So that bytes stay bytes."""
    batch = some_logs()
    assert process("filter", {"drop": "type = nobody"}, batch) is batch
    assert process("filter", {"drop": "NOT type = nobody"}, batch) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CAUSED_BY (type = x)", "only a whole archive knows them"),
        ("ROOT", "only a whole archive knows them"),
        ("agnt = 'a'", "agent"),
        ("type = ", "ends too early"),
        ("type = a | count", "without pipes"),
    ],
)
def test_a_filter_that_cannot_be_asked_here_is_refused_with_the_reason(text: str, said: str) -> None:
    """Also one that asks for causes."""
    with pytest.raises(ValidationError, match=said):
        FilterSettings.model_validate({"drop": text})
