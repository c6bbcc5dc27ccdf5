"""Every attribute name whence reads or writes: the one table between an event's fields and OpenTelemetry attributes.

The law: nothing else in whence spells an attribute. Names under `whence.` are ours; the others are OpenTelemetry's
semantic conventions (v1.44), where `log.record.uid` is the registered attribute for a log record's own id.
"""

from typing import Final

# --- on the log record (or the span) ------------------------------------------------------------------------------
ID: Final = "log.record.uid"
KIND: Final = "whence.kind"
RUN: Final = "whence.run"
SEQ: Final = "whence.seq"
ELAPSED: Final = "whence.elapsed_ns"
AGENT: Final = "whence.agent"
TURN: Final = "whence.turn"
TASK: Final = "whence.task"
STAGE: Final = "whence.stage"
STATUS: Final = "whence.status"
SOURCE: Final = "whence.source"
CORRELATION: Final = "whence.correlation"
CAUSED_BY: Final = "whence.caused_by"
PAYLOAD: Final = "whence.payload"
SCHEMA: Final = "whence.schema"
IDEMPOTENCY_KEY: Final = "whence.idempotency_key"
AUDIT: Final = "whence.audit"
"""True on an event that is synced to disk at once, whatever the archive's durability."""
LOSSY: Final = "whence.lossy"
"""Names what OTLP could not carry as it was: an array of the attribute keys whose value is written as text instead."""
EVENT_NAME_HINT: Final = "otel.event.name"
"""An event name handed over as an attribute by sinks that have no EventName field (stdlib logging's `extra`)."""

# --- on span links and projections --------------------------------------------------------------------------------
LINK: Final = "whence.link"
LINK_CAUSED_BY: Final = "caused_by"
CAUSE: Final = "whence.cause"
EFFECT: Final = "whence.effect"
PROJECTION: Final = "whence.projection"
"""Marks a span event or span that only repeats a log event for trace viewers; its value is `span_event` or `span`."""
PROJECTED_SEVERITY: Final = "whence.severity"
PROJECTED_DESCRIPTION: Final = "whence.description"
PROJECTED_JSON: Final = "whence.json"
"""On a projection: the log event's severity and body, and which attributes are JSON text because viewers show flat values."""

# --- in baggage ---------------------------------------------------------------------------------------------------
BAGGAGE_CAUSED_BY: Final = "whence.caused_by"
BAGGAGE_CORRELATION: Final = "whence.correlation"

# --- event types that whence itself records -----------------------------------------------------------------------
TYPE_RUN_STARTED: Final = "whence.run.started"
TYPE_RUN_FINISHED: Final = "whence.run.finished"
TYPE_DROPPED: Final = "whence.dropped"
TYPE_RETAINED: Final = "whence.retained"
"""An audit event: retention is about to remove files."""
TYPE_EXCEPTION: Final = "exception"

# --- metrics whence gives of itself -------------------------------------------------------------------------------------
METRIC_DROPPED: Final = "whence.dropped"

# --- what readers also accept, in this order, where ours is absent ------------------------------------------------
ALTERNATIVES: Final[dict[str, tuple[str, ...]]] = {
    AGENT: ("gen_ai.agent.id", "gen_ai.agent.name"),
    CORRELATION: ("session.id", "gen_ai.conversation.id"),
    TASK: ("cicd.pipeline.task.run.id", "cicd.pipeline.task.name"),
    STATUS: ("cicd.pipeline.task.run.result",),
}
SERVICE_NAME: Final = "service.name"
SERVICE_INSTANCE: Final = "service.instance.id"
HOST_NAME: Final = "host.name"
HOST_ID: Final = "host.id"
HOST_IP: Final = "host.ip"
PROCESS_PID: Final = "process.pid"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
SPAN_KIND: Final = "span.kind"
SPAN_STATUS_MESSAGE: Final = "span.status.message"
CODE_FUNCTION: Final = "code.function.name"
CODE_FILE: Final = "code.file.path"
CODE_LINE: Final = "code.line.number"
THREAD_NAME: Final = "thread.name"
BODY: Final = "body"
"""Where a log record's body goes that is not text."""
