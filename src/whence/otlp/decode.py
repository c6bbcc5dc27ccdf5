"""Lines of an archive, ours or any other writer's, to events.

Liberal in what it takes, as the OTLP specification asks of receivers: integers as text or number, ids in any case, unknown
fields ignored, anything missing. A record that cannot be read is named, and costs nothing but itself.
"""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple

import orjson

from whence.errors import DataError
from whence.event import names
from whence.event.ids import span_event_id_of, span_id_of
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.otlp.project import original_of_span, original_of_span_event
from whence.otlp.value import plain_attributes, plain_value

WireSignal = Literal["logs", "traces", "metrics"]

SIGNALS: Final[dict[str, WireSignal]] = {
    "resourceLogs": "logs",
    "resourceSpans": "traces",
    "resourceMetrics": "metrics",
}
_SPAN_KINDS: Final = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_STATUSES: Final = {1: "ok", 2: "error"}
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16
_BROKEN: Final = (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError)
"""What reading a record of the wrong shape raises, whatever the shape."""


class Place(NamedTuple):
    """Where a line is: its segment's stem (the file's name up to `.jsonl`), and its offset in the plain bytes."""

    stem: str
    offset: int


class Decoded(NamedTuple):
    """What a line holds: its events, and a sentence for each record that could not be read."""

    events: list[Event]
    bad: list[str]


def signal_of(data: Mapping[str, Any]) -> WireSignal:
    """Which signal a parsed line carries, by its top-level key. Raises DataError where it has none of the three."""
    for key, signal in SIGNALS.items():
        if key in data:
            return signal
    raise DataError("not OTLP: expected an object with resourceLogs, resourceSpans or resourceMetrics")


def events_of(data: Mapping[str, Any] | bytes, place: Place) -> list[Event]:
    """The events of one line, parsed or not, without those records that cannot be read. Raises DataError as `decode`."""
    return decode(data, place).events


def decode(data: Mapping[str, Any] | bytes, place: Place) -> Decoded:
    """The events of one line, in its order: log records, or spans each followed by its span events; of metrics, none.

    `place` gives log records without an id of their own one that stays the same wherever the line is kept.
    Raises DataError for what is not an OTLP JSON object at all.
    """
    if isinstance(data, bytes):
        try:
            data = orjson.loads(data)
        except orjson.JSONDecodeError as cause:
            raise DataError(f"not JSON: {cause}") from None
    if not isinstance(data, Mapping):
        raise DataError("not OTLP: expected a JSON object")
    signal = signal_of(data)
    found = Decoded([], [])
    if signal == "logs":
        for n, (record, resource, scope) in enumerate(
            _records(data, "resourceLogs", "scopeLogs", "logRecords", found.bad)
        ):
            _take(found, f"log record {n}", lambda r=record, e=resource, s=scope, n=n: [_log_event(r, e, s, place, n)])
    elif signal == "traces":
        for n, (record, resource, scope) in enumerate(
            _records(data, "resourceSpans", "scopeSpans", "spans", found.bad)
        ):
            _take(found, f"span {n}", lambda r=record, e=resource, s=scope: _span_events(r, e, s))
    return found


def _take(found: Decoded, what: str, read: Any) -> None:
    try:
        found.events.extend(read())
    except _BROKEN as cause:
        found.bad.append(f"cannot read {what}: {cause}")


def _records(
    data: Mapping[str, Any], resources: str, scopes: str, records: str, bad: list[str]
) -> Iterator[tuple[Mapping[str, Any], dict[str, Any], dict[str, Any]]]:
    """Every record with its resource's attributes and its scope."""
    groups = data[resources] or ()
    if not isinstance(groups, (list, tuple)):
        bad.append(f"cannot read {resources}: it is no array")
        return
    for group in groups:
        try:
            resource = plain_attributes((group.get("resource") or {}).get("attributes"))
            inner = list(group.get(scopes) or ())
        except _BROKEN as cause:
            bad.append(f"cannot read a resource: {cause}")
            continue
        for part in inner:
            try:
                scope = _scope(part.get("scope") or {})
                items = list(part.get(records) or ())
            except _BROKEN as cause:
                bad.append(f"cannot read a scope: {cause}")
                continue
            for item in items:
                yield item, resource, scope


