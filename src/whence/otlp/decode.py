"""Lines of an archive, ours or any other writer's, to events.

Liberal in what it takes, as the OTLP specification asks of receivers: integers as text or number, ids in any case, unknown
fields ignored, anything missing. A record that cannot be read is named, and costs nothing but itself.
"""

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple

from whence.errors import DataError
from whence.event import names
from whence.event.ids import span_event_id_of, span_id_of
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.otlp.draft import new_event
from whence.otlp.fields import lift, severity_named
from whence.otlp.parse import parse_line
from whence.otlp.project import Original, described, original
from whence.otlp.value import plain_attributes, plain_value, whole

WireSignal = Literal["logs", "traces", "metrics"]

SIGNALS: Final[dict[str, WireSignal]] = {
    "resourceLogs": "logs",
    "resourceSpans": "traces",
    "resourceMetrics": "metrics",
}
BROKEN: Final = (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError)
"""What reading a record of the wrong shape raises, whatever the shape."""

_SPAN_KINDS: Final = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_STATUSES: Final = {1: "ok", 2: "error"}
_ERROR: Final = 2
_TIME_MAX: Final = (1 << 64) - 1
_SEVERITIES: Final = {severity.value: severity for severity in Severity}


class Place(NamedTuple):
    """Where a line is: its segment's stem (the file's name up to `.jsonl`), and its offset in the plain bytes."""

    stem: str
    offset: int


class Decoded(NamedTuple):
    """What a line holds: its events, and a sentence for each record that could not be read."""

    events: list[Event]
    bad: list[str]


class Around(NamedTuple):
    """What surrounds a record, and so holds for its event unless it says otherwise."""

    place: Place
    resource: dict[str, Any]
    scope: dict[str, Any]
    run: str | None
    source: str | None


def signal_of(data: Mapping[str, Any]) -> WireSignal:
    """Which signal a parsed line carries, by its top-level key. Raises DataError where it has none of the three."""
    for key, signal in SIGNALS.items():
        if key in data:
            return signal
    raise DataError("not OTLP: expected an object with resourceLogs, resourceSpans or resourceMetrics")


def events_of(data: Mapping[str, Any] | bytes, place: Place) -> list[Event]:
    """The events of one line, parsed or not, without those records that cannot be read. Raises DataError as `decode`."""
    return decode(data, place).events


def decode(data: Mapping[str, Any] | bytes, place: Place, *, thin: bool = False) -> Decoded:
    """The events of one line, in its order: log records, or spans each followed by its span events; of metrics, none.

    `place` gives log records without an id of their own one that stays the same wherever the line is kept. `thin`: `null`
    stands where a record was that nobody wants. Raises DataError for what is not an OTLP JSON object at all.
    """
    events: list[Event] = []
    bad: list[str] = []
    for found in decode_each(data, place, bad, thin=thin):
        events += found
    return Decoded(events, bad)


def decode_each(
    data: Mapping[str, Any] | bytes, place: Place, bad: list[str], *, thin: bool = False
) -> Iterator[list[Event]]:
    """The events of each record of a line, in its order; none for one that cannot be read, which `bad` then names.

    Of metrics, nothing, and of a record that is not there in a `thin` line. Raises DataError as `decode`.
    """
    if isinstance(data, bytes):
        data = parse_line(data)
    if not isinstance(data, Mapping):
        raise DataError("not OTLP: expected a JSON object")
    signal = signal_of(data)
    if signal == "metrics":
        return
    levels = (
        ("resourceLogs", "scopeLogs", "logRecords") if signal == "logs" else ("resourceSpans", "scopeSpans", "spans")
    )
    read, what = (_log_event, "log record") if signal == "logs" else (_span_events, "span")
    for records, first, around in _groups(data, levels, place, bad):
        for n, record in enumerate(records, first):
            if thin and record is None:
                continue
            try:
                found = read(record, around, n)
            except BROKEN as cause:
                bad.append(f"cannot read {what} {n}: {cause}")
                found = []
            yield found


