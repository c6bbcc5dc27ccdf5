"""OpenTelemetry SDK objects to lines of the archive, in pure Python.

Each record is made text by itself, so that a bad one costs nothing but itself: what the fast path cannot write exactly takes
the careful path, which writes what it can and says what it could not.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from whence.otlp.faithful_record import faithful_log, faithful_span
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.page import LOGS, TRACES, Encoded, Page, Shape
from whence.otlp.record_text import log_text, span_text
from whence.otlp.shapes import LogLike, SpanLike
from whence.otlp.value import as_text


class Way(NamedTuple):
    """How one kind of record is written: fast, or made writable first; and when it was."""

    shape: Shape
    text: Callable[[Any, int], str]
    careful: Callable[[Any, int], Any]
    time: Callable[[Any], int]


def _log_time(item: Any) -> int:
    record = item.log_record
    return record.timestamp or record.observed_timestamp or 0


def _span_time(span: Any) -> int:
    return span.start_time or 0


LOG_WAY: Final = Way(LOGS, log_text, faithful_log, _log_time)
SPAN_WAY: Final = Way(TRACES, span_text, faithful_span, _span_time)


def encode_logs(records: Sequence[LogLike], limits: Limits = DEFAULT) -> Encoded:
    """Lines of log records, in their order. Never raises."""
    return _encode(LOG_WAY, records, limits)


def encode_spans(spans: Sequence[SpanLike], limits: Limits = DEFAULT) -> Encoded:
    """Lines of ended spans, in their order. Never raises."""
    return _encode(SPAN_WAY, spans, limits)


def _encode(way: Way, items: Sequence[Any], limits: Limits) -> Encoded:
    page = Page(way.shape, limits)
    failed, error = 0, None
    for item in items:
        try:
            data, at = record_bytes(way, item, limits.depth)
            page.add(item.resource, item.instrumentation_scope, data, (at, at))
        except Exception as fault:  # noqa: BLE001 - whatever an object from outside may do
            failed, error = failed + 1, failure(item, fault)
    return Encoded(page.finish(), failed, error)


def record_bytes(way: Way, item: Any, depth: int) -> tuple[bytes, int]:
    """The JSON of one record, and its time. Raises where even the careful path cannot write it."""
    _, text, careful, time = way
    try:
        return text(item, depth).encode(), time(item)
    except Exception:  # noqa: BLE001 - whatever an object from outside may do
        kept = careful(item, depth)
        return text(kept, depth).encode(), time(kept)


def failure(item: Any, fault: BaseException) -> str:
    """That a record could not be written, in words."""
    return f"cannot encode a {type(item).__name__}: {as_text(fault) or type(fault).__name__}"
