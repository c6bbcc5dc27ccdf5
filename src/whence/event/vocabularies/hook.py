"""What hooks see around somebody's work: sessions, tools before and after they run, and changes of configuration."""

from typing import Any

from pydantic import Field

from whence.event.kinds import Kind, Severity
from whence.event.typed import Label, MillisecondsIfKnown, TypedEvent, When, change_of, lasted


class SessionStart(TypedEvent, type="hook.session.start", kind=Kind.MILESTONE):
    """A session begins."""

    session: Label = Field(description="the session's id")

    def summary(self) -> str:
        return self.line(f"session {self.session} starts")


class SessionStop(TypedEvent, type="hook.session.stop", kind=Kind.MILESTONE):
    """A session is over."""

    session: Label = Field(description="the session's id")
    reason: str | None = Field(default=None, description="why it ended")
    duration_ms: MillisecondsIfKnown = None

    def summary(self) -> str:
        return self.line(f"session {self.session} stops")


class ToolBefore(TypedEvent, type="hook.tool.before"):
    """A tool is about to run."""

    tool: str = Field(description="the tool's name")
    arguments: dict[str, Any] | None = Field(default=None, description="what it is given, by name")

    def summary(self) -> str:
        return self.line(f"{self.tool} is about to run")


class ToolAfter(TypedEvent, type="hook.tool.after", severity=When("error", Severity.ERROR)):
    """A tool has run; with `error`, it failed."""

    tool: str = Field(description="the tool's name")
    result: Any = Field(default=None, description="what it gave")
    error: str | None = Field(default=None, description="what went wrong, if anything did")
    duration_ms: MillisecondsIfKnown = None

    def summary(self) -> str:
        ran = lasted(f"{self.tool} {'failed' if self.error else 'ran'}", self.duration_ms)
        return self.line(f"{ran}: {self.error}" if self.error else ran)


class ConfigChanged(TypedEvent, type="hook.config.changed", kind=Kind.STATE):
    """A setting takes another value."""

    key: str = Field(description="which setting")
    old_value: Any = Field(default=None, description="its value before")
    new_value: Any = Field(default=None, description="its value from now on")
    changed_by: str | None = Field(default=None, description="who changed it")

    def summary(self) -> str:
        return self.line(change_of(self.key, self.old_value, self.new_value))
