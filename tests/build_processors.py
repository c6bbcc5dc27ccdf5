"""Builders for the processors' tests: trees of each signal, a host, and a processor made of settings as in a configuration."""

import copy
import importlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from whence.collect.batch import Batch, Receipt
from whence.collect.component import Host
from whence.collect.telemetry import Telemetry
from whence.otlp.value import any_value, pairs, plain_attributes, plain_value
from whence.otlp.wire import Signal

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


class Sink:
    """The next consumer: keeps what it gets."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def consume(self, batch: Batch) -> Receipt:
        self.batches.append(batch)
        return Receipt()


def a_host(id: str = "processor", directory: Path = Path("unused"), **clocks: Callable[[], Any]) -> Host:
    return Host(id, Telemetry(), logging.getLogger(f"whence.collect.{id}"), directory, **clocks)


def a_processor(kind: str, settings: Mapping[str, Any], host: Host | None = None, sink: Sink | None = None) -> Any:
    """The processor of a kind, with these settings."""
    plug = importlib.import_module(f"whence.collect.processors.{kind}").PLUG
    return plug.build(plug.settings.model_validate(settings), host or a_host(kind), sink or Sink())


def process(kind: str, settings: Mapping[str, Any], batch: Batch, host: Host | None = None) -> Batch | None:
    """What a processor makes of a batch; the batch stays as it is."""
    before = copy.deepcopy(batch.opened().tree)
    found = a_processor(kind, settings, host)
    after = found(batch) if callable(found) else found.process(batch)
    assert batch.opened().tree == before, "the processor changed the batch that it was given"
    return after


# --- trees ----------------------------------------------------------------------------------------------------------------


def a_log(body: Any = None, attributes: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    record = {"timeUnixNano": "1767225600000000000", **fields}
    if body is not None:
        record["body"] = any_value(body)
    if attributes:
        record["attributes"] = pairs(attributes)
    return record


def a_span(name: str = "GET /", attributes: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    span = {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": name,
        "startTimeUnixNano": "1767225600000000000",
        "endTimeUnixNano": "1767225600100000000",
        **fields,
    }
    if attributes:
        span["attributes"] = pairs(attributes)
    return span


def logs(*records: dict[str, Any], resource: Mapping[str, Any] | None = None, scope: str = "app") -> Batch:
    return _batch("logs", ("resourceLogs", "scopeLogs", "logRecords"), records, resource, scope)


def spans(*records: dict[str, Any], resource: Mapping[str, Any] | None = None, scope: str = "app") -> Batch:
    return _batch("traces", ("resourceSpans", "scopeSpans", "spans"), records, resource, scope)


def metrics(*records: dict[str, Any], resource: Mapping[str, Any] | None = None, scope: str = "app") -> Batch:
    return _batch("metrics", ("resourceMetrics", "scopeMetrics", "metrics"), records, resource, scope)


def a_sum(name: str, *points: Mapping[str, Any]) -> dict[str, Any]:
    """A sum with a point of value 1 for each set of attributes."""
    data = [{"timeUnixNano": "1767225600000000000", "asInt": "1", "attributes": pairs(point)} for point in points]
    return {"name": name, "sum": {"dataPoints": data, "aggregationTemporality": 2, "isMonotonic": True}}


def _batch(
    signal: Signal, levels: tuple[str, str, str], records: Any, resource: Mapping[str, Any] | None, scope: str
) -> Batch:
    resources, scopes, names = levels
    group = {
        "resource": {"attributes": pairs({"service.name": "shop"} if resource is None else resource)},
        scopes: [{"scope": {"name": scope}, names: list(records)}],
    }
    return Batch(signal, tree={resources: [group]})


# --- looking --------------------------------------------------------------------------------------------------------------

_LEVELS = {
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}


def records(batch: Batch | None) -> list[dict[str, Any]]:
    """All log records, spans or metrics."""
    if batch is None:
        return []
    resources, scopes, names = _LEVELS[batch.signal]
    tree = batch.opened().tree or {}
    return [record for group in tree[resources] for part in group[scopes] for record in part[names]]


def attributes(of: Mapping[str, Any]) -> dict[str, Any]:
    """An object's attributes as plain values."""
    return plain_attributes(of.get("attributes"))


def body(record: Mapping[str, Any]) -> Any:
    return plain_value(record["body"])


def resource_of(batch: Batch | None) -> dict[str, Any]:
    """The attributes of the first resource."""
    assert batch is not None
    return attributes((batch.opened().tree or {})[_LEVELS[batch.signal][0]][0]["resource"])
