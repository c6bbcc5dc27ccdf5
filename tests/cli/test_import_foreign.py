"""`whence import` of files that structlog and eliot themselves write: recognised by content, with times, levels and causes."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import eliot
import pytest
import structlog

from build import an_event
from build_cli import Ask


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """A structlog logger that writes JSON lines to `app.log` by these processors."""
    files = []

    def logger(*processors: Any, name: str = "app.log") -> Any:
        file = (tmp_path / name).open("a")
        files.append(file)
        return structlog.wrap_logger(
            structlog.WriteLogger(file), processors=[*processors, structlog.processors.JSONRenderer()]
        )

    yield logger
    for file in files:
        file.close()


@pytest.fixture
def an_eliot_log(tmp_path: Path) -> Path:
    """An order that is handled in two processes and fails in a step."""
    path = tmp_path / "eliot.log"
    with path.open("wb") as file:
        destination = eliot.FileDestination(file=file)
        eliot.add_destinations(destination)
        try:
            with eliot.start_action(action_type="order:handle", order=7) as order:
                eliot.log_message("order:note", message="in a hurry", weight=2.5)
                handed_on = order.serialize_task_id()
                with pytest.raises(ValueError, match="no card"), eliot.start_action(action_type="order:pay", amount=12):
                    raise ValueError("no card")
            with eliot.Action.continue_task(task_id=handed_on):
                eliot.log_message("order:shipped", message="by boat")
            try:
                raise KeyError("lost")
            except KeyError:
                eliot.write_traceback()
        finally:
            eliot.remove_destination(destination)
    return path


def imported(whence: Ask, archive: Path, *files: object) -> list[dict[str, Any]]:
    """The events of an archive after an import without a fault."""
    answer = whence("import", *files, "-a", archive)
    assert (answer.code, answer.err) == (0, "")
    return whence("log", "-a", archive, "--json").json_lines


# --- structlog --------------------------------------------------------------------------------------------------------


def test_structlog_lines_become_events(tmp_path: Path, whence: Ask, logged: Callable[..., Any]) -> None:
    """An event that is a name is the type, a sentence the description; keys are the payload."""
    before = datetime.now(UTC).timestamp()
    log = logged(structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso"))
    log.info("order_received", logger="shop.orders", order={"id": 7, "lines": [1, 2]}, user="ada", request_id="r-1")
    log.warning("the queue is long", length=99)
    first, second = imported(whence, tmp_path / "x", tmp_path / "app.log")
    assert (first["type"], first["source"], first["severity"]) == ("order_received", "shop.orders", "INFO")
    assert first["payload"] == {"order": {"id": 7, "lines": [1, 2]}, "user": "ada"}
    assert (first["correlation"], first["run"]) == ("r-1", "app.log")
    assert (second["description"], second["severity"]) == ("the queue is long", "WARN")
    assert before - 1 <= datetime.fromisoformat(first["time"][:26] + "+00:00").timestamp() <= before + 60


@pytest.mark.parametrize("fmt", ["iso", None, "%Y-%m-%d %H:%M:%S"])
@pytest.mark.parametrize("key", ["timestamp", "ts"])
def test_times_in_any_form_structlog_writes(
    tmp_path: Path, whence: Ask, logged: Callable[..., Any], fmt: str | None, key: str
) -> None:
    """ISO 8601, seconds as floating point, a format of one's own."""
    logged(structlog.processors.TimeStamper(fmt=fmt, key=key)).msg("tick")
    line = json.loads((tmp_path / "app.log").read_text())
    (event,) = imported(whence, tmp_path / "x", tmp_path / "app.log")
    said = line[key]
    expected = datetime.fromtimestamp(said, UTC) if fmt is None else datetime.fromisoformat(said)
    assert event["time"][:26].rstrip("Z").ljust(26, "0") == expected.strftime("%Y-%m-%dT%H:%M:%S.%f")


