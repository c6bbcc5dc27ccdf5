"""OpenTelemetry SDK objects to lines of the archive: logs and spans here, metrics in `otlp/metrics.py`.

Each record is made text by itself, so that a bad one costs nothing but itself: what the fast path cannot write exactly takes
the careful path, which writes what it can and says what it could not.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import orjson

from whence.otlp.faithful_record import faithful_log, faithful_span
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.record_text import log_text, span_text
from whence.otlp.shapes import LogLike, ResourceLike, ScopeLike, SpanLike
from whence.otlp.value import as_text, faithful_items, faithful_text, pairs


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

    resources: str
    scopes: str
    records: str


class Way(NamedTuple):
    """How one kind of record is written: fast, or made writable first; and when it was."""

    text: Callable[[Any, int], str]
    careful: Callable[[Any, int], Any]
    time: Callable[[Any], int]


LOGS: Final = Shape("resourceLogs", "scopeLogs", "logRecords")
TRACES: Final = Shape("resourceSpans", "scopeSpans", "spans")
METRICS: Final = Shape("resourceMetrics", "scopeMetrics", "metrics")


def encode_logs(records: Sequence[LogLike], limits: Limits = DEFAULT) -> Encoded:
    """Lines of log records: the SDK's ReadableLogRecord or ReadWriteLogRecord objects, in their order. Never raises."""
    return _encode(LOGS, Way(log_text, faithful_log, _log_time), records, limits)


def encode_spans(spans: Sequence[SpanLike], limits: Limits = DEFAULT) -> Encoded:
    """Lines of ended spans: the SDK's ReadableSpan objects. Their events that only project a log event are left out.

    Never raises.
    """
    return _encode(TRACES, Way(span_text, faithful_span, _span_time), spans, limits)


def _encode(shape: Shape, way: Way, items: Sequence[Any], limits: Limits) -> Encoded:
    page = Page(shape, limits)
    text, careful, time = way
    depth = limits.depth
    failed, error = 0, None
    for item in items:
        try:
            try:
                data = text(item, depth).encode()
                at = time(item)
            except Exception:  # noqa: BLE001 - whatever an object from outside may do
                kept = careful(item, depth)
                data = text(kept, depth).encode()
                at = time(kept)
            page.add(item.resource, item.instrumentation_scope, data, (at, at))
        except Exception as fault:  # noqa: BLE001 - the same, even of the careful path
            failed, error = (
                failed + 1,
                f"cannot encode a {type(item).__name__}: {as_text(fault) or type(fault).__name__}",
            )
    return Encoded(page.finish(), failed, error)


def _log_time(item: Any) -> int:
    record = item.log_record
    return record.timestamp or record.observed_timestamp or 0


def _span_time(span: Any) -> int:
    return span.start_time or 0


# --- lines ----------------------------------------------------------------------------------------------------------------


class Page:
    """Collects the JSON of records by resource and scope, and closes a line where it is full."""

    def __init__(self, shape: Shape, limits: Limits) -> None:
        self._shape = shape
        self._limits = limits
        self._lines: list[Line] = []
        self._frame = b'{"%b":[' % shape.resources.encode(), b"]}\n"
        self._clear()

    def _clear(self) -> None:
        self._groups: dict[int, tuple[Ends, dict[int, tuple[Ends, list[bytes]]]]] = {}
        self._size = len(self._frame[0]) + len(self._frame[1])
        self._count = self._first = self._last = 0

    def add(
        self,
        resource: ResourceLike | None,
        scope: ScopeLike | None,
        data: bytes,
        times: tuple[int, int],
        records: int = 1,
    ) -> None:
        """The JSON of one record, or of `records` that stay together, under its resource and scope.

        `times`: its least and greatest, 0 for none.
        """
        limits = self._limits
        if self._count and self._count + records > limits.records_per_line:
            self._close()
        found = self._find(resource, scope)
        size = len(data) + 1 + (0 if found else self._new_size(resource, scope))
        if self._count and self._size + size > limits.line_bytes:
            self._close()
            size += self._new_size(resource, scope) if found else 0
            found = None
        (found or self._open(resource, scope)).append(data)
        self._size += size
        self._count += records
        first, last = times
        if first and (first < self._first or not self._first):
            self._first = first
        self._last = max(self._last, last)

    def finish(self) -> list[Line]:
        """All the lines, the last one closed."""
        if self._count:
            self._close()
        return self._lines

    def _find(self, resource: ResourceLike | None, scope: ScopeLike | None) -> list[bytes] | None:
        group = self._groups.get(id(resource))
        part = group[1].get(id(scope)) if group else None
        return part[1] if part else None

    def _new_size(self, resource: ResourceLike | None, scope: ScopeLike | None) -> int:
        """Bytes that a record's own surroundings add to the line, at most."""
        ends = _resource_ends(resource, self._shape), _scope_ends(scope, self._shape)
        return sum(len(end.head) + len(end.tail) + 1 for end in ends)

    def _open(self, resource: ResourceLike | None, scope: ScopeLike | None) -> list[bytes]:
        ends = _resource_ends(resource, self._shape), _scope_ends(scope, self._shape)
        _, scopes = self._groups.setdefault(id(resource), (ends[0], {}))
        return scopes.setdefault(id(scope), (ends[1], []))[1]

    def _close(self) -> None:
        resources = [
            ends.head
            + b",".join([part.head + b",".join(data) + part.tail for part, data in scopes.values()])
            + ends.tail
            for ends, scopes in self._groups.values()
        ]
        data = self._frame[0] + b",".join(resources) + self._frame[1]
        self._lines.append(Line(data, self._count, self._first, self._last))
        self._clear()


class Ends(NamedTuple):
    """What stands before and after the scopes of a resource, or the records of a scope."""

    of: Any
    """The resource or scope itself: while it is kept here, no other object has its id."""
    head: bytes
    tail: bytes


_KEPT: Final = 256
_ends: dict[tuple[int, str], Ends] = {}
"""The ends of the resources and scopes seen last: a program has a handful, and each batch names them again."""


def _resource_ends(resource: ResourceLike | None, shape: Shape) -> Ends:
    key = id(resource), shape.scopes
    found = _ends.get(key)
    if found is None or found.of is not resource:
        head: dict[str, Any] = {}
        if resource is not None:
            head = _described(resource.attributes)
        found = _keep(key, resource, "resource", head)
    return found


def _scope_ends(scope: ScopeLike | None, shape: Shape) -> Ends:
    key = id(scope), shape.records
    found = _ends.get(key)
    if found is None or found.of is not scope:
        head: dict[str, Any] = {}
        if scope is not None:
            head = {
                name: faithful_text(as_text(text))[0] for name in ("name", "version") if (text := getattr(scope, name))
            }
            head |= _described(scope.attributes or {})
        found = _keep(key, scope, "scope", head)
    return found


def _keep(key: tuple[int, str], of: Any, name: str, head: dict[str, Any]) -> Ends:
    schema_url = getattr(of, "schema_url", None)
    url = b',"schemaUrl":%b' % orjson.dumps(faithful_text(as_text(schema_url))[0]) if schema_url else b""
    ends = Ends(of, b'{"%b":%b,"%b":[' % (name.encode(), orjson.dumps(head), key[1].encode()), b"]%b}" % url)
    if len(_ends) >= _KEPT:
        _ends.clear()
    _ends[key] = ends
    return ends


def _described(values: Any) -> dict[str, Any]:
    """The attributes of a resource or scope; what of them cannot be kept as it is, is text."""
    items, _ = faithful_items(values)
    return {"attributes": pairs(items)} if items else {}
