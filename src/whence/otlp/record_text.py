"""JSON text of one log record or span, laid out as OTLP has it (logs.proto, trace.proto; JSON mapping of the OTLP specification).

The law: exact or not at all. What does not fit raises, and the caller tries again with the record that `faithful_record` makes.
Fields that are absent or have protobuf's default are left out; the first field of each object is always there.
"""

from typing import Any, Final

from whence.event import names
from whence.otlp.fragment import UnfaithfulError, attributes_text, quote, value_text
from whence.otlp.shapes import LogLike, SpanLike

TIME_MAX: Final = (1 << 64) - 1
_W3C: Final = 0xFF
"""The low byte of flags is the W3C trace flags."""
_KNOWN: Final = 0x100
_REMOTE: Final = 0x200
"""Whether it is known, here always, and true that a span's parent, or a link's target, was in another process."""


def log_text(item: LogLike, depth: int) -> str:
    """A LogRecord."""
    record = item.log_record
    parts = [f'{{"observedTimeUnixNano":"{_time(record.observed_timestamp)}"']
    add = parts.append
    if record.timestamp:
        add(f'"timeUnixNano":"{_time(record.timestamp)}"')
    if record.severity_number is not None:
        add(f'"severityNumber":{record.severity_number.value:d}')
    if record.severity_text:
        add(f'"severityText":{quote(record.severity_text)}')
    if record.event_name:
        add(f'"eventName":{quote(record.event_name)}')
    if record.body is not None:
        add(f'"body":{value_text(record.body, depth)}')
    if record.attributes:
        add(f'"attributes":{attributes_text(record.attributes, depth)}')
    if item.dropped_attributes:
        add(f'"droppedAttributesCount":{item.dropped_attributes:d}')
    if record.trace_flags:
        add(f'"flags":{int(record.trace_flags) & _W3C}')
    if record.trace_id:
        add(f'"traceId":"{_trace_id(record.trace_id)}"')
    if record.span_id:
        add(f'"spanId":"{_span_id(record.span_id)}"')
    return ",".join(parts) + "}"


def span_text(span: SpanLike, depth: int) -> str:
    """A Span. Its span events that only project a log event are left out."""
    context, parent = span.context, span.parent
    parts = [
        f'{{"traceId":"{_trace_id(context.trace_id)}","spanId":"{_span_id(context.span_id)}",'
        f'"flags":{_flags(context, parent)},"name":{quote(span.name)},"kind":{span.kind.value + 1},'
        f'"startTimeUnixNano":"{_time(span.start_time)}","endTimeUnixNano":"{_time(span.end_time)}"'
    ]
    add = parts.append
    if parent is not None:
        add(f'"parentSpanId":"{_span_id(parent.span_id)}"')
    if context.trace_state:
        add(f'"traceState":{quote(context.trace_state.to_header())}')
    if attributes := span.attributes:
        add(f'"attributes":{attributes_text(attributes, depth)}')
    if dropped := span.dropped_attributes:
        add(f'"droppedAttributesCount":{dropped:d}')
    if events := span.events:
        written = [_span_event_text(event, depth) for event in events if not is_projection(event)]
        if written:
            add(f'"events":[{",".join(written)}]')
    if dropped := span.dropped_events:
        add(f'"droppedEventsCount":{dropped:d}')
    if links := span.links:
        add(f'"links":[{",".join([_link_text(link, depth) for link in links])}]')
    if dropped := span.dropped_links:
        add(f'"droppedLinksCount":{dropped:d}')
    status = span.status
    code = status.status_code.value
    if status.description:
        add(f'"status":{{"code":{code:d},"message":{quote(status.description)}}}')
    elif code:
        add(f'"status":{{"code":{code:d}}}')
    return ",".join(parts) + "}"


def is_projection(event: Any) -> bool:
    """Whether a span event only repeats a log event for trace viewers; the archive has the log event itself."""
    attributes = event.attributes
    return bool(attributes) and names.PROJECTION in attributes


def _span_event_text(event: Any, depth: int) -> str:
    text = f'{{"timeUnixNano":"{_time(event.timestamp)}","name":{quote(event.name)}'
    return text + _described(event, depth)


def _link_text(link: Any, depth: int) -> str:
    context = link.context
    text = (
        f'{{"traceId":"{_trace_id(context.trace_id)}","spanId":"{_span_id(context.span_id)}",'
        f'"flags":{_flags(context, context)}'
    )
    if context.trace_state:
        text += f',"traceState":{quote(context.trace_state.to_header())}'
    return text + _described(link, depth)


def _described(item: Any, depth: int) -> str:
    """The attributes of a span event or link, and its closing brace."""
    text = f',"attributes":{attributes_text(item.attributes, depth)}' if item.attributes else ""
    dropped = item.dropped_attributes
    return f'{text},"droppedAttributesCount":{dropped:d}}}' if dropped else text + "}"


def _flags(context: Any, parent: Any) -> int:
    return int(context.trace_flags) & _W3C | (_KNOWN | _REMOTE if parent is not None and parent.is_remote else _KNOWN)


def _time(time: int | None) -> int:
    if time is None:
        return 0
    if type(time) is int and 0 <= time <= TIME_MAX:
        return time
    raise UnfaithfulError


def _trace_id(number: int) -> str:
    text = f"{number:032x}"
    if len(text) == 32:
        return text
    raise UnfaithfulError


def _span_id(number: int) -> str:
    text = f"{number:016x}"
    if len(text) == 16:
        return text
    raise UnfaithfulError
