"""What flows through a pipeline: one request's worth of one signal, as bytes until somebody must look inside.

The law: pure, and shared. Nobody changes a batch or its tree in place: who changes gives a new one (`with_tree`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from whence.otlp import wire
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.wire import Encoding, Lines, Signal

LEVELS: Final[Mapping[Signal, tuple[str, str, str]]] = {
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}
"""The names of a tree's three levels, by signal."""

_METRIC_TYPES: Final = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")


@dataclass(frozen=True, slots=True)
class Receipt:
    """Everybody downstream has taken responsibility for a batch, but for `rejected` records (partial success).

    `message` says why in English; with `rejected == 0` it is a warning.
    """

    rejected: int = 0
    message: str = ""


ACCEPTED: Final = Receipt()


@dataclass(frozen=True, slots=True)
class Batch:
    """One request's worth of one signal. `data`, `tree`, or both are there; where both are, they say the same."""

    signal: Signal
    data: bytes | None = None
    """An uncompressed Export*ServiceRequest, as it came."""
    encoding: Encoding = "protobuf"
    """Of `data`."""
    tree: dict[str, Any] | None = None
    """Canonical OTLP JSON, `{"resourceLogs": [...]}`, once a component has looked inside. Never changed in place."""
    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The request's headers, lower case, where its receiver has `include_metadata`."""
    transport: str = ""
    """How it came: `grpc`, `http`, `file`; labels the receiver's counters."""
    _known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def opened(self) -> "Batch":
        """The same batch with its tree. Raises DataError where the bytes are no request of this signal."""
        if self.tree is not None:
            return self
        found = self._known.get("opened")
        if found is None:
            found = self._known["opened"] = replace(self, tree=_tree(self))
        return found

    def with_tree(self, tree: dict[str, Any]) -> "Batch":
        """A new batch that holds this tree instead; what else is known of this one stays."""
        return replace(self, data=None, encoding="protobuf", tree=tree)

    def lines(self, limits: Limits = DEFAULT) -> Lines:
        """Lines for an archive, and what had to be rejected. Raises DataError. Computed once."""
        found = self._known.get(limits)
        if found is None:
            found = self._known[limits] = _lines(self, limits)
            self._known.setdefault("count", sum(line.records for line in found.lines) + found.rejected)
        return found

    def protobuf(self) -> bytes:
        """An Export*ServiceRequest. Raises DataError. Computed once."""
        if self.data is not None and self.encoding == "protobuf":
            return self.data
        found = self._known.get("protobuf")
        if found is None:
            found = self._known["protobuf"] = _protobuf(self)
        return found

    def count(self) -> int:
        """Log records, spans or metric data points in it. Raises DataError. Computed once."""
        found = self._known.get("count")
        if found is None:
            found = self._known["count"] = _count(self)
        return found


def _tree(batch: Batch) -> dict[str, Any]:
    data = batch.data or b""
    if batch.encoding == "json":
        return wire.tree_of_json(batch.signal, data)
    return wire.tree_of_protobuf(batch.signal, data)


def _lines(batch: Batch, limits: Limits) -> Lines:
    if batch.data is None:
        return wire.lines_of_tree(batch.signal, batch.tree or {}, limits)
    if batch.encoding == "json":
        return wire.lines_of_json(batch.signal, batch.data, limits)
    return wire.lines_of_protobuf(batch.signal, batch.data, limits)


def _protobuf(batch: Batch) -> bytes:
    if batch.data is None:
        return wire.protobuf_of_tree(batch.signal, batch.tree or {})
    return wire.protobuf_of_json(batch.signal, batch.data)


def _count(batch: Batch) -> int:
    if batch.data is not None:
        return wire.count_of(batch.signal, batch.data, batch.encoding)
    resources, scopes, records = LEVELS[batch.signal]
    found = [
        record
        for resource in (batch.tree or {}).get(resources, ())
        for scope in resource.get(scopes, ())
        for record in scope.get(records, ())
    ]
    if batch.signal != "metrics":
        return len(found)
    return sum(len(metric.get(kind, {}).get("dataPoints", ())) for metric in found for kind in _METRIC_TYPES)