def _scope(written: Mapping[str, Any]) -> dict[str, Any]:
    scope: dict[str, Any] = {name: str(written[name]) for name in ("name", "version") if written.get(name)}
    if written.get("attributes"):
        scope["attributes"] = plain_attributes(written["attributes"])
    return scope


# --- log records ------------------------------------------------------------------------------------------------------------


def _log_event(
    record: Mapping[str, Any], resource: dict[str, Any], scope: dict[str, Any], place: Place, n: int
) -> Event:
    found = plain_attributes(record.get("attributes"))
    observed = int(record.get("observedTimeUnixNano") or 0)
    time = int(record.get("timeUnixNano") or 0) or observed
    body = plain_value(record["body"]) if record.get("body") is not None else None
    name = record.get("eventName")
    event_type = name if name else found.pop(names.EVENT_NAME_HINT, None)
    if body is not None and not isinstance(body, str):
        found[names.BODY] = body
    event_id = found.pop(names.ID, None)
    return _event(
        found,
        resource,
        scope,
        id=str(event_id) if event_id else _derived_id(place, n, time),
        type=str(event_type or ""),
        time=time,
        observed_time=observed if observed and observed != time else None,
        severity=_severity(record.get("severityNumber")),
        description=body if isinstance(body, str) else None,
        trace_id=_hex(record.get("traceId"), 32),
        span_id=_hex(record.get("spanId"), 16),
        dropped=int(record.get("droppedAttributesCount") or 0),
    )


def _derived_id(place: Place, n: int, time: int) -> str:
    """An id for a record that has none: of its place and time, which sealing, compressing and indexing do not change."""
    text = f"{place.stem}\n{place.offset}\n{n}\n{time}"
    return f"log:{blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=12).hexdigest()}"


def _severity(number: Any) -> Severity | None:
    if not number:
        return None
    number = int(number)
    return Severity(number) if 1 <= number <= 24 else None


# --- spans ------------------------------------------------------------------------------------------------------------------


def _span_events(span: Mapping[str, Any], resource: dict[str, Any], scope: dict[str, Any]) -> list[Event]:
    trace_id = _hex(span.get("traceId"), 32) or _NO_TRACE
    span_id = _hex(span.get("spanId"), 16) or _NO_SPAN
    found = plain_attributes(span.get("attributes"))
    time = int(span.get("startTimeUnixNano") or 0)
    if found.get(names.PROJECTION):
        return [
            _event(original_of_span(found), resource, scope, **_projected(found, span.get("name"), time, None, None))
        ]
    status = span.get("status") or {}
    code = int(status.get("code") or 0)
    if kind := _SPAN_KINDS.get(int(span.get("kind") or 0)):
        found.setdefault(names.SPAN_KIND, kind)
    if status.get("message"):
        found[names.SPAN_STATUS_MESSAGE] = str(status["message"])
    causes = [str(cause) for cause in _list(found.pop(names.CAUSED_BY, None))]
    own = span_id_of(trace_id, span_id)
    causes += [cause for link in span.get("links") or () if (cause := _link_cause(link, own))]
    end = int(span.get("endTimeUnixNano") or 0)
    dropped = sum(int(span.get(f"dropped{what}Count") or 0) for what in ("Attributes", "Events", "Links"))
    event = _event(
        found,
        resource,
        scope,
        id=own,
        type=str(span.get("name") or ""),
        time=time,
        signal="span",
        status=_STATUSES.get(code),
        severity=Severity.ERROR if code == 2 else None,
        caused_by=tuple(dict.fromkeys(causes)),
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=_hex(span.get("parentSpanId"), 16),
        duration_ns=max(end - time, 0) if end else None,
        dropped=dropped,
    )
    inner = [_span_event(written, resource, scope, event, n) for n, written in enumerate(span.get("events") or ())]
    return [event, *inner]