def _groups(
    data: Mapping[str, Any], levels: tuple[str, str, str], place: Place, bad: list[str]
) -> Iterator[tuple[list[Any], int, Around]]:
    """The records of each scope, the number of the first, and what surrounds them.

    What cannot be read of a resource or scope leaves it empty, and is said.
    """
    resources, scopes, records = levels
    n = 0
    for group in _array(data, resources, bad):
        resource = _readable(_resource, group, bad)
        run = resource.get(names.RUN)
        if run is None:
            run = resource.get(names.SERVICE_NAME)
        for part in _array(group, scopes, bad):
            scope = _readable(_scope, part, bad)
            found = _array(part, records, bad)
            yield found, n, Around(place, resource, scope, None if run is None else str(run), scope.get("name"))
            n += len(found)


def _array(of: Any, key: str, bad: list[str]) -> list[Any]:
    """The array under a key; where it is absent or no array, an empty one."""
    found = of.get(key) if isinstance(of, Mapping) else of
    if found is None:
        return []
    if type(found) is list:
        return found
    bad.append(f"cannot read {key}: expected a JSON array, not {type(found).__name__}")
    return []


def _readable(read: Callable[[Any], dict[str, Any]], of: Any, bad: list[str]) -> dict[str, Any]:
    try:
        return read(of)
    except BROKEN as cause:
        bad.append(f"cannot read a {read.__name__.strip('_')}: {cause}")
        return {}


def _resource(group: Mapping[str, Any]) -> dict[str, Any]:
    return plain_attributes((group.get("resource") or {}).get("attributes"))


def _scope(part: Mapping[str, Any]) -> dict[str, Any]:
    written = part.get("scope") or {}
    scope: dict[str, Any] = {name: str(written[name]) for name in ("name", "version") if written.get(name)}
    if written.get("attributes"):
        scope["attributes"] = plain_attributes(written["attributes"])
    return scope


# --- log records ----------------------------------------------------------------------------------------------------------


def _log_event(record: Mapping[str, Any], around: Around, n: int) -> list[Event]:
    get = record.get
    found = plain_attributes(get("attributes"))
    observed = _time(get("observedTimeUnixNano"))
    time = _time(get("timeUnixNano")) or observed
    body = get("body")
    event_type = get("eventName")
    if not event_type:
        event_type = found.pop(names.EVENT_NAME_HINT, None) or ""
    event_id = found.pop(names.ID, None)
    facts: dict[str, Any] = {
        "id": str(event_id) if event_id else _derived_id("log", around.place, n, time),
        "type": str(event_type),
        "time": time,
        "severity": _severity(get("severityNumber"), get("severityText")),
        "description": None if body is None else described(found, plain_value(body)),
        "trace_id": _hex(get("traceId"), 32),
        "span_id": _hex(get("spanId"), 16),
    }
    if observed != time and observed:
        facts["observed_time"] = observed
    if dropped := get("droppedAttributesCount"):
        facts["dropped"] = _count(dropped)
    return [_event(facts, found, around)]


def _severity(number: Any, text: Any) -> Severity | None:
    if number:
        return _SEVERITIES.get(whole(number))
    return severity_named(text) if text else None


# --- spans ----------------------------------------------------------------------------------------------------------------


def _span_events(span: Mapping[str, Any], around: Around, n: int) -> list[Event]:
    get = span.get
    trace_id, span_id = _hex(get("traceId"), 32), _hex(get("spanId"), 16)
    parent_id = _hex(get("parentSpanId"), 16)
    found = plain_attributes(get("attributes"))
    time = _time(get("startTimeUnixNano"))
    if names.PROJECTION in found and (log := original(found)):
        return [_projected_event(log, get("name"), time, (trace_id, parent_id) if parent_id else (None, None), around)]
    own = span_id_of(trace_id, span_id) if trace_id and span_id else _derived_id("span", around.place, n, time)
    status = get("status") or {}
    code = whole(status.get("code") or 0)
    if kind := _SPAN_KINDS.get(whole(get("kind") or 0)):
        found.setdefault(names.SPAN_KIND, kind)
    if message := status.get("message"):
        found.setdefault(names.SPAN_STATUS_MESSAGE, str(message))
    end = _time(get("endTimeUnixNano"))
    dropped = get("droppedAttributesCount"), get("droppedEventsCount"), get("droppedLinksCount")
    facts: dict[str, Any] = {
        "id": own,
        "type": _text(get("name")),
        "time": time,
        "signal": "span",
        "severity": Severity.ERROR if code == _ERROR else None,
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_span_id": parent_id,
        "duration_ns": max(end - time, 0) if end else None,
        "dropped": sum(_count(count) for count in dropped if count),
    }
    causes = [cause for link in get("links") or () if (cause := _link_cause(link, own))]
    event = _event(facts, found, around, status=_STATUSES.get(code), causes=causes)
    return [event, *(_span_event(inner, around, event, n) for n, inner in enumerate(get("events") or ()))]


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


