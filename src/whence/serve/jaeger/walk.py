"""The walk through an archive for traces: blocks from the newest on, until enough traces are found.

The law: only blocks in which what is asked for can be are read, and no more of them than the answer needs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whence.index.scan import Blocks, Where, matching
from whence.otlp.shown import trace_of_run
from whence.serve.jaeger.limit import in_time

Numbers = Any
"""A numpy array of one dimension."""
Pair = tuple[str, str]
"""A trace and a span in it."""

_FIRST: Final = 2
_MOST: Final = 128
"""Blocks that are looked at together: few first, when the newest may be enough, then more and more."""
COLUMNS: Final = ("time", "signal", "trace_id", "span_id", "run")
_VERIFIED: Final = 256
"""Spans that are looked at together whether they fit as a whole."""


@dataclass(slots=True)
class Wanted:
    """What a walk looks for."""

    direct: Where
    """Spans, and log events shown as spans, that say everything that is asked for themselves."""
    events: Where | None
    """Events on spans that say a part of it."""
    is_span: Callable[[Pair], bool]
    """Whether the archive has a span: then a log event in it is none itself."""
    fitting: Callable[[Sequence[Pair]], Sequence[str]]
    """The traces of those spans that, with their events, say everything."""
    depth: int


@dataclass(slots=True)
class Walk:
    """The traces that were found, each with the time of the newest of its rows that fits."""

    wanted: Wanted
    traces: dict[str, int] = field(default_factory=dict)
    _runs: dict[str | None, str] = field(default_factory=dict)
    _none: set[Pair] = field(default_factory=set)

    def go(self, blocks: Blocks, scanner: duckdb.DuckDBPyConnection) -> list[str]:
        """The traces, those with the newest fitting rows first."""
        wanted = self.wanted
        direct = _mask(blocks, wanted.direct)
        events = _mask(blocks, wanted.events) if wanted.events is not None else np.zeros(len(blocks.high), bool)
        left = np.flatnonzero(direct | events)
        left = left[np.argsort(-blocks.high[left], kind="stable")]
        session = scanner.cursor()
        at, step = 0, _FIRST
        while at < len(left):
            in_time()
            chosen = left[at : at + step]
            at, step = at + len(chosen), min(step * 2, _MOST)
            if (some := chosen[direct[chosen]]).size:
                self._take(matching(blocks, wanted.direct, some, session, COLUMNS))
            if wanted.events is not None and (some := chosen[events[chosen]]).size:
                self._verify(matching(blocks, wanted.events, some, session, COLUMNS))
            if at < len(left) and self._enough(int(blocks.high[left[at]])):
                break
        return sorted(self.traces, key=lambda trace: -self.traces[trace])[: wanted.depth]

    def _enough(self, edge: int) -> bool:
        """Whether whatever is left is older than what was found."""
        if len(self.traces) < self.wanted.depth:
            return False
        newer = sum(time >= edge for time in self.traces.values())
        return newer >= self.wanted.depth

    def _note(self, trace: str, time: int) -> None:
        if time >= self.traces.get(trace, 0):
            self.traces[trace] = time

    def _take(self, table: pa.Table) -> None:
        for trace, time in newest(table.filter(pc.equal(table["signal"], "span")), ["trace_id"]):
            self._note(trace, time)
        logs = table.filter(pc.equal(table["signal"], "log"))
        if not len(logs):
            return
        for trace, span, run, time in newest(logs, ["trace_id", "span_id", "run"]):
            if trace is None:
                if run not in self._runs:
                    self._runs[run] = trace_of_run(run)
                self._note(self._runs[run], time)
            elif self.traces.get(trace, -1) < time and not (span and self.wanted.is_span((trace, span))):
                self._note(trace, time)

    def _verify(self, table: pa.Table) -> None:
        """Notes the traces of spans whose events say a part of what is asked for, where the rest is said too."""
        found = sorted(newest(table, ["trace_id", "span_id"]), key=lambda row: -row[2])
        waiting = [(trace, span, time) for trace, span, time in found if (trace, span) not in self._none]
        while waiting:
            in_time()
            some = [row for row in waiting if row[0] not in self.traces][:_VERIFIED]
            if not some:
                break
            fitting = set(self.wanted.fitting([(trace, span) for trace, span, _ in some]))
            for trace, span, time in some:
                self._none.add((trace, span))
                if trace in fitting:
                    self._note(trace, time)
            if len(self.traces) >= self.wanted.depth:
                break
            waiting = [row for row in waiting if row[:2] not in self._none]


def newest(table: pa.Table, keys: list[str]) -> list[tuple[Any, ...]]:
    """Each combination of keys once, with the greatest of its times."""
    found = pa.TableGroupBy(table.select([*keys, "time"]), keys).aggregate([("time", "max")])
    columns = [found[key].to_pylist() for key in (*keys, "time_max")]
    return list(zip(*columns, strict=True))


def _mask(blocks: Blocks, where: Where) -> Numbers:
    found = np.zeros(len(blocks.high), bool)
    found[blocks.left_by(where.need)] = True
    return found
