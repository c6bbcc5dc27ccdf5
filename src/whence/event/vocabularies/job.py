"""What happens to a job that people wait for: its stages, and the gates at which somebody has to approve.

`status` is how the job, stage or gate stands after the event; `message` is for people; `details` takes anything else.
"""

from pydantic import Field

from whence.event.kinds import Kind, Severity
from whence.event.typed import Label, MillisecondsIfKnown, TypedEvent, lasted


class OfJob(TypedEvent, abstract=True):
    """What every job event has."""

    job: Label = Field(description="the job's id")
    message: str | None = Field(default=None, description="one line for the people who wait")

    def line(self, what: str) -> str:
        return self.message or f"job {self.job}: {what}"


class JobCreated(OfJob, type="job.created", kind=Kind.MILESTONE):
    """A job exists and waits for its turn."""

    status: str | None = Field(default="created", description="how the job stands")

    def summary(self) -> str:
        return self.line("created")


class JobStarted(OfJob, type="job.started", kind=Kind.MILESTONE):
    """A job begins."""

    status: str | None = Field(default="running", description="how the job stands")

    def summary(self) -> str:
        return self.line("started")


class JobCompleted(OfJob, type="job.completed", kind=Kind.MILESTONE):
    """A job is done."""

    status: str | None = Field(default="completed", description="how the job stands")
    duration_ms: MillisecondsIfKnown = None

    def summary(self) -> str:
        return self.line(lasted("completed", self.duration_ms))


class JobFailed(OfJob, type="job.failed", kind=Kind.MILESTONE, severity=Severity.ERROR):
    """A job ends without its result."""

    status: str | None = Field(default="failed", description="how the job stands")
    error: str = Field(description="what went wrong")
    duration_ms: MillisecondsIfKnown = None

    def summary(self) -> str:
        return self.line(f"{lasted('failed', self.duration_ms)}: {self.error}")


class JobCanceled(OfJob, type="job.canceled", kind=Kind.MILESTONE, severity=Severity.WARN):
    """Somebody stopped a job."""

    status: str | None = Field(default="canceled", description="how the job stands")
    canceled_by: str | None = Field(default=None, description="who stopped it")
    reason: str | None = Field(default=None, description="why")

    def summary(self) -> str:
        return self.line(f"canceled by {self.canceled_by}" if self.canceled_by else "canceled")


class JobResumed(OfJob, type="job.resumed", kind=Kind.MILESTONE):
    """A job goes on after a pause, a gate or a restart."""

    status: str | None = Field(default="running", description="how the job stands")

    def summary(self) -> str:
        return self.line("resumed")


class JobStageStarted(OfJob, type="job.stage.started"):
    """A stage of a job begins."""

    stage: Label = Field(description="the stage's name")
    status: str | None = Field(default="running", description="how the stage stands")

    def summary(self) -> str:
        return self.line(f"stage {self.stage} started")


class JobStageCompleted(OfJob, type="job.stage.completed"):
    """A stage of a job is done."""

    stage: Label = Field(description="the stage's name")
    status: str | None = Field(default="completed", description="how the stage stands")
    duration_ms: MillisecondsIfKnown = None

    def summary(self) -> str:
        return self.line(lasted(f"stage {self.stage} completed", self.duration_ms))


class JobStageFailed(OfJob, type="job.stage.failed", severity=Severity.ERROR):
    """A stage of a job ends without its result."""

    stage: Label = Field(description="the stage's name")
    status: str | None = Field(default="failed", description="how the stage stands")
    error: str = Field(description="what went wrong")
    duration_ms: MillisecondsIfKnown = None

    def summary(self) -> str:
        return self.line(f"{lasted(f'stage {self.stage} failed', self.duration_ms)}: {self.error}")


class OfGate(OfJob, abstract=True):
    """What the events of a gate share: a place where a job waits for a yes."""

    gate: Label = Field(description="the gate's name")


class JobGatePaused(OfGate, type="job.gate.paused"):
    """A job waits at a gate."""

    status: str | None = Field(default="paused", description="how the gate stands")

    def summary(self) -> str:
        return self.line(f"waits at gate {self.gate}")


class JobGateApproved(OfGate, type="job.gate.approved", kind=Kind.DECISION):
    """Somebody lets a job through a gate."""

    status: str | None = Field(default="approved", description="how the gate stands")
    approved_by: str | None = Field(default=None, description="who said yes")

    def summary(self) -> str:
        by = f" by {self.approved_by}" if self.approved_by else ""
        return self.line(f"gate {self.gate} approved{by}")


class JobGateRejected(OfGate, type="job.gate.rejected", kind=Kind.DECISION, severity=Severity.WARN):
    """Somebody does not let a job through a gate."""

    status: str | None = Field(default="rejected", description="how the gate stands")
    rejected_by: str | None = Field(default=None, description="who said no")
    reason: str | None = Field(default=None, description="why")

    def summary(self) -> str:
        by = f" by {self.rejected_by}" if self.rejected_by else ""
        return self.line(f"gate {self.gate} rejected{by}")


class JobGateAutoApproved(OfGate, type="job.gate.auto_approved", kind=Kind.DECISION):
    """A rule lets a job through a gate."""

    status: str | None = Field(default="auto_approved", description="how the gate stands")
    rule: str | None = Field(default=None, description="which rule said yes")

    def summary(self) -> str:
        by = f" by {self.rule}" if self.rule else ""
        return self.line(f"gate {self.gate} auto-approved{by}")


class JobHeartbeat(OfJob, type="job.heartbeat", kind=Kind.SYSTEM):
    """A job is still alive."""

    progress: float | None = Field(default=None, description="how much is done, from 0 to 1", ge=0, le=1)

    def summary(self) -> str:
        return self.line("alive" if self.progress is None else f"alive, {self.progress:.0%} done")