def _span_event(
    written: Mapping[str, Any], resource: dict[str, Any], scope: dict[str, Any], span: Event, n: int
) -> Event:
    found = plain_attributes(written.get("attributes"))
    time = int(written.get("timeUnixNano") or 0)
    if found.get(names.PROJECTION):
        facts = _projected(found, written.get("name"), time, span.trace_id, span.span_id)
        return _event(original_of_span_event(found), resource, scope, **facts)
    found.setdefault(names.RUN, span.run)
    return _event(
        found,
        resource,
        scope,
        id=span_event_id_of(span.trace_id or _NO_TRACE, span.span_id or _NO_SPAN, n),
        type=str(written.get("name") or ""),
        time=time,
        signal="span_event",
        severity=Severity.ERROR if written.get("name") == names.TYPE_EXCEPTION else None,
        trace_id=span.trace_id,
        span_id=span.span_id,
        dropped=int(written.get("droppedAttributesCount") or 0),
    )


def _projected(
    found: dict[str, Any], name: Any, time: int, trace_id: str | None, span_id: str | None
) -> dict[str, Any]:
    """The facts of a log event that are not attributes, from its projection."""
    severity = found.get(names.PROJECTED_SEVERITY)
    return {
        "id": str(found.get(names.ID, "")),
        "type": str(name or ""),
        "time": time,
        "severity": Severity.__members__.get(str(severity)),
        "description": found.get(names.PROJECTED_DESCRIPTION),
        "trace_id": trace_id,
        "span_id": span_id,
    }


def _link_cause(link: Mapping[str, Any], span: str) -> str | None:
    """What a span link says caused the span: the event it names, else the span it points to.

    None for a link that names an event in the span as the effect: that event has its causes itself, and to give them to
    the whole span would make them later than their effect.
    """
    attributes = plain_attributes(link.get("attributes"))
    if attributes.get(names.EFFECT, span) != span:
        return None
    named = attributes.get(names.CAUSE)
    if named:
        return str(named)
    trace_id, span_id = _hex(link.get("traceId"), 32), _hex(link.get("spanId"), 16)
    return span_id_of(trace_id, span_id) if trace_id and span_id else None


# --- both -------------------------------------------------------------------------------------------------------------------


def _event(found: dict[str, Any], resource: dict[str, Any], scope: dict[str, Any], **facts: Any) -> Event:
    """An event of these facts, its other fields lifted out of the attributes `found`, which keep the rest."""
    run = found.pop(names.RUN, None)
    if run is None:
        run = resource.get(names.RUN)
        if run is None:
            run = resource.get(names.SERVICE_NAME)
    status = _label(found, names.STATUS)
    if status is not None:
        facts["status"] = status
    causes = found.pop(names.CAUSED_BY, None)
    if causes is not None:
        facts["caused_by"] = tuple(dict.fromkeys(str(cause) for cause in _list(causes)))
    payload = found.pop(names.PAYLOAD, None)
    if payload is not None:
        facts["payload"] = payload if isinstance(payload, dict) else {"value": payload}
    return Event(
        kind=_text(found.pop(names.KIND, None)),
        source=_text(found.pop(names.SOURCE, None)) or scope.get("name"),
        run=_text(run),
        seq=_int(found, names.SEQ),
        elapsed_ns=_int(found, names.ELAPSED),
        agent=_label(found, names.AGENT),
        turn=_int(found, names.TURN),
        task=_label(found, names.TASK),
        stage=_text(found.pop(names.STAGE, None)),
        correlation=_label(found, names.CORRELATION),
        schema=_text(found.pop(names.SCHEMA, None)),
        attributes=found,
        resource=resource,
        scope=scope,
        **facts,
    )


def _label(found: dict[str, Any], name: str) -> str | None:
    """A field by whence's own name, else by the others it is known under; those stay among the attributes."""
    own = found.pop(name, None)
    if own is not None:
        return str(own)
    for other in names.ALTERNATIVES[name]:
        if other in found:
            return _text(found[other])
    return None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _int(found: dict[str, Any], name: str) -> int | None:
    """An integer field; a value of another type stays among the attributes, where it can be seen."""
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    del found[name]
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _hex(text: Any, digits: int) -> str | None:
    """An id in lower-case hex; None where it is absent, all zeros, or no such id."""
    if not isinstance(text, str) or len(text) != digits:
        return None
    text = text.lower()
    return None if text.strip("0") == "" or text.strip("0123456789abcdef") else text
