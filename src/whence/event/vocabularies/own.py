"""What whence records of itself: when a run began and ended in a process, and what could not be recorded."""

from pydantic import Field

from whence.event import names
from whence.event.kinds import Kind, Severity
from whence.event.typed import TypedEvent


class RunStarted(TypedEvent, type=names.TYPE_RUN_STARTED, kind=Kind.MILESTONE):
    """A run begins in a process."""

    name: str | None = Field(default=None, description="the program's name")
    pid: int | None = Field(default=None, description="the process's id")
    host: str | None = Field(default=None, description="on which machine")
    python: str | None = Field(default=None, description="the version of Python")
    whence: str | None = Field(default=None, description="the version of whence")

    def summary(self) -> str:
        return f"{self.name or 'run'} started"


class RunFinished(TypedEvent, type=names.TYPE_RUN_FINISHED, kind=Kind.MILESTONE):
    """A run is over in a process; `status` is `ok` or `failed`. A run without this event was killed."""

    events: int | None = Field(
        default=None, description="the sequence number of the run's last event before this one", ge=0
    )
    pid: int | None = Field(default=None, description="the process's id")
    dropped: dict[str, int] | None = Field(default=None, description="records that are not in the archive, by reason")

    def summary(self) -> str:
        return f"run finished, {self.status or 'ok'}"


class Dropped(TypedEvent, type=names.TYPE_DROPPED, kind=Kind.SYSTEM, severity=Severity.WARN):
    """Records that are not in the archive, and why."""

    count: int = Field(description="how many", ge=1)
    reason: str = Field(description="why: `queue_full`, `after_shutdown`, ...")
    first: int = Field(description="when the first was dropped, in nanoseconds since 1970-01-01 UTC")
    last: int = Field(description="when the last was dropped, likewise")

    def summary(self) -> str:
        return f"{self.count} records were dropped: {self.reason}"
