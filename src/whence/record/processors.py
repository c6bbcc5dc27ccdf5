"""The OpenTelemetry processors that `configure` adds: they give causes to spans and plain logs, and queue what is finished.

OpenTelemetry's providers can be set once and never taken back, so one pair of processors stays for the life of the process
and each recorder plugs its queue into it.

The law of a processor: it never raises, because whatever it raises reaches the application.
"""

import logging
from typing import Any

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import get_current_span

from whence.event import names
from whence.record.causes import Ambient, Cause, ambient, ambient_correlation
from whence.record.identity import ulids
from whence.record.otel import LogRecordProcessor, ReadWriteLogRecord
from whence.record.queue import Queue

logger = logging.getLogger("whence.record")


class WhenceLogProcessor(LogRecordProcessor):
    """Queues every log record; plain ones get an id, their time and the ambient causes, as our own events have them.

    `run`, `queue` and `others` (processors that see each record after it is complete) are the present recorder's.
    """

    def __init__(self) -> None:
        self.run = ""
        self.queue: Queue | None = None
        self.others: tuple[LogRecordProcessor, ...] = ()

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        queue = self.queue
        if queue is None:
            return
        try:
            attributes: Any = log_record.log_record.attributes
            if names.ID not in attributes:
                self._complete(log_record, attributes)
        except Exception as fault:  # noqa: BLE001 - the law of a processor
            logger.warning("whence could not queue a log record: %r", fault)
            queue.lose("fault")
            return
        queue.put_log(log_record)
        for other in self.others:
            try:
                other.on_emit(log_record)
            except Exception as fault:  # noqa: BLE001 - the law of a processor
                logger.warning("whence could not hand on a log record: %r", fault)

    def _complete(self, log_record: ReadWriteLogRecord, attributes: Any) -> None:
        record = log_record.log_record
        attributes[names.ID] = ulids.next()
        if record.timestamp is None:
            record.timestamp = record.observed_timestamp
        ctx = record.context or context.get_current()
        found = ambient(ctx)
        if found and found.causes and names.CAUSED_BY not in attributes:
            attributes[names.CAUSED_BY] = [cause.id for cause in found.causes]
        correlation_id = ambient_correlation(ctx)
        if correlation_id and names.CORRELATION not in attributes:
            attributes[names.CORRELATION] = correlation_id
        if _is_foreign(log_record.resource, self.run) and names.RUN not in attributes:
            attributes[names.RUN] = self.run

    def shutdown(self) -> None:
        """Nothing: the recorder owns the queue and ends it."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self.queue is None or self.queue.flush(timeout_millis / 1000)


class WhenceSpanProcessor(SpanProcessor):
    """Gives starting spans their ambient causes, as links and as an attribute, and queues finished ones.

    `run`, `queue` and `others` (processors that see each span too) are the present recorder's.
    """

    def __init__(self) -> None:
        self.run = ""
        self.queue: Queue | None = None
        self.others: tuple[SpanProcessor, ...] = ()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if self.queue is None:
            return
        try:
            ctx = context.get_current() if parent_context is None else parent_context
            found = ambient(ctx)
            if found and found.causes and _is_direct(ctx, found):
                span.set_attribute(names.CAUSED_BY, [cause.id for cause in found.causes])
                for cause in found.causes:
                    link_cause(span, cause, None)
            if _is_foreign(span.resource, self.run):
                span.set_attribute(names.RUN, self.run)
            for other in self.others:
                other.on_start(span, parent_context)
        except Exception as fault:  # noqa: BLE001 - the law of a processor
            logger.warning("whence could not give a span its causes: %r", fault)

    def on_end(self, span: ReadableSpan) -> None:
        queue = self.queue
        if queue is None or span.context is None or not span.context.trace_flags.sampled:
            return
        queue.put(span)
        for other in self.others:
            try:
                other.on_end(span)
            except Exception as fault:  # noqa: BLE001 - the law of a processor
                logger.warning("whence could not hand on a span: %r", fault)

    def shutdown(self) -> None:
        """Nothing: the recorder owns the queue and ends it."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self.queue is None or self.queue.flush(timeout_millis / 1000)


def link_cause(span: Any, cause: Cause, effect: str | None) -> None:
    """Link a recording span to the span its cause happened in, each link naming both events; never a span to itself."""
    if cause.span is None or cause.span.span_id == span.get_span_context().span_id:
        return
    attributes = {names.LINK: names.LINK_CAUSED_BY, names.CAUSE: cause.id}
    if effect is not None:
        attributes[names.EFFECT] = effect
    span.add_link(cause.span, attributes)


def _is_direct(ctx: Context, found: Ambient) -> bool:
    """Whether a span starting in `ctx` is a first effect: its parent is where `because` was said, is remote, or is none."""
    parent = get_current_span(ctx).get_span_context()
    return not parent.is_valid or parent.is_remote or parent.span_id == found.anchor


def _is_foreign(resource: Any, run: str) -> bool:
    """Whether the resource (of providers that are not ours, or of an earlier run) does not say which run this is."""
    return resource is None or resource.attributes.get(names.RUN) != run
