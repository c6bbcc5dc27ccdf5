"""Log events as what trace viewers show: a span event on the span they happened in, or a span of no duration, in OTLP JSON.

The one place where events become spans, for whoever serves, sends on or pushes. `whence.record.bridge` does the same to the SDK's
objects, with the same ids.

The law: pure, and only made on the way out. What is made carries the event's id and the mark of a projection; read back by whence
it is the event it came from.
"""

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Final

import orjson

from whence.event import names
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.otlp.project import (
    AS_SPAN,
    AS_SPAN_EVENT,
    original,
    projected,
    projected_link,
    projected_span_id,
    projected_trace_id,
)
from whence.otlp.value import pairs, plain_attributes

Json = dict[str, Any]
Around = tuple[Json, str, Json, str]
"""A resource, its schema URL, a scope and its schema URL."""
Ties = Mapping[str, tuple[str, str]]
"""The trace and span in which events are shown, in hex, by their ids."""
NO_RUN: Final = "unknown"
"""The run of what says none, where a trace is named after it."""
_FIELDS: Final = {
    "id": names.ID, "kind": names.KIND, "run": names.RUN, "seq": names.SEQ, "elapsed_ns": names.ELAPSED,
    "agent": names.AGENT, "turn": names.TURN, "task": names.TASK, "stage": names.STAGE, "status": names.STATUS,
    "correlation": names.CORRELATION, "schema": names.SCHEMA,
}  # fmt: skip


def trace_of_run(run: str | None) -> str:
    """The trace, in hex, in which a run's events that are in none of their own are shown."""
    return f"{projected_trace_id(NO_RUN if run is None else run):032x}"


def trace_of(event: Event) -> str:
    """The trace in which an event is shown."""
    return event.trace_id or trace_of_run(event.run)


def span_of_event(event: Event, ties: Ties) -> Json:
    """An event as a span of no duration, linked to its causes. `ties`: the trace and span in which each known cause is shown."""
    trace = trace_of(event)
    span: Json = {
        "traceId": trace,
        "spanId": f"{projected_span_id(event.id):016x}",
        "name": event.type,
        "kind": 1,
        "startTimeUnixNano": str(event.time),
        "endTimeUnixNano": str(event.time),
        "attributes": _flat(event, AS_SPAN),
    }
    if event.trace_id and event.span_id:
        span["parentSpanId"] = event.span_id
    if event.caused_by:
        span["links"] = [_link(cause, event.id, ties.get(cause), trace) for cause in event.caused_by]
    if event.severity is not None and event.severity >= Severity.ERROR:
        span["status"] = {"code": 2}
    return span


def event_on_span(event: Event) -> Json:
    """An event as a span event of the span it happened in."""
    return {"timeUnixNano": str(event.time), "name": event.type, "attributes": _flat(event, AS_SPAN_EVENT)}


def is_projection(attributes: Any) -> bool:
    """Whether a span or span event, by its attributes in OTLP JSON, only repeats a log event."""
    if not attributes or not any(pair.get("key") == names.PROJECTION for pair in attributes):
        return False
    try:
        return original(plain_attributes(attributes)) is not None
    except (ValueError, TypeError):
        return False


def _flat(event: Event, mark: str) -> list[Json]:
    values: dict[str, Any] = {of: value for name, of in _FIELDS.items() if (value := getattr(event, name)) is not None}
    if event.caused_by:
        values[names.CAUSED_BY] = list(event.caused_by)
    if event.payload:
        values[names.PAYLOAD] = dict(event.payload)
    scope = event.scope.get("name")
    if event.source is not None and event.source != scope:
        values[names.SOURCE] = event.source
    severity = None if event.severity is None else event.severity.value
    source = event.source if mark == AS_SPAN_EVENT else None
    return pairs(projected({**values, **event.attributes}, severity, event.description, mark, source=source))


def _link(cause: str, effect: str, tie: tuple[str, str] | None, trace: str) -> Json:
    known = (int(tie[0], 16), int(tie[1], 16)) if tie else None
    link = projected_link(cause, effect, known, int(trace, 16))
    return {
        "traceId": f"{link.trace_id:032x}",
        "spanId": f"{link.span_id:016x}",
        "attributes": pairs(link.attributes),
    }


def tie_of(event: Event, *, on_span: bool) -> tuple[str, str]:
    """The trace and span in which an event is shown; `on_span`: whether the span it happened in is known."""
    if event.signal != "log":
        return event.trace_id or trace_of(event), event.span_id or f"{projected_span_id(event.id):016x}"
    if on_span and event.trace_id and event.span_id:
        return event.trace_id, event.span_id
    return trace_of(event), f"{projected_span_id(event.id):016x}"


def around_of(event: Event) -> Around:
    """What surrounds an event, as OTLP JSON."""
    scope: Json = {name: event.scope[name] for name in ("name", "version") if event.scope.get(name)}
    if event.scope.get("attributes"):
        scope["attributes"] = pairs(event.scope["attributes"])
    return {"attributes": pairs(event.resource)}, "", scope, ""


def tree_of(groups: Iterable[tuple[Around, list[Json]]]) -> Json:
    """TracesData of spans by what surrounds them: resource, scope and status are always there."""
    resources: dict[bytes, Json] = {}
    for (resource, url, scope, scope_url), spans in groups:
        key = orjson.dumps((resource, url))
        if key not in resources:
            resources[key] = {"resource": resource, "scopeSpans": [], **({"schemaUrl": url} if url else {})}
        part = {"scope": scope, "spans": spans, **({"schemaUrl": scope_url} if scope_url else {})}
        resources[key]["scopeSpans"].append(part)
    return {"resourceSpans": list(resources.values())}


def traces_of_events(
    events: Iterable[Event], ties: MutableMapping[str, tuple[str, str]], *, also_in_spans: bool
) -> Json | None:
    """TracesData in which log events are spans of no duration, linked to their causes; None where none is.

    Log records that name no event are not shown. Those that happened in a span are shown where `also_in_spans`, below that
    span; else the program that recorded them is taken to have put them on it. `ties`: where causes are shown; where these
    events are is added to it.
    """
    named = [event for event in events if event.signal == "log" and event.type]
    for event in named:
        ties[event.id] = tie_of(event, on_span=not also_in_spans)
    groups: dict[bytes, tuple[Around, list[Json]]] = {}
    for event in named:
        if also_in_spans or not (event.trace_id and event.span_id):
            around = around_of(event)
            groups.setdefault(orjson.dumps(around), (around, []))[1].append(span_of_event(event, ties))
    return tree_of(groups.values()) if groups else None
