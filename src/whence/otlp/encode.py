"""OpenTelemetry SDK objects to lines of the archive: logs and spans here, metrics in `otlp/metrics.py`.

Each record is serialized by itself, so that a bad one costs nothing but itself: what the fast path cannot write exactly takes
the careful path, which can write anything.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import orjson

from whence.event import names
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.value import (
    UnfaithfulError,
    any_value,
    attributes,
    careful_attributes,
    careful_text,
    careful_value,
)


class Line(NamedTuple):
    """One line of the archive: a whole OTLP TracesData, LogsData or MetricsData object in JSON, ending in a newline."""

    data: bytes
    records: int
    """Log records, spans, or metric data points in it."""
    first_time: int
    """The least time of a record in it, nanoseconds since the epoch; 0 if none."""
    last_time: int
    """The greatest."""


class Encoded(NamedTuple):
    """What became of a batch."""

    lines: list[Line]
    failed: int = 0
    """Records that even the careful path could not write."""
    error: str | None = None
    """What the last failure was."""


class Shape(NamedTuple):
    """How one signal is laid out: the names of its three levels."""

    resources: bytes
    scopes: bytes
    records: bytes


LOGS: Final = Shape(b"resourceLogs", b"scopeLogs", b"logRecords")
TRACES: Final = Shape(b"resourceSpans", b"scopeSpans", b"spans")
METRICS: Final = Shape(b"resourceMetrics", b"scopeMetrics", b"metrics")

Write = Callable[[Any, bool], tuple[dict[str, Any], int]]
"""Makes a record's JSON object and gives its time; the flag asks for the careful path."""


def encode_logs(records: Sequence[Any], limits: Limits = DEFAULT) -> Encoded:
    """Lines of log records: the SDK's ReadableLogRecord or ReadWriteLogRecord objects, in their order."""
    return _encode(LOGS, records, lambda record, careful: _log(record, careful, limits.depth), limits)


def encode_spans(spans: Sequence[Any], limits: Limits = DEFAULT) -> Encoded:
    """Lines of finished spans: the SDK's ReadableSpan objects. Span events that only project a log event are left out."""
    return _encode(TRACES, spans, lambda span, careful: _span(span, careful, limits.depth), limits)


# --- lines ----------------------------------------------------------------------------------------------------------------


def _encode(shape: Shape, items: Iterable[Any], write: Write, limits: Limits) -> Encoded:
    page = Page(shape, limits)
    failed, error = 0, None
    for item in items:
        try:
            try:
                record, time = write(item, False)
                data = orjson.dumps(record)
            except (UnfaithfulError, TypeError, RecursionError):
                record, time = write(item, True)
                data = orjson.dumps(record)
            page.add(item.resource, item.instrumentation_scope, data, time)
        except Exception as fault:  # noqa: BLE001 - whatever an object from outside may do
            failed, error = failed + 1, f"cannot encode a {type(item).__name__}: {fault!r}"
    return Encoded(page.finish(), failed, error)


class Page:
    """Collects serialized records by resource and scope, and closes a line where it is full."""

    def __init__(self, shape: Shape, limits: Limits) -> None:
        self._shape = shape
        self._limits = limits
        self._lines: list[Line] = []
        self._resources: dict[int, tuple[bytes, bytes]] = {}
        self._scopes: dict[int, tuple[bytes, bytes]] = {}
        self._clear()

    def _clear(self) -> None:
        self._groups: dict[int, dict[int, list[bytes]]] = {}
        self._size = self._count = self._first = self._last = 0

    def add(self, resource: Any, scope: Any, data: bytes, time: int, records: int = 1) -> None:
        """One record's JSON, under its resource and scope (which the caller's batch keeps alive: their ids are keys)."""
        limits = self._limits
        if self._count and (self._count >= limits.records_per_line or self._size + len(data) > limits.line_bytes):
            self._close()
        scopes = self._groups.get(id(resource))
        if scopes is None:
            scopes = self._groups[id(resource)] = {}
            if id(resource) not in self._resources:
                self._resources[id(resource)] = _resource(resource, self._shape)
            self._size += sum(map(len, self._resources[id(resource)]))
        fragments = scopes.get(id(scope))
        if fragments is None:
            fragments = scopes[id(scope)] = []
            if id(scope) not in self._scopes:
                self._scopes[id(scope)] = _scope(scope, self._shape)
            self._size += sum(map(len, self._scopes[id(scope)]))
        fragments.append(data)
        self._size += len(data) + 1
        self._count += records
        if time:
            self._first = min(self._first or time, time)
            self._last = max(self._last, time)

    def finish(self) -> list[Line]:
        """All the lines, the last one closed."""
        if self._count:
            self._close()
        return self._lines

    def _close(self) -> None:
        resources = []
        for resource, scopes in self._groups.items():
            inner = [b",".join(data).join(self._scopes[scope]) for scope, data in scopes.items()]
            resources.append(b",".join(inner).join(self._resources[resource]))
        data = b'{"%b":[%b]}\n' % (self._shape.resources, b",".join(resources))
        self._lines.append(Line(data, self._count, self._first, self._last))
        self._clear()


def _resource(resource: Any, shape: Shape) -> tuple[bytes, bytes]:
    """What stands before and after the scopes of one resource."""
    head: dict[str, Any] = {}
    if resource is not None:
        head = _described(resource.attributes)
    url = getattr(resource, "schema_url", None)
    return b'{"resource":%b,"%b":[' % (orjson.dumps(head), shape.scopes), _end(url)


