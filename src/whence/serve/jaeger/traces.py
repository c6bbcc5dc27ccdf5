"""Traces out of an archive: found, summed up and given whole, the one place where Jaeger's questions become the index's.

The law: an answer is that of the spans a caller may see, and comes from the index; lines are read only of traces that are
given whole.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

import pyarrow as pa

from whence.event.ids import span_id_of
from whence.filter.selection import joined
from whence.filter.tree import Either, Exists, Filter, Path
from whence.index.engine import Engine
from whence.index.scan import Where, matching
from whence.index.store import open_scanner
from whence.otlp.shown import tie_of, trace_of_run
from whence.serve.access.caller import EVERYTHING, Caller, visible_to
from whence.serve.jaeger.fits import Fits, Links
from whence.serve.jaeger.glance import COLUMNS as GLANCED
from whence.serve.jaeger.glance import Summary, in_order, once, summaries
from whence.serve.jaeger.limit import in_time
from whence.serve.jaeger.lists import Lists
from whence.serve.jaeger.masks import masking
from whence.serve.jaeger.search import (
    IS_LOG_EVENT,
    IS_SPAN,
    SHOWN,
    SPAN_EVENTS,
    Search,
    events_of,
    of_runs_own,
    of_traces,
    said_of,
    spans_of,
)
from whence.serve.jaeger.service import service_in
from whence.serve.jaeger.walk import Pair, Walk, Wanted
from whence.serve.jaeger.whole import Lines, Parts, Seen, Trace, assemble

_AT_ONCE: Final = 1_000
"""Traces that are looked up together."""
_TOGETHER: Final = 20
"""The same, of those that are given whole."""
_LINKED_BLOCKS: Final = 32
_LINKED_LINES: Final = 200
"""How far links are looked at for an attribute: the index does not know it, so the newest spans' lines are read."""
_COLUMNS: Final = (
    "id", "type", "time", "duration_ns", "severity", "signal", "trace_id", "span_id", "parent_span_id", "resource", "run",
    "_stem", "_line",
)  # fmt: skip
_MOST_IN_A_RUN: Final = 100_000
"""Events without a trace that are shown as one: more no viewer can draw."""


class Row(NamedTuple):
    """What the index says of one event in a trace."""

    id: str
    type: str
    time: int
    duration: int
    severity: int
    signal: str
    trace_id: str | None
    span_id: str | None
    parent_id: str | None
    service: str
    run: str | None
    stem: str
    line: int


