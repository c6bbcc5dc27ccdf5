"""What Jaeger asks over gRPC as a search of ours, and our answers as its messages.

The law: pure. What cannot be meant is a BadQuery that says so.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from whence.collect.records.plain import as_string
from whence.serve.jaeger.glance import Summary
from whence.serve.jaeger.lists import Dependency, Operation
from whence.serve.jaeger.proto import STORAGE
from whence.serve.jaeger.search import Search

NS: Final = 1_000_000_000
DEPTH: Final = 100
"""Traces that are looked for where nothing is said."""
MOST: Final = 10_000
"""Traces that can be asked for at once."""
_INT32: Final = (1 << 31) - 1


class BadQuery(ValueError):
    """A query that cannot be meant; the text says why."""


def search_of(query: Any) -> Search:
    """The search of a TraceQueryParameters. Raises BadQuery."""
    return checked(
        Search(
            service=query.service_name,
            operation=query.operation_name,
            attributes={pair.key: as_string(plain(pair.value)) for pair in query.attributes},
            start_min=_ns(query.start_time_min),
            start_max=_ns(query.start_time_max),
            duration_min=_ns(query.duration_min),
            duration_max=_ns(query.duration_max),
            depth=query.search_depth or DEPTH,
        )
    )


def checked(search: Search) -> Search:
    """The same search, of at most `MOST` traces. Raises BadQuery where no trace could ever fit."""
    if search.depth < 0:
        raise BadQuery(f"cannot search for {search.depth} traces: give a number from 1 to {MOST}")
    if search.duration_min < 0 or search.duration_max < 0:
        raise BadQuery("cannot search for a negative duration: give 0 for no bound")
    if 0 < search.duration_max < search.duration_min:
        raise BadQuery("cannot search: the greatest duration is less than the least; swap them")
    if 0 < search.start_max < search.start_min:
        raise BadQuery("cannot search: the window of time ends before it begins; swap its ends")
    return replace(search, depth=min(search.depth, MOST))


def _ns(of: Any) -> int:
    """Nanoseconds of a Timestamp or Duration; of one that is absent, 0."""
    return int(of.seconds) * NS + int(of.nanos)


def ns_between(request: Any) -> tuple[int, int]:
    """The window of a GetDependenciesRequest, in ns since the epoch."""
    return _ns(request.start_time), _ns(request.end_time)


def plain(value: Any) -> Any:
    """The Python value of an AnyValue of Jaeger's own."""
    kind = value.WhichOneof("value")
    match kind:
        case None:
            return None
        case "array_value":
            return [plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind)


def hex_of(trace: bytes) -> str | None:
    """A trace's id in hex, of 16 bytes or, as some have, 8; None of what is no id."""
    return trace.hex().zfill(32) if len(trace) in (8, 16) else None


# --- answers --------------------------------------------------------------------------------------------------------------


def operations_message(found: Iterable[Operation]) -> Any:
    """GetOperationsResponse."""
    operation = STORAGE["Operation"]
    return STORAGE["GetOperationsResponse"](operations=[operation(name=one.name, span_kind=one.kind) for one in found])


def summaries_message(found: Iterable[Summary]) -> Any:
    """FindTraceSummariesResponse."""
    return STORAGE["FindTraceSummariesResponse"](summaries=[_summary(one) for one in found])


def _summary(of: Summary) -> Any:
    service = STORAGE["ServiceSummary"]
    return STORAGE["TraceSummary"](
        trace_id=bytes.fromhex(of.trace_id),
        root_service_name=of.root_service,
        root_operation_name=of.root_operation,
        min_start_time_unix_nano=of.start,
        max_end_time_unix_nano=of.end,
        span_count=min(of.spans, _INT32),
        error_span_count=min(of.errors, _INT32),
        orphan_span_count=min(of.orphans, _INT32),
        services=[service(name=one.service, span_count=one.spans, error_span_count=one.errors) for one in of.services],
    )


def ids_message(found: Iterable[Summary]) -> Any:
    """FindTraceIDsResponse."""
    answer = STORAGE["FindTraceIDsResponse"]()
    for one in found:
        entry = answer.trace_ids.add(trace_id=bytes.fromhex(one.trace_id))
        entry.start.seconds, entry.start.nanos = divmod(one.start, NS)
        entry.end.seconds, entry.end.nanos = divmod(one.end, NS)
    return answer


def dependencies_message(found: Iterable[Dependency]) -> Any:
    """GetDependenciesResponse."""
    dependency = STORAGE["Dependency"]
    return STORAGE["GetDependenciesResponse"](
        dependencies=[
            dependency(parent=one.parent, child=one.child, call_count=one.calls, source="whence") for one in found
        ]
    )
