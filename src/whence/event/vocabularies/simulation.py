"""What happens in a simulation: turns and phases, decisions, actions, state changes, and how things were calculated."""

from typing import Any

from pydantic import Field

from whence.event.kinds import Kind, Severity
from whence.event.plain import brief
from whence.event.typed import TypedEvent, When, change_of


class SimulationStart(TypedEvent, type="simulation_start", kind=Kind.MILESTONE):
    """The simulation begins."""


class SimulationEnd(TypedEvent, type="simulation_end", kind=Kind.MILESTONE):
    """The simulation is over."""


class TurnStart(TypedEvent, type="turn_start", kind=Kind.MILESTONE):
    """A turn begins."""

    turn: int = Field(description="the turn's number")

    def summary(self) -> str:
        return f"turn {self.turn} starts"


class TurnEnd(TypedEvent, type="turn_end", kind=Kind.MILESTONE):
    """A turn is over."""

    turn: int = Field(description="the turn's number")

    def summary(self) -> str:
        return f"turn {self.turn} ends"


class PhaseTransition(TypedEvent, type="phase_transition", kind=Kind.MILESTONE):
    """The simulation, or one of its agents, goes from one phase to another."""

    old_phase: str | None = Field(default=None, description="the phase that ends")
    new_phase: str = Field(description="the phase that begins")

    def summary(self) -> str:
        return self.line(change_of("phase", self.old_phase, self.new_phase))


class Decision(TypedEvent, type="decision", kind=Kind.DECISION):
    """An agent chooses; what it looked at are the event's causes."""

    decision_type: str = Field(description="what was decided on")
    old_value: Any = Field(default=None, description="what held before")
    new_value: Any = Field(default=None, description="what was chosen")

    def summary(self) -> str:
        return self.line(change_of(self.decision_type, self.old_value, self.new_value))


class Action(TypedEvent, type="action", kind=Kind.ACTION):
    """An agent does something."""

    action_type: str = Field(description="what is done")
    action_payload: dict[str, Any] | None = Field(default=None, description="with what, to whom, how much")

    def summary(self) -> str:
        if not self.action_payload:
            return self.line(self.action_type)
        first = ", ".join(f"{key} {brief(value)}" for key, value in list(self.action_payload.items())[:3])
        return self.line(f"{self.action_type} ({first})")


class StateChange(TypedEvent, type="state", kind=Kind.STATE):
    """A variable of the simulation, or of one agent, takes another value."""

    variable_name: str = Field(description="which variable")
    old_value: Any = Field(default=None, description="its value before")
    new_value: Any = Field(default=None, description="its value from now on")

    def summary(self) -> str:
        return self.line(change_of(self.variable_name, self.old_value, self.new_value))


class Detail(TypedEvent, type="detail", kind=Kind.DETAIL):
    """How something was calculated."""

    calculation_type: str = Field(description="what was calculated")
    intermediate_values: dict[str, Any] | None = Field(default=None, description="the values on the way, by name")

    def summary(self) -> str:
        return self.line(self.calculation_type)


class System(TypedEvent, type="system", kind=Kind.SYSTEM, severity=When("error_type", Severity.WARN)):
    """The machinery rather than the simulation: a call that failed and was tried again, a service that came back."""

    error_type: str | None = Field(
        None, description="what kind of error, if it is one; then no verbosity suppresses it"
    )
    retry_count: int | None = Field(default=None, description="how many times it was tried again", ge=0)

    def summary(self) -> str:
        said = [self.error_type or "system"]
        if self.status is not None:
            said.append(self.status)
        if self.retry_count is not None:
            said.append(f"after {self.retry_count} retries")
        return self.line(", ".join(said))
