"""What happens to documents on their way: read, extracted from, put together, in batches and with retries."""

from pydantic import Field

from whence.event.kinds import Kind, Severity
from whence.event.typed import Label, MillisecondsIfKnown, TypedEvent, lasted


class DocumentStarted(TypedEvent, type="processing.document.started"):
    """Work on a document begins."""

    document: Label = Field(description="the document's id or path")
    size_bytes: int | None = Field(default=None, description="its size, in bytes", ge=0)

    def summary(self) -> str:
        return self.line(f"{self.document} started")


class ExtractionCompleted(TypedEvent, type="processing.extraction.completed"):
    """What was wanted from a document is out of it."""

    document: Label = Field(description="the document's id or path")
    items: int | None = Field(default=None, description="how many things were found in it", ge=0)
    duration_ms: MillisecondsIfKnown = None

    def summary(self) -> str:
        found = "" if self.items is None else f"{self.items} items "
        return self.line(lasted(f"{found}extracted from {self.document}", self.duration_ms))


class SynthesisCompleted(TypedEvent, type="processing.synthesis.completed"):
    """One result is made of many documents."""

    documents: int | None = Field(default=None, description="of how many documents", ge=0)
    output_length: int | None = Field(default=None, description="of the result, in characters", ge=0)
    duration_ms: MillisecondsIfKnown = None

    def summary(self) -> str:
        of = "" if self.documents is None else f" of {self.documents} documents"
        return self.line(lasted(f"synthesis{of} completed", self.duration_ms))


class BatchProgress(TypedEvent, type="processing.batch.progress", kind=Kind.STATE):
    """How far a batch is."""

    batch: Label | None = Field(default=None, description="the batch's id")
    processed: int = Field(description="how many are done, failed ones included", ge=0)
    total: int | None = Field(default=None, description="of how many", ge=0)
    failed: int = Field(default=0, description="how many of those done failed", ge=0)

    def summary(self) -> str:
        of = "" if self.total is None else f" of {self.total}"
        return self.line(f"{self.processed}{of} processed, {self.failed} failed")


class RetryAttempted(TypedEvent, type="processing.retry.attempted", severity=Severity.WARN):
    """Something failed and is tried again."""

    operation: str = Field(description="what is tried again")
    attempt: int = Field(description="2 for the first retry, 3 for the next, ...", ge=1)
    most_attempts: int | None = Field(default=None, description="after how many it is given up", ge=1)
    error: str | None = Field(default=None, description="why the last attempt failed")
    delay_ms: float | None = Field(
        default=None, description="how long it waited before this attempt, in milliseconds", ge=0
    )

    def summary(self) -> str:
        of = "" if self.most_attempts is None else f" of {self.most_attempts}"
        why = f": {self.error}" if self.error else ""
        return self.line(f"{self.operation}, attempt {self.attempt}{of}{why}")
