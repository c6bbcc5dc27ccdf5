"""What happens in a workflow, a graph of tasks: enough to rebuild every task's inputs, result and duration from events alone."""

from typing import Any

from pydantic import Field

from whence.event.kinds import Kind, Severity
from whence.event.typed import Label, Milliseconds, MillisecondsIfKnown, TypedEvent, When, lasted


class OfWorkflow(TypedEvent, abstract=True):
    """What the events of a whole workflow share."""

    workflow: Label = Field(description="the workflow's name")

    def line(self, what: str) -> str:
        return f"{self.workflow}: {what}"


class WorkflowStarted(OfWorkflow, type="workflow.started", kind=Kind.MILESTONE):
    """A workflow begins."""

    inputs: dict[str, Any] | None = Field(default=None, description="what it was given, by name")
    tasks: int | None = Field(default=None, description="how many tasks it has", ge=0)

    def summary(self) -> str:
        return self.line("started" if self.tasks is None else f"started, {self.tasks} tasks")


class WorkflowCompleted(OfWorkflow, type="workflow.completed", kind=Kind.MILESTONE):
    """A workflow is done."""

    output: Any = Field(default=None, description="its result")
    duration_ms: MillisecondsIfKnown = None

    def summary(self) -> str:
        return self.line(lasted("completed", self.duration_ms))


class WorkflowFailed(OfWorkflow, type="workflow.failed", kind=Kind.MILESTONE, severity=Severity.ERROR):
    """A workflow ends without its result."""

    error: str = Field(description="what went wrong")
    duration_ms: MillisecondsIfKnown = None

    def summary(self) -> str:
        return self.line(f"{lasted('failed', self.duration_ms)}: {self.error}")


class OfTask(TypedEvent, abstract=True):
    """What the events of one task share."""

    task: Label = Field(description="the task's name within its workflow")


class TaskScheduled(OfTask, type="task.scheduled"):
    """A task is to be done as soon as those it depends on are."""

    dependencies: list[Label] = Field(default_factory=list, description="the tasks it waits for")

    def summary(self) -> str:
        return self.line(f"scheduled after {len(self.dependencies)} tasks" if self.dependencies else "scheduled")


class TaskInputsResolved(OfTask, type="task.inputs_resolved"):
    """A task's inputs are known."""

    inputs: dict[str, Any] = Field(description="all of them, in full, by name")

    def summary(self) -> str:
        return self.line(f"{len(self.inputs)} inputs resolved")


class TaskStarted(OfTask, type="task.started"):
    """A task begins."""

    attempt: int | None = Field(default=None, description="1 the first time, 2 when it is tried again, ...", ge=1)

    def summary(self) -> str:
        return self.line("started" if self.attempt in (None, 1) else f"started, attempt {self.attempt}")


class TaskCompleted(OfTask, type="task.completed"):
    """A task is done."""

    output: Any = Field(default=None, description="its result")
    duration_ms: Milliseconds

    def summary(self) -> str:
        return self.line(lasted("completed", self.duration_ms))


class TaskFailed(OfTask, type="task.failed", severity=Severity.ERROR):
    """A task ends without its result."""

    error: str = Field(description="what went wrong")
    duration_ms: Milliseconds

    def summary(self) -> str:
        return self.line(f"{lasted('failed', self.duration_ms)}: {self.error}")


class TemplateResolved(TypedEvent, type="template.resolved", kind=Kind.DETAIL):
    """A template has its placeholders filled in."""

    template: str = Field(description="the template's name or text")
    variables: dict[str, Any] | None = Field(default=None, description="what was filled in, by name")
    resolved: str | None = Field(default=None, description="the text that came out")

    def summary(self) -> str:
        return self.line("template resolved")


class ProviderCalled(TypedEvent, type="provider.called"):
    """A model provider is asked."""

    provider: str = Field(description="who is asked")
    model: str = Field(description="which model")
    prompt_length: int = Field(description="of the prompt, in characters", ge=0)

    def summary(self) -> str:
        return self.line(f"{self.provider} {self.model} called")


class ProviderResponded(TypedEvent, type="provider.responded"):
    """A model provider has answered."""

    provider: str | None = Field(default=None, description="who answered")
    model: str | None = Field(default=None, description="which model")
    output_length: int = Field(description="of the answer, in characters", ge=0)
    tokens: int | None = Field(default=None, description="tokens used, prompt and answer together", ge=0)
    duration_ms: MillisecondsIfKnown = None

    def summary(self) -> str:
        return self.line(lasted(f"{self.provider or 'provider'} responded", self.duration_ms))


class SchemaValidated(TypedEvent, type="schema.validated", kind=Kind.DETAIL, severity=When("errors", Severity.WARN)):
    """Data was held against a schema; with errors, it does not fit, and no verbosity suppresses that."""

    schema_name: str | None = Field(default=None, description="which schema")
    errors: list[str] = Field(default_factory=list, description="what does not fit; none where all does")

    def summary(self) -> str:
        name = self.schema_name or "schema"
        return self.line(f"{name}: {len(self.errors)} misfits, {self.errors[0]}" if self.errors else f"{name} fits")
