"""Traces at a glance: what lists of traces show, counted out of the index's columns, thousands of traces at once.

The law: pure. A log event is shown as a span of its own only where the span it happened in is not among the rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whence.index.columns import LONG_MAX
from whence.serve.jaeger.search import ERROR
from whence.serve.jaeger.service import service_in

Numbers = Any
"""A numpy array of one dimension."""
COLUMNS: Final = (
    "id", "type", "time", "duration_ns", "severity", "signal", "trace_id", "span_id", "parent_span_id", "resource",
)  # fmt: skip
"""What must be known of each row."""
_IN_TIME: Final = [("time", "ascending"), ("id", "ascending")]


@dataclass(frozen=True, slots=True)
class Of:
    """A count of spans of one service."""

    service: str
    spans: int
    errors: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A trace at a glance; times in ns since the epoch."""

    trace_id: str
    root_service: str
    root_operation: str
    start: int
    end: int
    spans: int
    errors: int
    orphans: int
    services: tuple[Of, ...]


def in_order(table: pa.Table) -> pa.Table:
    """The same rows by time and id."""
    return table.take(pc.sort_indices(table, _IN_TIME))


def once(table: pa.Table) -> pa.Table:
    """The same rows without what was sent twice: of those with one id one, but of two spans that are not alike both."""
    if pc.count_distinct(table["id"]).as_py() == len(table):
        return table
    is_span = pc.equal(table["signal"], "span")
    spans = table.filter(is_span).group_by(list(COLUMNS)).aggregate([])
    rest = table.filter(pc.invert(is_span))
    first = np.unique(np.array(rest["id"].to_pylist(), object), return_index=True)[1]
    return pa.concat_tables([spans, rest.take(pa.array(np.sort(first))).select(spans.column_names)])


def summaries(table: pa.Table, own: str | None, masked: Callable[[str], str]) -> Iterator[Summary]:
    """The traces of rows of `COLUMNS`, each once, in no order; `own`: the one in which rows without a trace are shown.

    `masked`: what a caller sees of a service's or an operation's name.
    """
    table = in_order(table.select(list(COLUMNS)).combine_chunks())
    ids, trace = _codes(table["trace_id"])
    spans, (span, parent) = _alike([table["span_id"], table["parent_span_id"]])
    is_span = pc.equal(table["signal"], "span").to_numpy(zero_copy_only=False)
    there = np.unique((trace * (len(spans) + 1) + span)[is_span])

    def is_there(of: Numbers) -> Numbers:
        return np.isin(trace * (len(spans) + 1) + of, there)

    is_shown = is_span | (trace < 0) | ~is_there(span)
    above: Numbers = np.where(is_span, parent, span)
    is_root = above < 0
    is_root[~is_root] = np.array([not text for text in spans], bool)[above[~is_root]]
    is_orphan = ~is_root & ~is_there(above)
    shown = np.flatnonzero(is_shown)
    shown = shown[np.argsort(trace[shown], kind="stable")]
    if not len(shown):
        return
    trace, is_orphan = trace[shown], is_orphan[shown]
    starts = np.flatnonzero(np.diff(trace, prepend=trace[0] - 1))
    begun = table["time"].to_numpy()[shown]
    took = pc.fill_null(table["duration_ns"], 0).to_numpy()[shown]
    ended = begun + np.minimum(took, LONG_MAX - np.maximum(begun, 0))
    failed = pc.fill_null(table["severity"], 0).to_numpy()[shown] >= ERROR
    # Of each trace the first span that has no parent, else the first of what has none, else the first of all.
    rank = np.where(is_root[shown], np.where(is_span[shown], 0, 1), 2) * len(shown) + np.arange(len(shown))
    root = np.minimum.reduceat(rank, starts) % len(shown)
    resources, resource = _codes(table["resource"])
    names: dict[str, int] = {}
    numbers = np.array([names.setdefault(service_in(text), len(names)) for text in (*resources, None)])
    service = numbers[resource[shown]]  # -1 is the last: a row without a resource
    said = [masked(name) for name in names]
    of = _services(trace, service, failed, said)
    columns = (
        trace[starts].tolist(),
        service[root].tolist(),
        table["type"].take(pa.array(shown[root])).to_pylist(),
        begun[starts].tolist(),
        np.maximum.reduceat(ended, starts).tolist(),
        np.diff(starts, append=len(shown)).tolist(),
        np.add.reduceat(failed.astype(np.int64), starts).tolist(),
        np.add.reduceat(is_orphan.astype(np.int64), starts).tolist(),
    )
    for code, by, name, start, end, count, errors, orphans in zip(*columns, strict=True):
        id = ids[code] if code >= 0 else own
        if id is not None:
            yield Summary(id, said[by], masked(name), start, end, count, errors, orphans, tuple(of[code]))


def _services(trace: Numbers, service: Numbers, failed: Numbers, said: Sequence[str]) -> dict[int, list[Of]]:
    """Of each trace the counts by service, in the order in which they come."""
    pair, first, which, count = np.unique(
        (trace + 1) * len(said) + service, return_index=True, return_inverse=True, return_counts=True
    )
    errors = np.bincount(which, weights=failed, minlength=len(pair)).astype(np.int64)
    order = np.argsort(first)
    of: dict[int, list[Of]] = {}
    for one, spans, bad in zip(pair[order].tolist(), count[order].tolist(), errors[order].tolist(), strict=True):
        of.setdefault(one // len(said) - 1, []).append(Of(said[one % len(said)], spans, bad))
    return of


def _codes(column: Any) -> tuple[list[str], Numbers]:
    """A column's different texts, and the number of each row's; -1: none."""
    values, (codes,) = _alike([column])
    return values, codes


def _alike(columns: list[Any]) -> tuple[list[str], list[Numbers]]:
    """The different texts of columns of one kind, and the number of each row's in each of them; -1: none."""
    chunks = [chunk for column in columns for chunk in column.chunks]
    encoded = pa.chunked_array(chunks, pa.string()).combine_chunks().dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return encoded.dictionary.to_pylist(), np.split(codes, len(columns))
