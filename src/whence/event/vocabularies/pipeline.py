"""What happens in a pipeline: stages one after another, from its start to its end."""

from typing import Any

from pydantic import Field

from whence.event.kinds import Kind, Severity
from whence.event.typed import Label, MillisecondsIfKnown, TypedEvent, lasted


class OfPipeline(TypedEvent, abstract=True):
    """What every pipeline event has."""

    pipeline: Label = Field(description="the pipeline's name")

    def line(self, what: str) -> str:
        return f"{self.pipeline}: {what}"


class PipelineStarted(OfPipeline, type="pipeline.started", kind=Kind.MILESTONE):
    """A pipeline begins."""

    stages: list[Label] | None = Field(default=None, description="the stages it will go through, in order")
    inputs: dict[str, Any] | None = Field(default=None, description="what it was given, by name")

    def summary(self) -> str:
        return self.line(f"started, {len(self.stages)} stages" if self.stages else "started")


class PipelineStageStarted(OfPipeline, type="pipeline.stage.started"):
    """A stage begins."""

    stage: Label = Field(description="the stage's name")

    def summary(self) -> str:
        return self.line(f"stage {self.stage} started")


class PipelineStageCompleted(OfPipeline, type="pipeline.stage.completed"):
    """A stage is done."""

    stage: Label = Field(description="the stage's name")
    output: Any = Field(default=None, description="its result")
    duration_ms: MillisecondsIfKnown = None

    def summary(self) -> str:
        return self.line(lasted(f"stage {self.stage} completed", self.duration_ms))


class PipelineCompleted(OfPipeline, type="pipeline.completed", kind=Kind.MILESTONE):
    """A pipeline is done."""

    output: Any = Field(default=None, description="its result")
    duration_ms: MillisecondsIfKnown = None

    def summary(self) -> str:
        return self.line(lasted("completed", self.duration_ms))


class PipelineFailed(OfPipeline, type="pipeline.failed", kind=Kind.MILESTONE, severity=Severity.ERROR):
    """A pipeline ends without its result; `stage` says in which stage, where it was in one."""

    error: str = Field(description="what went wrong")
    duration_ms: MillisecondsIfKnown = None

    def summary(self) -> str:
        where = f" in stage {self.stage}" if self.stage else ""
        return self.line(f"{lasted(f'failed{where}', self.duration_ms)}: {self.error}")