def test_exceptions_in_both_forms_are_errors_with_their_type(
    tmp_path: Path, whence: Ask, logged: Callable[..., Any]
) -> None:
    """A traceback as text, and as dictionaries."""
    for form in (structlog.processors.format_exc_info, structlog.processors.dict_tracebacks):
        log = logged(structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso"), form)
        try:
            raise ValueError("no: card")
        except ValueError:
            log.exception("payment_failed", attempt=2)
    text, listed = imported(whence, tmp_path / "x", tmp_path / "app.log")
    for event in (text, listed):
        assert (event["type"], event["severity"], event["payload"]["attempt"]) == ("payment_failed", "ERROR", 2)
        assert event["attributes"]["exception.type"] == "ValueError"
        assert event["attributes"]["exception.message"] == "no: card"
    assert text["attributes"]["exception.stacktrace"].startswith("Traceback")
    assert listed["payload"]["exception"][0]["frames"]
    assert whence("errors", "-a", tmp_path / "x").out.count("payment_failed") >= 1


def test_lines_of_a_traced_program_stand_in_their_span(tmp_path: Path, whence: Ask, logged: Callable[..., Any]) -> None:
    """Where the program adds its trace's ids, as OpenTelemetry's recipe for structlog has it."""
    logged(structlog.processors.TimeStamper(fmt="iso")).msg("in_span", trace_id="ab" * 16, span_id="cd" * 8)
    (event,) = imported(whence, tmp_path / "x", tmp_path / "app.log")
    assert (event["trace_id"], event["span_id"]) == ("ab" * 16, "cd" * 8)


# --- eliot ------------------------------------------------------------------------------------------------------------


def test_an_eliot_task_is_a_tree_of_causes(tmp_path: Path, whence: Ask, an_eliot_log: Path) -> None:
    """A failure is explained back to the start of the task, across processes."""
    events = imported(whence, tmp_path / "x", an_eliot_log)
    by_type = {event["type"]: event for event in events}
    start, note = by_type["order:handle.started"], by_type["order:note"]
    assert "caused_by" not in start
    assert (start["payload"], start["status"], start["task"]) == ({"order": 7}, "started", note["task"])
    assert (note["description"], note["payload"], note["caused_by"]) == ("in a hurry", {"weight": 2.5}, [start["id"]])
    failed = by_type["order:pay.failed"]
    assert (failed["severity"], failed["description"]) == ("ERROR", "no card")
    assert failed["attributes"]["exception.type"] == "builtins.ValueError"
    why = whence("why", failed["id"], "-a", tmp_path / "x", "--json").json
    assert [hop["id"] for hop in why["hops"]] == [
        start["id"],
        by_type["order:pay.started"]["id"],
        failed["id"],
    ]
    assert by_type["eliot:remote_task.started"]["caused_by"] == [start["id"]]
    assert by_type["order:shipped"]["caused_by"] == [by_type["eliot:remote_task.started"]["id"]]
    lost = by_type["eliot:traceback"]
    assert (lost["severity"], lost["attributes"]["exception.type"]) == ("ERROR", "builtins.KeyError")
    assert "caused_by" not in lost
    effects = whence("effects", start["id"], "-a", tmp_path / "x", "--json").json
    assert len(effects["hops"]) == len(events) - 1
    assert whence("check", "-a", tmp_path / "x").code == 0


# --- both -------------------------------------------------------------------------------------------------------------


def test_importing_twice_shows_nothing_twice(
    tmp_path: Path, whence: Ask, an_eliot_log: Path, logged: Callable[..., Any]
) -> None:
    """Not even two lines of structlog that are the same but for their place."""
    log = logged()
    for _ in range(2):
        log.msg("tick", timestamp="2026-01-01T00:00:00Z")
    for _ in range(3):
        events = imported(whence, tmp_path / "x", an_eliot_log, tmp_path / "app.log")
    assert len(events) == len(an_eliot_log.read_bytes().splitlines()) + 2
    assert len({event["id"] for event in events}) == len(events)


def test_each_line_tells_what_it_is_unless_it_is_said(
    tmp_path: Path, whence: Ask, an_eliot_log: Path, logged: Callable[..., Any]
) -> None:
    """One file of all three; with `--from` what is another form is left out and named."""
    logged(structlog.processors.TimeStamper(fmt="iso")).msg("tick")
    mixed = tmp_path / "mixed.log"
    one = an_eliot_log.read_bytes().splitlines(keepends=True)[0]
    mixed.write_bytes(an_event("ours").line + one + (tmp_path / "app.log").read_bytes())
    assert {event["type"] for event in imported(whence, tmp_path / "x", mixed)} == {
        "ours",
        "order:handle.started",
        "tick",
    }
    for form, line in (("otlp", 1), ("eliot", 2), ("structlog", 3)):
        answer = whence("import", mixed, "--from", form, "-a", tmp_path / form, "--json")
        assert (answer.code, answer.json["lines"]) == (1, 1)
        assert {bad["line"] for bad in answer.json["bad"]} == {1, 2, 3} - {line}


def test_what_is_none_of_these_is_said_so(tmp_path: Path, whence: Ask, logged: Callable[..., Any]) -> None:
    """The line, and what to do; a form that does not exist is a wrong usage."""
    logged().msg("tick")
    answer = whence("import", tmp_path / "app.log", "-a", tmp_path / "x")
    assert answer.code == 1 and "neither otlp nor eliot nor structlog" in answer.err and "--from" in answer.err
    answer = whence("import", tmp_path / "app.log", "-a", tmp_path / "x", "--from", "structlog")
    assert answer.code == 1 and "TimeStamper" in answer.err
    assert whence("import", tmp_path / "app.log", "-a", tmp_path / "x", "--from", "bunyan").code == 2
