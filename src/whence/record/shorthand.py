"""Emitting in one call into the current run: `emit`, `log`, `error`, `batch`, and a function for each simulation event.

A kind is known before anything is built, so a suppressed event costs one comparison. Where the values themselves are costly,
give a callable: it is called only if the event is recorded.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypedDict, Unpack

from whence.event.kinds import Kind, Severity
from whence.event.typed import TypedEvent
from whence.event.vocabularies.simulation import (
    Action,
    Decision,
    Detail,
    PhaseTransition,
    SimulationEnd,
    SimulationStart,
    StateChange,
    System,
    TurnEnd,
    TurnStart,
)
from whence.record.causes import Causes, EventRef, through
from whence.record.configure import current_run

Lazy = Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None


class Whose(TypedDict, total=False):
    """What every shorthand takes besides its own fields: whose event it is, and what caused it."""

    agent: str | None
    description: str | None
    details: dict[str, Any]
    correlation: str | None
    caused_by: Causes


class Common(Whose, total=False):
    """And, where it is not the event itself, the turn it belongs to."""

    turn: int | None


class How(TypedDict, total=False):
    """How `emit` and `log` record an event; see `Run.emit`."""

    caused_by: Causes
    agent: str | None
    source: str | None
    idempotency_key: str | None
    expected_seq: int | None
    audit: bool


class What(How, total=False):
    """What `log` takes besides type and payload; see `Run.log`."""

    kind: Kind | str
    severity: Severity | None
    description: str | None
    correlation_id: str | None
    turn: int | None
    task: str | None
    stage: str | None
    status: str | None
    validated: bool


class Error(TypedDict, total=False):
    """What `error` takes besides the exception; see `Run.error`."""

    description: str | None
    source: str | None
    correlation_id: str | None
    agent: str | None
    caused_by: Causes


def emit(event: TypedEvent | type[TypedEvent], fields: Lazy = None, /, **how: Unpack[How]) -> EventRef | None:
    """Record a typed event in the current run: `Run.emit`."""
    run = current_run()
    return through(how.get("caused_by")) if run.silences(event) else run.emit(event, fields, **how)


def log(type: str, payload: Lazy = None, **what: Unpack[What]) -> EventRef | None:
    """Record an event by type and payload alone in the current run: `Run.log`."""
    return current_run().log(type, payload, **what)


def error(exception: BaseException, payload: Mapping[str, Any] | None = None, **what: Unpack[Error]) -> EventRef:
    """Record an exception, with its stack, in the current run: `Run.error`."""
    return current_run().error(exception, payload, **what)


def batch(*, expected_seq: int | None = None) -> AbstractContextManager[None]:
    """Events emitted inside are recorded all together or not at all: `Run.batch`."""
    return current_run().batch(expected_seq=expected_seq)


def simulation_start(**common: Unpack[Common]) -> EventRef | None:
    """Milestone: the simulation began."""
    return _emit(SimulationStart, common, {})


def simulation_end(**common: Unpack[Common]) -> EventRef | None:
    """Milestone: the simulation ended."""
    return _emit(SimulationEnd, common, {})


def turn_start(turn: int, **common: Unpack[Whose]) -> EventRef | None:
    """Milestone: a turn began."""
    return _emit(TurnStart, common, {"turn": turn})


def turn_end(turn: int, **common: Unpack[Whose]) -> EventRef | None:
    """Milestone: a turn ended."""
    return _emit(TurnEnd, common, {"turn": turn})


def phase_transition(old_phase: str | None, new_phase: str, **common: Unpack[Common]) -> EventRef | None:
    """Milestone: the simulation, or an agent, went from one phase to another."""
    return _emit(PhaseTransition, common, {"old_phase": old_phase, "new_phase": new_phase})


def decision(
    decision_type: str, old_value: Any = None, new_value: Any = None, **common: Unpack[Common]
) -> EventRef | None:
    """Decision: an agent chose; `caused_by` what it looked at."""
    return _emit(Decision, common, {"decision_type": decision_type, "old_value": old_value, "new_value": new_value})


def action(action_type: str, action_payload: Lazy = None, **common: Unpack[Common]) -> EventRef | None:
    """Action: an agent did something; the payload may be a callable."""
    return _emit(Action, common, {"action_type": action_type, "action_payload": action_payload})


def state(variable_name: str, old_value: Any, new_value: Any, **common: Unpack[Common]) -> EventRef | None:
    """State: a variable changed."""
    if current_run().silences(StateChange):  # asked first where it is usual: most runs are recorded without states
        return through(common.get("caused_by"))
    return _emit(StateChange, common, {"variable_name": variable_name, "old_value": old_value, "new_value": new_value})


def detail(calculation_type: str, intermediate_values: Lazy = None, **common: Unpack[Common]) -> EventRef | None:
    """Detail: how something was calculated; the values may be a callable."""
    if current_run().silences(Detail):  # as for `state`
        return through(common.get("caused_by"))
    return _emit(Detail, common, {"calculation_type": calculation_type, "intermediate_values": intermediate_values})


def system(
    error_type: str | None = None, status: str | None = None, retry_count: int | None = None, **common: Unpack[Common]
) -> EventRef | None:
    """System: the machinery rather than the simulation, such as a call that failed and was tried again."""
    return _emit(System, common, {"error_type": error_type, "status": status, "retry_count": retry_count})


def _emit(model: type[TypedEvent], common: Whose, fields: Mapping[str, Any]) -> EventRef | None:
    run = current_run()
    if run.silences(model) or not run.passes(model.kind, common.get("agent"), model.severity):
        return through(common.get("caused_by"))
    caused_by = common.pop("caused_by", None)
    given = {name: value() if callable(value) else value for name, value in fields.items() if value is not None}
    return run.emit(model.build({**common, **given}), caused_by=caused_by)
