"""Events on the timelines of trace viewers, while the program runs: OpenTelemetry's "event to span event bridge", which its
Python SDK does not have, and spans of no duration for events that happened in no span.

What it makes carries the mark of a projection, and the archive leaves it out: it has the events themselves.
"""

import logging
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags, get_current_span

from whence.event import names
from whence.otlp.project import AS_SPAN, AS_SPAN_EVENT, projected, projected_link, projected_span_id, projected_trace_id
from whence.record.causes import Cause, causes_of
from whence.record.otel import LogRecordProcessor, ReadWriteLogRecord
from whence.record.sink import run_of

logger = logging.getLogger("whence.record")

ERROR = 17


class EventBridge(LogRecordProcessor):
    """Projects each log event to its recording span or, without one, to a span of its own for `spans` to send."""

    def __init__(self, spans: SpanProcessor | None) -> None:
        self._spans = spans

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        record = log_record.log_record
        if not record.event_name:
            return
        try:
            span = get_current_span(record.context)
            if span.is_recording() and span.get_span_context().span_id == record.span_id:
                span.add_event(record.event_name, _flat(log_record, AS_SPAN_EVENT), _time(record))
            elif self._spans is not None:
                self._spans.on_end(_span_of(log_record))
        except Exception as fault:  # noqa: BLE001 - a processor never raises into the application
            logger.warning("whence could not show an event to trace viewers: %r", fault)

    def shutdown(self) -> None:
        """Nothing to end."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def _flat(log_record: ReadWriteLogRecord, mark: str) -> dict[str, Any]:
    record, scope = log_record.log_record, log_record.instrumentation_scope
    severity = record.severity_number.value if record.severity_number is not None else None
    source = scope.name if scope is not None and mark == AS_SPAN_EVENT else None
    return dict(projected(record.attributes or {}, severity, record.body, mark, source=source))


def _time(record: Any) -> int | None:
    """When the event happened; OpenTelemetry's own API leaves that empty, and says only when it was observed."""
    time: int | None = record.timestamp or record.observed_timestamp
    return time


def _span_of(log_record: ReadWriteLogRecord) -> ReadableSpan:
    """The event as a span of no duration: in its own trace where it has one, else in its run's, linked to its causes."""
    record: Any = log_record.log_record
    attributes = record.attributes or {}
    trace_id = record.trace_id or projected_trace_id(run_of(attributes, log_record.resource))
    event_id = attributes.get(names.ID, "")
    links = [_link(cause, event_id, trace_id) for cause in causes_of(list(attributes.get(names.CAUSED_BY) or ()))]
    failed = record.severity_number is not None and record.severity_number.value >= ERROR
    return ReadableSpan(
        name=record.event_name,
        context=SpanContext(trace_id, projected_span_id(event_id), is_remote=False, trace_flags=TraceFlags(1)),
        parent=SpanContext(record.trace_id, record.span_id, is_remote=False) if record.span_id else None,
        resource=log_record.resource,
        attributes=_flat(log_record, AS_SPAN),
        links=links,
        status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
        start_time=_time(record),
        end_time=_time(record),
        instrumentation_scope=log_record.instrumentation_scope,
    )


def _link(cause: Cause, effect: str, trace_id: int) -> Link:
    known = (cause.span.trace_id, cause.span.span_id) if cause.span is not None else None
    link = projected_link(cause.id, effect, known, trace_id)
    context = cause.span or SpanContext(link.trace_id, link.span_id, is_remote=False, trace_flags=TraceFlags(1))
    return Link(context, link.attributes)