class TraceStore:
    """The traces of one archive. Safe to ask from several threads; each question looks anew."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.lists = Lists(engine)
        """Services, operations and dependencies."""
        self._links = Links(engine.archive)
        self._scanner = open_scanner()
        self._runs: dict[str, str | None] = {}
        self._named: set[str | None] = set()

    def _where(self, caller: Caller, tree: Filter) -> Where:
        return self.engine.where(visible_to(caller, tree))

    def spans(self) -> Callable[[Pair], bool]:
        """Whether the archive, as it is now, has a span: what happened in one is not shown as one itself."""
        ledger = self.engine.graph()
        return lambda pair: span_id_of(*pair) in ledger

    # --- finding ----------------------------------------------------------------------------------------------------------

    def find(self, caller: Caller, search: Search) -> list[str]:
        """The ids, in hex, of at most `search.depth` traces with a span that fits, those with the newest such span first."""
        if search.depth <= 0 or (caller.mask is not None and any(map(caller.mask.hides, search.attributes))):
            return []
        said = [said_of(key, value) for key, value in search.attributes.items()]
        direct = joined([spans_of(search), *(one.on_span for one in said)])
        on_events = events_of(search, said)
        fits = Fits(partial(self._pairs, caller), search, said)
        wanted = Wanted(
            self._where(caller, direct),
            None if on_events is None else self._where(caller, on_events),
            self.spans(),
            partial(fits, known=len(said) == 1),
            search.depth,
        )
        found = Walk(wanted).go(self.engine.blocks().with_repeats(), self._scanner)
        if len(found) < search.depth and any(one.on_link for one in said):
            found += [trace for trace in self._by_links(caller, search, fits) if trace not in found]
        return found[: search.depth]

    def find_where(self, caller: Caller, tree: Filter, depth: int) -> list[str]:
        """The ids of at most `depth` traces in which something shown as a span matches a filter, the newest such first."""
        where = self._where(caller, joined([SHOWN, tree]))
        wanted = Wanted(where, None, self.spans(), lambda pairs: [], depth)
        return Walk(wanted).go(self.engine.blocks().with_repeats(), self._scanner) if depth > 0 else []

    def _by_links(self, caller: Caller, search: Search, fits: Fits) -> list[str]:
        """The traces in which a link says what is asked for: of the newest spans that have links."""
        where = self._where(caller, joined([IS_SPAN, spans_of(search), Exists(Path("caused_by"))]))
        blocks = self.engine.blocks()
        left = blocks.left_by(where.need)
        left = left[blocks.low[left].argsort()[::-1]][:_LINKED_BLOCKS]
        if not len(left):
            return []
        table = matching(blocks, where, left, self._scanner.cursor(), ("time", "trace_id", "span_id", "_stem", "_line"))
        rows = sorted(zip(*(table[name].to_pylist() for name in table.column_names[:5]), strict=True), reverse=True)
        places = list(dict.fromkeys((stem, line) for *_, stem, line in rows))[:_LINKED_LINES]
        said = self._links.said(places, search.attributes)
        pairs = [(trace, span) for _, trace, span, *_ in rows if (trace, span) in said]
        return list(dict.fromkeys(fits(pairs, said)))

    # --- rows -------------------------------------------------------------------------------------------------------------

    def rows(
        self, caller: Caller, traces: Sequence[str], *, spans: bool = False, of: Filter = EVERYTHING
    ) -> dict[str, list[Row]]:
        """What the index has of these traces, by trace, in the order of time.

        `spans`: only what may be shown as a span. `of`: only what matches it.
        """
        found: dict[str, list[Row]] = {trace: [] for trace in traces}
        shown = SHOWN if spans else Either((IS_SPAN, SPAN_EVENTS, IS_LOG_EVENT))
        for at in range(0, len(traces), _AT_ONCE):
            in_time()
            some = list(traces[at : at + _AT_ONCE])
            for row in self._rows(caller, joined([of_traces(some), shown, of])):
                found[row.trace_id or ""].append(row)
        for trace in traces:
            if not found[trace] and (known := self._run_of(trace)) is not None:
                found[trace] = self._rows(caller, joined([of_runs_own(known[0]), of]))[:_MOST_IN_A_RUN]
        return found

    def _run_of(self, trace: str) -> tuple[str | None] | None:
        """The run whose events in no trace are shown as this one."""
        for run in self.engine.graph().origins():
            if run not in self._named:
                self._runs[trace_of_run(run)] = run
                self._named.add(run)  # last: another thread takes what is named for known
        return (self._runs[trace],) if trace in self._runs else None

    def _rows(self, caller: Caller, tree: Filter) -> list[Row]:
        """What was sent twice once; two spans with one id, as both sides of a call have in Zipkin's way, are two."""
        table = in_order(self._table(caller, tree, _COLUMNS))
        columns = {name: table[name].to_pylist() for name in _COLUMNS}
        services: dict[str | None, str] = {}
        for text in columns["resource"]:
            if text not in services:
                services[text] = service_in(text)
        columns["resource"] = [services[text] for text in columns["resource"]]
        columns["duration_ns"] = [value or 0 for value in columns["duration_ns"]]
        columns["severity"] = [value or 0 for value in columns["severity"]]
        rows = map(Row._make, zip(*columns.values(), strict=True))
        found: dict[tuple[object, ...], Row] = {}
        for row in rows:
            span = (row.time, row.duration, row.type, row.service) if row.signal == "span" else ()
            found.setdefault((row.id, *span), row)
        return list(found.values())

    def _table(self, caller: Caller, tree: Filter, columns: Sequence[str]) -> pa.Table:
        """Columns of the rows that match, in no order; those that stand twice do so."""
        blocks, where = self.engine.blocks().with_repeats(), self._where(caller, tree)
        return matching(blocks, where, blocks.left_by(where.need), self._scanner.cursor(), columns)

    def _pairs(self, caller: Caller, tree: Filter) -> set[Pair]:
        """The traces and spans of the rows that match."""
        table = self._table(caller, tree, ("trace_id", "span_id"))
        return set(zip(table["trace_id"].to_pylist(), table["span_id"].to_pylist(), strict=True))

    # --- answers ----------------------------------------------------------------------------------------------------------

    def summaries(self, caller: Caller, traces: Sequence[str]) -> Iterator[Summary]:
        """Each of these traces at a glance, in their order; one of which nothing may be seen is left out."""
        masked = (lambda text: text) if caller.mask is None else caller.mask.text
        found: dict[str, Summary] = {}
        for at in range(0, len(traces), _AT_ONCE):
            in_time()
            tree = joined([of_traces(list(traces[at : at + _AT_ONCE])), SHOWN])
            found |= {one.trace_id: one for one in summaries(once(self._table(caller, tree, GLANCED)), None, masked)}
        for trace in traces:
            if trace not in found and (known := self._run_of(trace)) is not None:
                rows = in_order(once(self._table(caller, of_runs_own(known[0]), GLANCED))).slice(0, _MOST_IN_A_RUN)
                found |= {one.trace_id: one for one in summaries(rows, trace, masked)}
            if trace in found:
                yield found[trace]

    def whole(self, caller: Caller, traces: Iterable[str]) -> Iterator[Trace]:
        """These traces whole, in their order; one of which nothing may be seen is left out."""
        lines = Lines(self.engine.archive)
        masked = None if caller.mask is None else masking(caller.mask)
        wanted = list(dict.fromkeys(traces))
        for at in range(0, len(wanted), _TOGETHER):
            for trace, rows in self.rows(caller, wanted[at : at + _TOGETHER]).items():
                in_time()
                if rows:
                    made = assemble(trace, self._parts(caller, rows), lines, masked)
                    if len(made):
                        yield made

    def _parts(self, caller: Caller, rows: list[Row]) -> Parts:
        spans = [row for row in rows if row.signal == "span"]
        logs = [row.id for row in rows if row.signal == "log"]
        loaded = self.engine.load(logs) if logs else {}
        events = [event for id in logs if (event := loaded.get(id)) is not None]
        known = {row.span_id for row in spans}
        causes = {
            cause for event in events if not (event.trace_id and event.span_id in known) for cause in event.caused_by
        }
        is_span = self.spans()
        ties = {
            id: tie_of(event, on_span=is_span((event.trace_id or "", event.span_id or "")))
            for id, event in (self.engine.load(causes) if causes else {}).items()
        }
        seen = None if caller.sees_all else Seen((row.id, row.time, row.type) for row in rows)
        return Parts(list({(row.stem, row.line) for row in spans}), events, seen, ties)
