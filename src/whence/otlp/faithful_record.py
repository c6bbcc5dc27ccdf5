"""The careful path of the encoder: any log record or span as one that can be written, with what could not be kept as text.

The law: never raises on a single field. Whatever is not as it was is named in the attribute `whence.lossy`: attribute keys,
or a field's own OTLP name.
"""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final

from whence.event import names
from whence.otlp.record_text import TIME_MAX, is_projection
from whence.otlp.value import as_text, faithful, faithful_items, faithful_text, said_lossy

_TRACE_ID_MAX: Final = (1 << 128) - 1
_SPAN_ID_MAX: Final = (1 << 64) - 1
_COUNT_MAX: Final = (1 << 32) - 1
_SEVERITIES: Final = 24
_SPAN_KINDS: Final = 5
_STATUSES: Final = 2


def faithful_log(item: Any, depth: int) -> Any:
    """A LogLike that `log_text` can write."""
    record, lossy = item.log_record, []
    body, same = faithful(record.body, depth)
    if not same:
        lossy.append("body")
    return SimpleNamespace(
        dropped_attributes=_count(item.dropped_attributes),
        log_record=SimpleNamespace(
            timestamp=_number(record.timestamp, TIME_MAX, "timeUnixNano", lossy),
            observed_timestamp=_number(record.observed_timestamp, TIME_MAX, "observedTimeUnixNano", lossy),
            severity_number=_enum(record.severity_number, _SEVERITIES, "severityNumber", lossy),
            severity_text=_text(record.severity_text, "severityText", lossy),
            event_name=_text(record.event_name, "eventName", lossy),
            body=body,
            trace_id=_number(record.trace_id, _TRACE_ID_MAX, "traceId", lossy),
            span_id=_number(record.span_id, _SPAN_ID_MAX, "spanId", lossy),
            trace_flags=_number(record.trace_flags, _COUNT_MAX, "flags", lossy),
            attributes=_attributes(record.attributes, depth, lossy),
        ),
    )


def faithful_span(span: Any, depth: int) -> Any:
    """A SpanLike that `span_text` can write."""
    lossy: list[str] = []
    status = SimpleNamespace(
        status_code=_enum(span.status.status_code, _STATUSES, "status", lossy) or SimpleNamespace(value=0),
        description=_text(span.status.description, "status", lossy),
    )
    return SimpleNamespace(
        name=_text(span.name, "name", lossy) or "",
        context=_context(span.context, lossy),
        parent=None if span.parent is None else _context(span.parent, lossy),
        kind=_enum(span.kind, _SPAN_KINDS - 1, "kind", lossy) or SimpleNamespace(value=-1),
        status=status,
        start_time=_number(span.start_time, TIME_MAX, "startTimeUnixNano", lossy),
        end_time=_number(span.end_time, TIME_MAX, "endTimeUnixNano", lossy),
        events=[_event(event, depth) for event in span.events if not is_projection(event)],
        links=[_link(link, depth) for link in span.links],
        dropped_attributes=_count(span.dropped_attributes),
        dropped_events=_count(span.dropped_events),
        dropped_links=_count(span.dropped_links),
        attributes=_attributes(span.attributes, depth, lossy),
    )


def _event(event: Any, depth: int) -> Any:
    lossy: list[str] = []
    return SimpleNamespace(
        timestamp=_number(event.timestamp, TIME_MAX, "timeUnixNano", lossy),
        name=_text(event.name, "name", lossy) or "",
        dropped_attributes=_count(event.dropped_attributes),
        attributes=_attributes(event.attributes, depth, lossy),
    )


def _link(link: Any, depth: int) -> Any:
    lossy: list[str] = []
    return SimpleNamespace(
        context=_context(link.context, lossy),
        dropped_attributes=_count(link.dropped_attributes),
        attributes=_attributes(link.attributes, depth, lossy),
    )


def _context(context: Any, lossy: list[str]) -> Any:
    state = context.trace_state
    header = _text(state.to_header(), "traceState", lossy) if state else None
    return SimpleNamespace(
        trace_id=_number(context.trace_id, _TRACE_ID_MAX, "traceId", lossy) or 0,
        span_id=_number(context.span_id, _SPAN_ID_MAX, "spanId", lossy) or 0,
        trace_flags=_number(context.trace_flags, _COUNT_MAX, "flags", lossy) or 0,
        is_remote=bool(context.is_remote),
        trace_state=SimpleNamespace(to_header=_constant(header)) if header else None,
    )


def _constant(text: str) -> Callable[[], str]:
    return lambda: text


def _attributes(values: Mapping[Any, Any] | None, depth: int, lossy: list[str]) -> dict[str, Any]:
    """The attributes, and `whence.lossy` added to or made where something of the record is lost."""
    items, more = faithful_items(values or {}, depth)
    lossy += more
    if lossy:
        items[names.LOSSY] = said_lossy(items.pop(names.LOSSY, None), lossy)
    return items


def _text(text: Any, what: str, lossy: list[str]) -> str | None:
    if text is None:
        return None
    kept, same = faithful_text(str.__str__(text) if isinstance(text, str) else as_text(text))
    if not (same and isinstance(text, str)):
        lossy.append(what)
    return kept


def _number(value: Any, most: int, what: str, lossy: list[str]) -> int | None:
    """A count or id in its range, or None; a number with a fraction, as `time.time() * 1e9` is, loses that."""
    if value is None:
        return None
    try:
        number = int(value)
        if 0 <= number <= most:
            if number != value or isinstance(value, float):
                lossy.append(what)
            return number
    except Exception:  # noqa: BLE001, S110 - the value's own code; said below
        pass
    lossy.append(what)
    return None


def _enum(value: Any, most: int, what: str, lossy: list[str]) -> Any:
    """The OTel enum, or the number in its place, as something with a `value`."""
    number = _number(getattr(value, "value", value), most, what, lossy)
    return None if number is None else SimpleNamespace(value=number)


def _count(dropped: Any) -> int:
    return _number(dropped, _COUNT_MAX, "", []) or 0