def _scope(scope: Any, shape: Shape) -> tuple[bytes, bytes]:
    """What stands before and after the records of one instrumentation scope."""
    head: dict[str, Any] = {}
    if scope is not None:
        head = {"name": careful_text(scope.name or "")[0]}
        if scope.version:
            head["version"] = careful_text(scope.version)[0]
        head |= _described(scope.attributes or {})
    return b'{"scope":%b,"%b":[' % (orjson.dumps(head), shape.records), _end(getattr(scope, "schema_url", None))


def _described(values: Any) -> dict[str, Any]:
    pairs, _ = careful_attributes(values)
    return {"attributes": pairs} if pairs else {}


def _end(schema_url: str | None) -> bytes:
    return b'],"schemaUrl":%b}' % orjson.dumps(careful_text(schema_url)[0]) if schema_url else b"]}"


# --- records --------------------------------------------------------------------------------------------------------------


def _log(item: Any, careful: bool, depth: int) -> tuple[dict[str, Any], int]:
    record = item.log_record
    written: dict[str, Any] = {}
    if record.timestamp:
        written["timeUnixNano"] = str(record.timestamp)
    if record.observed_timestamp:
        written["observedTimeUnixNano"] = str(record.observed_timestamp)
    if record.severity_number is not None:
        written["severityNumber"] = record.severity_number.value
    if record.severity_text:
        written["severityText"] = _text(record.severity_text, careful)
    if record.body is not None:
        written["body"] = careful_value(record.body, depth)[0] if careful else any_value(record.body, depth)
    _put_attributes(written, record.attributes, item.dropped_attributes, careful, depth)
    if record.trace_flags:
        written["flags"] = int(record.trace_flags)
    if record.trace_id:
        written["traceId"] = f"{record.trace_id:032x}"
    if record.span_id:
        written["spanId"] = f"{record.span_id:016x}"
    if record.event_name:
        written["eventName"] = _text(record.event_name, careful)
    return written, record.timestamp or record.observed_timestamp or 0


def _span(span: Any, careful: bool, depth: int) -> tuple[dict[str, Any], int]:
    context, parent = span.context, span.parent
    written: dict[str, Any] = {"traceId": f"{context.trace_id:032x}", "spanId": f"{context.span_id:016x}"}
    if context.trace_state:
        written["traceState"] = _text(context.trace_state.to_header(), careful)
    if parent is not None:
        written["parentSpanId"] = f"{parent.span_id:016x}"
    written["flags"] = _flags(context, parent)
    written["name"] = _text(span.name, careful)
    written["kind"] = span.kind.value + 1
    written["startTimeUnixNano"] = str(span.start_time or 0)
    written["endTimeUnixNano"] = str(span.end_time or 0)
    _put_attributes(written, span.attributes, span.dropped_attributes, careful, depth)
    events = [
        _span_event(event, careful, depth)
        for event in span.events
        if not (event.attributes and names.PROJECTION in event.attributes)
    ]
    if events:
        written["events"] = events
    if span.dropped_events:
        written["droppedEventsCount"] = span.dropped_events
    if span.links:
        written["links"] = [_link(link, careful, depth) for link in span.links]
    if span.dropped_links:
        written["droppedLinksCount"] = span.dropped_links
    status: dict[str, Any] = {}
    if span.status.description:
        status["message"] = _text(span.status.description, careful)
    if span.status.status_code.value:
        status["code"] = span.status.status_code.value
    written["status"] = status
    return written, span.start_time or 0


def _span_event(event: Any, careful: bool, depth: int) -> dict[str, Any]:
    written = {"timeUnixNano": str(event.timestamp), "name": _text(event.name, careful)}
    _put_attributes(written, event.attributes, event.dropped_attributes, careful, depth)
    return written


def _link(link: Any, careful: bool, depth: int) -> dict[str, Any]:
    context = link.context
    written: dict[str, Any] = {"traceId": f"{context.trace_id:032x}", "spanId": f"{context.span_id:016x}"}
    if context.trace_state:
        written["traceState"] = _text(context.trace_state.to_header(), careful)
    _put_attributes(written, link.attributes, link.dropped_attributes, careful, depth)
    written["flags"] = _flags(context, context)
    return written


def _flags(context: Any, remote: Any) -> int:
    """The W3C trace flags in the low byte, and whether it is known (always) and true that `remote` is remote."""
    return (int(context.trace_flags) & 0xFF) | 0x100 | (0x200 if remote is not None and remote.is_remote else 0)


def _put_attributes(written: dict[str, Any], values: Any, dropped: int, careful: bool, depth: int) -> None:
    if values:
        if careful:
            pairs, lossy = careful_attributes(values, depth)
            if lossy:
                pairs = [pair for pair in pairs if pair["key"] != names.LOSSY]
                pairs.append({"key": names.LOSSY, "value": any_value([*lossy, *_said_lossy(values)])})
            written["attributes"] = pairs
        else:
            written["attributes"] = attributes(values, depth)
    if dropped:
        written["droppedAttributesCount"] = dropped


def _said_lossy(values: Any) -> list[str]:
    """Attributes that were called lossy before they came here."""
    said = values.get(names.LOSSY) or ()
    return [careful_text(str(name))[0] for name in said] if isinstance(said, (list, tuple)) else []


def _text(text: Any, careful: bool) -> str:
    return careful_text(text if isinstance(text, str) else str(text))[0] if careful else text
