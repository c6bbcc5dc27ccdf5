"""A page of records: collected by resource and scope, and cut into lines of the archive where one is full.

The law: what is once on the page is in exactly one line, and a line is a whole OTLP object.
"""

from typing import Any, Final, NamedTuple

import orjson

from whence.otlp.limits import Limits
from whence.otlp.shapes import ResourceLike, ScopeLike
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


LOGS: Final = Shape("resourceLogs", "scopeLogs", "logRecords")
TRACES: Final = Shape("resourceSpans", "scopeSpans", "spans")
METRICS: Final = Shape("resourceMetrics", "scopeMetrics", "metrics")


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
        ends = resource_ends(resource, self._shape), scope_ends(scope, self._shape)
        return sum(len(end.head) + len(end.tail) + 1 for end in ends)

    def _open(self, resource: ResourceLike | None, scope: ScopeLike | None) -> list[bytes]:
        ends = resource_ends(resource, self._shape), scope_ends(scope, self._shape)
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


def resource_ends(resource: ResourceLike | None, shape: Shape) -> Ends:
    """What stands around the scopes of a resource. Raises what asking the resource raises."""
    key = id(resource), shape.scopes
    found = _ends.get(key)
    if found is None or found.of is not resource:
        head: dict[str, Any] = {}
        if resource is not None:
            head = _described(resource.attributes)
        found = _keep(key, resource, "resource", head)
    return found


def scope_ends(scope: ScopeLike | None, shape: Shape) -> Ends:
    """What stands around the records of a scope. Raises what asking the scope raises."""
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
