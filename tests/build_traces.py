"""Builders: OTLP spans with everything a span can have, and archives of them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from build import START, Built, attributes_of
from whence.archive.writer import ArchiveWriter
from whence.otlp.page import Line

SECOND = 1_000_000_000
KINDS = {"": 0, "internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
STATUSES = {"": 0, "ok": 1, "error": 2}


def trace_id(n: int) -> str:
    """A trace's id, in hex."""
    return f"{n:032x}"


def span_id(n: int) -> str:
    """A span's id, in hex."""
    return f"{n:016x}"


def a_whole_span(
    trace: int,
    span: int,
    name: str = "work",
    *,
    parent: int | None = None,
    service: str | None = "shop",
    at: float = 0,
    took: float = 1,
    kind: str = "internal",
    status: str = "",
    message: str = "",
    attributes: Mapping[str, Any] | None = None,
    resource: Mapping[str, Any] | None = None,
    scope: Mapping[str, Any] | None = None,
    scope_attributes: Mapping[str, Any] | None = None,
    events: Sequence[tuple[str, Mapping[str, Any]]] = (),
    links: Sequence[tuple[int, int, Mapping[str, Any]]] = (),
    **more: Any,
) -> Built:
    """A span, in a line of its own. `at` and `took` in seconds; events at its start; links as trace, span, attributes."""
    time = START + round(at * SECOND)
    record = {
        "traceId": trace_id(trace),
        "spanId": span_id(span),
        **({"parentSpanId": span_id(parent)} if parent is not None else {}),
        "name": name,
        "kind": KINDS[kind],
        "startTimeUnixNano": str(time),
        "endTimeUnixNano": str(time + round(took * SECOND)),
        "attributes": attributes_of(attributes or {}),
        "events": [
            {"timeUnixNano": str(time), "name": called, "attributes": attributes_of(values)}
            for called, values in events
        ],
        "links": [
            {"traceId": trace_id(to), "spanId": span_id(of), "attributes": attributes_of(values)}
            for to, of, values in links
        ],
        **({"status": {"code": STATUSES[status], "message": message}} if status else {}),
        **more,
    }
    around = {**({"service.name": service} if service is not None else {}), **(resource or {})}
    within = {
        **(scope or {"name": "tests"}),
        **({"attributes": attributes_of(scope_attributes)} if scope_attributes else {}),
    }
    group = {"resource": {"attributes": attributes_of(around)}, "scopeSpans": [{"scope": within, "spans": [record]}]}
    return Built(f"span:{trace_id(trace)}-{span_id(span)}", "traces", {"resourceSpans": [group]}, time, "collected")


def many_spans(trace: int, count: int, *, first: int = 1, per_line: int = 500, service: str = "big") -> Iterable[Built]:
    """A trace of many spans, the first the parent of all others, in lines of some hundred each."""
    for at in range(0, count, per_line):
        spans = []
        for n in range(first + at, first + min(at + per_line, count)):
            one = a_whole_span(
                trace, n, f"step-{n % 10}", parent=first if n > first else None, at=n / 1000, service=service
            )
            spans.append(one.data["resourceSpans"][0]["scopeSpans"][0]["spans"][0])
        line = one._replace(data=orjson.loads(orjson.dumps(one.data)))
        line.data["resourceSpans"][0]["scopeSpans"][0]["spans"] = spans
        yield line


def write_traces(directory: Path, records: Iterable[Built], group: str = "collected") -> Path:
    """A closed archive of these records."""
    writer = ArchiveWriter(directory)
    for record in records:
        signal: Any = record.signal
        writer.append(group, signal, [Line(record.line, 1, record.time, record.time)])
    report = writer.close()
    assert report.reason is None, report
    return directory
