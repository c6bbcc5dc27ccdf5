"""The engine: filters, counts and SQL answered from an archive's parts, as a stream, with a limit of time.

The law: the answer is that of reading every line, each id once; a part of it is never shown as the whole.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import pyarrow as pa

from whence.archive.reader import Archive
from whence.archive.scan import Problem
from whence.errors import FilterError
from whence.event.model import Event
from whence.filter.sql import Sql, compile_sql
from whence.filter.sql_pipes import Table, compile_query
from whence.filter.tree import Causal, Caused, CausedBy, Filter, Query
from whence.index.columns import NAMES, PLACE, events_of_batch
from whence.index.ledger import Ledger, open_ledger
from whence.index.parts import WORTHWHILE, Parts
from whence.index.predicates import ids_where
from whence.index.rows import Rows
from whence.index.store import begin_reading, first_line, open_session, run, stream
from whence.otlp.decode import Place, events_of

_SLICE: Final = 200_000
"""Events that are put in order at once when many are asked for: about 200 MB of memory at worst."""
_BATCH: Final = 2_000
_FIELDS: Final = ", ".join(f'"{name}"' for name in NAMES)
_ORDER: Final = f"ORDER BY time, id, {', '.join(PLACE)}"


ALL: Final = Sql("TRUE")


@dataclass(slots=True)
class Found:
    """An answer as it comes; `partial` once the time was over before it was whole."""

    rows: Iterator[Event]
    stop: "Clock"

    @property
    def partial(self) -> bool:
        """Whether the time was over before the answer was whole. Known once the answer has ended."""
        return self.stop.over

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return next(self.rows)


class Count(NamedTuple):
    """How many there are; `partial`: at least so many, counted until the time was over."""

    number: int
    partial: bool


@dataclass(slots=True)
class Clock:
    """A limit of time, which interrupts the statement that is running when it is over."""

    seconds: float | None
    over: bool = False
    _timer: threading.Timer | None = None
    _sessions: list[duckdb.DuckDBPyConnection] = field(default_factory=list)

    def start(self) -> None:
        """Begin to count."""
        if self.seconds is not None:
            self._timer = threading.Timer(self.seconds, self._end)
            self._timer.daemon = True
            self._timer.start()

    def watch(self, session: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """Interrupt this session too when the time is over."""
        self._sessions.append(session)
        return session

    def stop(self) -> None:
        """The answer is whole: nothing is to be interrupted."""
        if self._timer:
            self._timer.cancel()

    def _end(self) -> None:
        self.over = True
        for session in self._sessions:
            session.interrupt()


class Engine:
    """Answers about one archive. Each question looks anew at what was written since; safe to ask from several threads."""

    def __init__(self, path: Path, *, keep: bool | None = None, worthwhile: int = WORTHWHILE) -> None:
        """`keep`: whether sidecars are written beside the segments; by default for a directory, not for a single file.

        Raises NotFoundError where there is no archive.
        """
        self.archive = Archive(path)
        self.parts = Parts(self.archive, keep=Path(path).is_dir() if keep is None else keep, worthwhile=worthwhile)
        self._session: duckdb.DuckDBPyConnection | None = None
        self._made_of: Any = None
        self._lock = threading.RLock()
        self._edges: list[int] | None = None
        self._ledger: Ledger | None = None
        self._ledger_of: Any = None

    def problems(self) -> list[Problem]:
        """What had to be skipped in the archive, as far as it was looked at."""
        return self.parts.problems()

    def look(self) -> duckdb.DuckDBPyConnection:
        """A cursor over the archive as it is now."""
        with self._lock:
            self.parts.look()
            made_of = [part.key for part in self.parts.parts]
            if self._session is None or made_of != self._made_of:
                self._session = open_session(self.parts)
                self._made_of, self._edges = made_of, None
            return self._session.cursor()

    def where(self, tree: Filter) -> Sql:
        """A filter as a condition, its causal parts answered now. Raises FilterError."""
        return compile_sql(tree, self._causal)

    def _causal(self, tree: Causal) -> list[str]:
        inner = tree.by if isinstance(tree, CausedBy) else tree.what if isinstance(tree, Caused) else None
        matching: list[str] = []
        if inner is not None:
            where = self.where(inner)
            found = run(self.look(), f"SELECT id FROM _all WHERE {where.text}", where.parameters)
            matching = [id for (id,) in found.fetchall()]
        return ids_where(self.graph(), tree, matching)

    def graph(self) -> Ledger:
        """The graph of all causes as they are now. It is not to be changed."""
        with self._lock:
            self.parts.look()
            made_of = [part.key for part in self.parts.parts]
            if self._ledger is None or self._ledger_of != made_of:
                self._ledger = open_ledger(self.parts)
                self._ledger_of = made_of
            return self._ledger

    def load(self, ids: Iterable[str]) -> dict[str, Event]:
        """The events of these ids, by id; those that are nowhere are left out."""
        with self._lock:
            ledger = self.graph()
            wanted = {id for id in ids if id in ledger}
            rows = {id: row for id in wanted if (row := ledger.row(id)) is not None}
            found = {id: ledger.late[id] for id in wanted - rows.keys()}
            for batch in self.parts.rows_at(sorted(rows.values())):
                found.update((event.id, event) for event in self._whole(batch))
            return found

    def events(
        self,
        where: Sql = ALL,
        *,
        limit: int | None = None,
        newest: bool = False,
        timeout: float | None = None,
    ) -> Found:
        """The events for which a condition holds, by time and id; `newest`: the last ones first."""
        clock = Clock(timeout)
        clock.start()
        return Found(self._events(where, limit, newest, clock), clock)

    def _events(self, where: Sql, limit: int | None, newest: bool, clock: Clock) -> Iterator[Event]:
        try:
            for batch in self._batches(where, limit, newest, clock):
                yield from self._whole(batch)
        except duckdb.InterruptException:
            clock.over = True
        except OSError as cause:  # what goes wrong in a stream comes through Arrow
            if not clock.over:
                raise FilterError(f"cannot go on with this query: {first_line(cause)}") from cause
        finally:
            clock.stop()

    def _batches(self, where: Sql, limit: int | None, newest: bool, clock: Clock) -> Iterator[pa.RecordBatch]:
        session = clock.watch(self.look())
        slices = ["true"] if limit is not None and limit <= _SLICE else self._slices(session)
        order = _ORDER.replace(",", " DESC,") + " DESC" if newest else _ORDER
        left = limit
        for part in slices[::-1] if newest else slices:
            if clock.over or left == 0:
                return
            text = f"SELECT {_FIELDS}, {', '.join(PLACE)}, _exact FROM _all WHERE ({where.text}) AND {part} {order}"
            if left is not None:
                text += f" LIMIT {left}"
            for batch in stream(session, text, where.parameters, _BATCH):
                if left is not None:
                    left -= len(batch)
                yield batch
                if clock.over:
                    return

    def _slices(self, session: duckdb.DuckDBPyConnection) -> list[str]:
        """Conditions on the time that cut the archive into parts small enough to be put in order in memory."""
        count = self.parts.rows() // _SLICE
        if not count:
            return ["true"]
        if self._edges is None:
            shares = [n / (count + 1) for n in range(1, count + 1)]
            found = session.execute(f"SELECT approx_quantile(time, {shares}) FROM _all").fetchone()
            self._edges = sorted(set(map(int, found[0]))) if found and found[0] else []
        edges = self._edges
        if not edges:
            return ["true"]
        between = [f"time >= {low} AND time < {high}" for low, high in pairwise(edges)]
        return [f"time < {edges[0]}", *between, f"time >= {edges[-1]}"]

    def _whole(self, batch: pa.RecordBatch) -> Iterator[Event]:
        """The batch's events; those that columns cannot hold are read from their lines."""
        exact = batch.column("_exact").to_pylist()
        if all(exact):
            yield from events_of_batch(batch)
            return
        places = zip(*(batch.column(name).to_pylist() for name in PLACE), strict=True)
        for event, fits, (stem, line, nth) in zip(events_of_batch(batch), exact, places, strict=True):
            if fits:
                yield event
            else:
                place = Place(stem, line)
                yield events_of(self.archive.read_line(place), place)[nth]

    def count(self, where: Sql = ALL, *, timeout: float | None = None) -> Count:
        """How many events there are for which a condition holds."""
        clock = Clock(timeout)
        clock.start()
        number = 0
        try:
            session = clock.watch(self.look())
            for part in ["true"] if timeout is None else self._slices(session):
                found = run(session, f"SELECT count(*) FROM _all WHERE ({where.text}) AND {part}", where.parameters)
                row = found.fetchone()
                number += row[0] if row else 0
                if clock.over:
                    break
        except duckdb.InterruptException:
            clock.over = True
        finally:
            clock.stop()
        return Count(number, clock.over)

    def arrow(self, where: Sql = ALL) -> pa.RecordBatchReader:
        """The events for which a condition holds as Arrow batches of `columns.FIELDS`, in no order, as a stream."""
        text = f"SELECT {_FIELDS} FROM _all WHERE {where.text}"
        return stream(self.look(), text, where.parameters)

    def ask(self, query: Query, *, timeout: float | None = None) -> "Found | Rows":
        """The answer to a filter with pipes: events where they stay events, else the rows of a table.

        Raises FilterError, and TimeoutError while a table is read that is not whole after `timeout` seconds.
        """
        if not query.pipes:
            return self.events(self.where(query.filter), timeout=timeout)
        clock = Clock(timeout)
        clock.start()
        table = compile_query(query, "_all", self._causal)
        session = clock.watch(self.look())
        if table.columns is None:
            return Found(self._sorted(session, Sql(table.text, table.parameters), clock), clock)
        names = [column.name for column in table.columns]
        return Rows(names, [column.kind for column in table.columns], _rows(session, table, clock))

    def _sorted(self, session: duckdb.DuckDBPyConnection, select: Sql, clock: Clock) -> Iterator[Event]:
        try:
            for batch in stream(session, select.text, select.parameters, _BATCH):
                yield from self._whole(batch)
        except (duckdb.InterruptException, OSError) as cause:
            if not clock.over:
                raise FilterError(f"cannot go on with this query: {first_line(cause)}") from cause
        finally:
            clock.stop()

    def sql(self, text: str) -> pa.RecordBatchReader:
        """The answer to one SELECT over the views events, spans, causes and runs, as a stream.

        Raises FilterError for anything else, and for what DuckDB refuses.
        """
        session = self.look()
        begin_reading(session, text)
        return stream(session, text)


def _rows(session: duckdb.DuckDBPyConnection, table: Table, clock: Clock) -> Iterator[tuple[Any, ...]]:
    try:
        for batch in stream(session, table.text, table.parameters):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
    except (duckdb.InterruptException, OSError) as cause:
        if clock.over:
            raise TimeoutError("the time was over before the table was whole") from cause
        raise FilterError(f"cannot go on with this query: {first_line(cause)}") from cause
    finally:
        clock.stop()
