"""The processor `verbosity`: levels, overrides, and chains that stay whole."""

import pytest
from pydantic import ValidationError

from build_processors import a_log, a_processor, a_span, attributes, logs, process, records, spans
from whence.collect.processors.verbosity import VerbositySettings
from whence.event.kinds import Kind, Verbosity, passes


def event(
    kind: str, id: str = "", caused_by: list[str] | None = None, agent: str = "", run: str = "", severity: int = 9
) -> dict:
    given = {
        "whence.kind": kind,
        "log.record.uid": id,
        "whence.caused_by": caused_by,
        "whence.agent": agent,
        "whence.run": run,
    }
    return a_log("x", {key: value for key, value in given.items() if value}, severityNumber=severity)


def kinds(settings: dict, *events: dict) -> list[str]:
    return [attributes(record)["whence.kind"] for record in records(process("verbosity", settings, logs(*events)))]


@pytest.mark.parametrize("level", list(Verbosity))
def test_a_level_lets_through_what_the_recorder_would(level: Verbosity) -> None:
    """By name or number."""
    events = [event(kind.value) for kind in Kind]
    wanted = [kind.value for kind in Kind if passes(kind, level, 9)]
    assert kinds({"level": level.name.lower()}, *events) == wanted
    assert kinds({"level": int(level)}, *events) == wanted


def test_warnings_and_what_is_no_event_of_ours_pass() -> None:
    """Trouble is never hidden."""
    batch = logs(event("detail", severity=13), a_log("plain"), a_log("odd", {"whence.kind": ["x"]}))
    assert process("verbosity", {"level": "milestone"}, batch) is batch
    other = spans(a_span("x", {"whence.kind": "detail"}))
    assert process("verbosity", {"level": "milestone"}, other) is other


def test_an_agent_goes_before_its_run_and_that_before_the_level() -> None:
    """Each for itself."""
    settings = {"level": "milestone", "runs": {"r1": "action"}, "agents": {"a7": "detail"}}
    events = [
        event("detail", agent="a7"), event("detail", run="r1"), event("action", run="r1"), event("action"),
        event("detail", agent="a7", run="r1"), event("milestone"),
    ]  # fmt: skip
    assert kinds(settings, *events) == ["detail", "action", "detail", "milestone"]
    by_service = logs(event("action"), resource={"service.name": "r1"})
    assert process("verbosity", settings, by_service) is by_service


def test_an_event_that_goes_hands_its_causes_on() -> None:
    """Also across batches, and over several that went."""
    run = a_processor("verbosity", {"level": "action"})
    first = run(logs(event("action", "A"), event("detail", "B", ["A"])))
    second = run(logs(event("state", "C", ["B", "X"]), event("action", "D", ["C", "A"])))
    assert [attributes(record).get("log.record.uid") for record in records(first)] == ["A"]
    assert [attributes(record)["whence.caused_by"] for record in records(second)] == [["A", "X"]]


def test_an_unknown_level_is_refused_with_those_there_are() -> None:
    """Before anything starts."""
    with pytest.raises(ValidationError, match="milestone, decision, action, state, detail"):
        VerbositySettings.model_validate({"agents": {"a7": "loud"}})
