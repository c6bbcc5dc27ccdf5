"""One trace as Jaeger's own JSON (`{"data": [trace]}`), which Jaeger's and Grafana's upload take.

Spans with their span events and log events as logs; a log event whose span is not there is a span without duration. The
parent is a CHILD_OF reference, recorded causes that are spans, or shown on one, are FOLLOWS_FROM ones. Held in memory: it is one
trace.
Source: Jaeger's `model/json` (jaeger v2); times in microseconds.
"""

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Final

from whence.errors import DataError
from whence.event import names
from whence.event.flat import plain
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.export.flat_json import json_bytes
from whence.export.source import Source
from whence.otlp.project import projected_span_id

_EXACT: Final = 1 << 53
"""Whole numbers beyond this lose digits in a browser: they are text."""
_FIELDS: Final = {
    "id": names.ID, "kind": names.KIND, "run": names.RUN, "agent": names.AGENT, "turn": names.TURN, "task": names.TASK,
    "stage": names.STAGE, "status": names.STATUS, "correlation": names.CORRELATION, "caused_by": names.CAUSED_BY,
    "payload": names.PAYLOAD, "schema": names.SCHEMA,
}  # fmt: skip


def write_trace(source: Source, out: BinaryIO) -> None:
    """The one trace that the wanted events are of. Raises DataError where they are of none or of several."""
    events = [event for event in source.events() if event.trace_id]
    traces = sorted({event.trace_id or "" for event in events})
    if len(traces) != 1:
        found = f"of {len(traces)} traces ({', '.join(traces[:3])}...)" if traces else "of no trace"
        raise DataError(f"cannot write one Jaeger trace: the events are {found}; choose one with --trace ID")
    out.write(json_bytes({"data": [_trace(traces[0], events)], "total": 1, "limit": 0, "offset": 0, "errors": None}))
    out.write(b"\n")


def _trace(trace_id: str, events: Sequence[Event]) -> dict[str, Any]:
    processes: dict[bytes, tuple[str, dict[str, Any]]] = {}
    recorded = {event.span_id: event for event in events if event.signal == "span" and event.span_id}
    others = [event for event in events if event.signal != "span" or not event.span_id]
    places = {event.id: event.span_id if event.span_id in recorded else _own_span(event.id) for event in others}
    spans = {id: _span(event, id, _process(event, processes), places) for id, event in recorded.items()}
    for event in others:
        if event.span_id in recorded:
            spans[event.span_id]["logs"].append(_log(event))
        else:
            own = _own_span(event.id)
            spans[own] = _span(event, own, _process(event, processes), places, parent=event.span_id)
    for span in spans.values():
        span["logs"].sort(key=lambda log: log["timestamp"])
    return {
        "traceID": trace_id,
        "spans": sorted(spans.values(), key=lambda span: (span["startTime"], span["spanID"])),
        "processes": dict(processes.values()),
        "warnings": None,
    }


def _own_span(event_id: str) -> str:
    """The span that a log event without one is shown as, the same wherever it is shown."""
    return f"{projected_span_id(event_id):016x}"


def _process(event: Event, known: dict[bytes, tuple[str, dict[str, Any]]]) -> str:
    key = json_bytes(plain(event.resource))
    if key not in known:
        service = str(event.resource.get(names.SERVICE_NAME) or event.source or "unknown")
        known[key] = (f"p{len(known) + 1}", {"serviceName": service, "tags": _tags(event.resource)})
    return known[key][0]


def _span(
    event: Event, span_id: str, process: str, places: Mapping[str, str | None], parent: str | None = None
) -> dict[str, Any]:
    """`places`: the spans that show the log events of this trace, by their ids."""
    parent = parent or event.parent_span_id
    references = [_reference("CHILD_OF", event.trace_id or "", parent)] if parent else []
    for cause in event.caused_by:
        trace, _, span = cause.removeprefix("span:").partition("-")
        if cause.startswith("span:") and span and "#" not in span:
            references.append(_reference("FOLLOWS_FROM", trace, span))
        elif place := places.get(cause):
            references.append(_reference("FOLLOWS_FROM", event.trace_id or "", place))
    tags = _tags({**_facts(event), **event.attributes})
    if event.severity is not None and event.severity >= Severity.ERROR:
        tags.append({"key": "error", "type": "bool", "value": True})
    return {
        "traceID": event.trace_id,
        "spanID": span_id,
        "operationName": event.type or event.description or event.id,
        "references": references,
        "startTime": event.time // 1000,
        "duration": (event.duration_ns or 0) // 1000,
        "tags": tags,
        "logs": [],
        "processID": process,
        "warnings": None,
    }


def _reference(kind: str, trace_id: str, span_id: str) -> dict[str, str]:
    return {"refType": kind, "traceID": trace_id, "spanID": span_id}


def _log(event: Event) -> dict[str, Any]:
    message = {} if event.description is None else {"message": event.description}
    fields = {"event": event.type, **message, **_facts(event), **event.attributes}
    return {"timestamp": event.time // 1000, "fields": _tags(fields)}


def _facts(event: Event) -> dict[str, Any]:
    """The event's own fields, under their attributes' names."""
    found = {attribute: getattr(event, name) for name, attribute in _FIELDS.items()}
    return {name: value for name, value in found.items() if value not in (None, (), {})}


def _tags(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [_tag(key, plain(value)) for key, value in values.items()]


def _tag(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"key": key, "type": "bool", "value": value}
    if isinstance(value, int):
        exact = -_EXACT <= value <= _EXACT
        return {"key": key, "type": "int64", "value": value if exact else str(value)}
    if isinstance(value, float):
        return {"key": key, "type": "float64", "value": value}
    return {"key": key, "type": "string", "value": value if isinstance(value, str) else json_bytes(value).decode()}