def _span_event(written: Mapping[str, Any], around: Around, span: Event, n: int) -> Event:
    found = plain_attributes(written.get("attributes"))
    time = _time(written.get("timeUnixNano"))
    name = _text(written.get("name"))
    if names.PROJECTION in found and (log := original(found)):
        return _projected_event(log, name, time, (span.trace_id, span.span_id), around)
    found.setdefault(names.RUN, span.run)
    known = span.trace_id and span.span_id
    facts: dict[str, Any] = {
        "id": span_event_id_of(span.trace_id or "", span.span_id or "", n) if known else f"{span.id}#{n}",
        "type": name,
        "time": time,
        "signal": "span_event",
        "severity": Severity.ERROR if name == names.TYPE_EXCEPTION else None,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "dropped": _count(written.get("droppedAttributesCount") or 0),
    }
    return _event(facts, found, around)


def _projected_event(log: Original, name: Any, time: int, span: tuple[str | None, str | None], around: Around) -> Event:
    """The log event that a span event or span projects, as it was; `span`: in which it happened."""
    facts: dict[str, Any] = {
        "id": log.id,
        "type": _text(name),
        "time": time,
        "severity": log.severity,
        "description": log.description,
        "trace_id": span[0],
        "span_id": span[1],
    }
    return _event(facts, log.attributes, around)


# --- both -----------------------------------------------------------------------------------------------------------------


def _event(
    facts: dict[str, Any],
    found: dict[str, Any],
    around: Around,
    *,
    status: str | None = None,
    causes: list[str] | None = None,
) -> Event:
    """An event of these facts, its other fields lifted out of the attributes `found`, which keep the rest."""
    lift(found, facts)
    if "run" not in facts:
        facts["run"] = around.run
    if "source" not in facts:
        facts["source"] = around.source
    if status and "status" not in facts:
        facts["status"] = status
    if causes:
        facts["caused_by"] = tuple(dict.fromkeys([*facts.get("caused_by", ()), *causes]))
    return new_event(attributes=found, resource=around.resource, scope=around.scope, **facts)


def _derived_id(kind: str, place: Place, n: int, time: int) -> str:
    """An id for a record that has none: of its place and time, which sealing, compressing and indexing do not change."""
    text = f"{place.stem}\n{place.offset}\n{n}\n{time}"
    return f"{kind}:{blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=12).hexdigest()}"


def _text(name: Any) -> str:
    return name if type(name) is str else "" if name is None else str(name)


def _time(value: Any) -> int:
    if not value:
        return 0
    time = int(value) if type(value) is str else whole(value)
    if 0 <= time <= _TIME_MAX:
        return time
    raise ValueError(f"a time outside of 64 bits: {value!r:.40}")


def _count(value: Any) -> int:
    count = whole(value)
    if 0 <= count <= _TIME_MAX:
        return count
    raise ValueError(f"an impossible count: {value!r:.40}")


def _hex(text: Any, digits: int) -> str | None:
    """An id in lower-case hex; None where it is absent, all zeros, or no such id."""
    if type(text) is not str or len(text) != digits:
        return None
    try:
        number = bytes.fromhex(text)
    except ValueError:
        return None
    return number.hex() if len(number) * 2 == digits and any(number) else None
