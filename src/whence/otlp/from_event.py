"""An event as the OTLP record that reads back as it: a log record, or a span.

The law: pure; `decode(tree_of([event]))` gives the event again, save that a span event becomes a log record of its span, because
the span it belongs to may have been sent already.
"""

from collections.abc import Iterable
from typing import Any, Final

from whence.event import names
from whence.event.ids import parse_span_id
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.otlp.value import any_value, pairs
from whence.otlp.wire import Signal

_FIELDS: Final = {
    names.KIND: "kind",
    names.SOURCE: "source",
    names.RUN: "run",
    names.SEQ: "seq",
    names.ELAPSED: "elapsed_ns",
    names.AGENT: "agent",
    names.TURN: "turn",
    names.TASK: "task",
    names.STAGE: "stage",
    names.STATUS: "status",
    names.CORRELATION: "correlation",
    names.SCHEMA: "schema",
}
_SPAN_KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_STATUSES: Final = {"ok": 1, "error": 2}


def signal_of_event(event: Event) -> Signal:
    """Which signal it is sent as."""
    return "traces" if event.signal == "span" else "logs"


def tree_of(events: Iterable[Event]) -> dict[Signal, dict[str, Any]]:
    """By signal, OTLP JSON with these events; each beside its own resource and scope."""
    found: dict[Signal, dict[str, Any]] = {}
    for event in events:
        signal = signal_of_event(event)
        outer, middle, inner = _LEVELS[signal]
        record = _span(event) if signal == "traces" else _log(event)
        scope = {"scope": _scope(event), inner: [record]}
        group = {"resource": {"attributes": _pairs(event.resource)}, middle: [scope]}
        found.setdefault(signal, {outer: []})[outer].append(group)
    return found


_LEVELS: Final[dict[Signal, tuple[str, str, str]]] = {
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "traces": ("resourceSpans", "scopeSpans", "spans"),
}


def _log(event: Event) -> dict[str, Any]:
    record: dict[str, Any] = {
        "timeUnixNano": str(event.time),
        "observedTimeUnixNano": str(event.observed_time or event.time),
        "attributes": _pairs({names.ID: event.id, **_attributes(event, event.status)}),
    }
    if event.severity is not None:
        record |= {"severityNumber": event.severity.value, "severityText": event.severity.name}
    if event.type:
        record["eventName"] = event.type
    if event.description is not None:
        record["body"] = any_value(event.description)
    return record | _context(event)


def _span(event: Event) -> dict[str, Any]:
    attributes = dict(event.attributes)
    kind = _SPAN_KINDS.get(str(attributes.get(names.SPAN_KIND)), 0)
    message = attributes.pop(names.SPAN_STATUS_MESSAGE, None)
    if kind:
        del attributes[names.SPAN_KIND]
    code = 2 if event.severity is Severity.ERROR else _STATUSES.get(event.status or "", 0)
    implied = {code: text for text, code in _STATUSES.items()}.get(code)
    status = {"code": code} if code else {}
    record: dict[str, Any] = {
        "name": event.type,
        "kind": kind,
        "startTimeUnixNano": str(event.time),
        "attributes": _pairs(
            {**attributes, **_attributes(event, None if event.status == implied else event.status, attributes=False)}
        ),
        "links": [_link(*span) for cause in event.caused_by if (span := parse_span_id(cause))],
        "status": status | ({"message": str(message)} if message else {}),
    }
    if event.duration_ns is not None:
        record["endTimeUnixNano"] = str(event.time + event.duration_ns)
    if event.parent_span_id:
        record["parentSpanId"] = event.parent_span_id
    return record | _context(event)


def _link(trace_id: str, span_id: str) -> dict[str, Any]:
    return {"traceId": trace_id, "spanId": span_id}


def _attributes(event: Event, status: str | None, *, attributes: bool = True) -> dict[str, Any]:
    """The attributes that an event's fields are made of, and its others."""
    fields = {name: getattr(event, field) for name, field in _FIELDS.items()}
    fields |= {names.STATUS: status}
    if event.source == event.scope.get("name"):
        fields[names.SOURCE] = None
    found = dict(event.attributes) if attributes else {}
    found |= {name: value for name, value in fields.items() if value is not None}
    if event.caused_by:
        found[names.CAUSED_BY] = list(event.caused_by)
    if event.payload:
        found[names.PAYLOAD] = dict(event.payload)
    return found


def _context(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = {"traceId": event.trace_id} if event.trace_id else {}
    if event.span_id:
        found["spanId"] = event.span_id
    return found | ({"droppedAttributesCount": event.dropped} if event.dropped else {})


def _scope(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = {name: event.scope[name] for name in ("name", "version") if name in event.scope}
    return found | ({"attributes": _pairs(event.scope["attributes"])} if event.scope.get("attributes") else {})


def _pairs(values: Any) -> list[dict[str, Any]]:
    return pairs(dict(values))
