"""The engine: filters, counts and SQL answered from an archive's parts, as a stream, with a limit of time.

The law: the answer is that of reading every line, each id once; a part of it is never shown as the whole.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from whence.archive.reader import Archive
from whence.archive.scan import Problem
from whence.errors import FilterError
from whence.event.model import Event
from whence.filter.needs import ANYTHING, Need, Value, any_of, need_of
from whence.filter.sql import Sql, compile_sql
from whence.filter.sql_pipes import Table, compile_query
from whence.filter.tree import Both, Causal, Caused, CausedBy, Either, Everything, Filter, Negation, Orphan, Query, Root
from whence.index.columns import FIELDS, NAMES, PLACE, READ, events_of_batch
from whence.index.gathered import Gathered
from whence.index.ledger import Ledger, bring_up_to_date
from whence.index.parts import WORTHWHILE, Parts
from whence.index.predicates import nodes_where
from whence.index.rows import Rows
from whence.index.scan import Blocks, Where, columns_in, in_time, matching
from whence.index.store import begin_reading, first_line, open_scanner, open_session, stream
from whence.otlp.decode import Place, events_of

_BATCH: Final = 2_000
"""Events that are made objects at once."""
_AT_ONCE: Final = 256
"""Blocks that are looked at together where no order is asked for: a million events."""
_FEW_BLOCKS: Final = 16
_PART: Final = 16
"""With a limit of time, one in so many blocks is asked first."""
_FEW_IDS: Final = 1_000
"""Events that a causal question is answered with, up to which their blocks are looked up one by one."""
_AMONG: Final = "_hash IN (SELECT unnest(${}::UBIGINT[]))"

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

    def __init__(
        self, path: Path, *, keep: bool | None = None, worthwhile: int = WORTHWHILE, awaited: bool = False
    ) -> None:
        """`keep`: whether sidecars are written beside the segments; by default for a directory, not for a single file.

        `awaited`: a directory that is still to come has nothing in it. Otherwise raises NotFoundError where there is no archive.
        """
        self.archive = Archive(path, awaited=awaited)
        self.parts = Parts(self.archive, keep=not Path(path).is_file() if keep is None else keep, worthwhile=worthwhile)
        self.lock = threading.RLock()
        """Held while the graph is walked or grows."""
        self.gathered = Gathered()
        """What of closed files need not be counted again."""
        self._scanner = open_scanner()
        self._ledger: Ledger | None = None
        self._blocks: Blocks | None = None
        self._blocks_of = -1
        self._session: duckdb.DuckDBPyConnection | None = None
        self._session_of: Blocks | None = None

    def problems(self) -> list[Problem]:
        """What had to be skipped in the archive, as far as it was looked at."""
        return self.parts.problems()

    @property
    def is_ready(self) -> bool:
        """Whether the archive was looked at once, so that the next look is quick."""
        return self._blocks is not None

    def blocks(self) -> Blocks:
        """The archive as it is now, block by block."""
        return self._now()[0]

    def graph(self) -> Ledger:
        """The graph of all causes as they are now. It is not to be changed, and to be walked with `lock` held."""
        return self._now()[1]

    def _now(self) -> tuple[Blocks, Ledger]:
        with self.lock:
            self.parts.look()
            if self._blocks is None or self._ledger is None or self._blocks_of != self.parts.version:
                self._ledger = bring_up_to_date(self._ledger, self.parts)
                self._blocks = Blocks(self.parts, self._ledger.repeats, self._blocks)
                self._blocks_of = self.parts.version
            return self._blocks, self._ledger

    def look(self) -> duckdb.DuckDBPyConnection:
        """A cursor over the archive as it is now: the relation `_all`, and the views of `sql`."""
        with self.lock:
            blocks, ledger = self._now()
            if self._session is None or self._session_of is not blocks:
                self._session = open_session(self.parts, ledger.repeats)
                self._session_of = blocks
            return self._session.cursor()

    def where(self, tree: Filter) -> Where:
        """A filter as a condition, its causal parts answered now. Raises FilterError."""
        answers = self._answers(tree)
        places = {node: number for number, node in enumerate(answers, 1)}
        walked = compile_sql(tree, lambda node: Sql(f"_mark{places[node]}"))
        after = len(walked.parameters)
        plain = compile_sql(tree, lambda node: Sql(_AMONG.format(after + places[node])))
        marks = tuple(answer.hashes for answer in answers.values())
        return Where(
            plain.text,
            (*plain.parameters, *(mark.tolist() for mark in marks)),
            need_of(tree, lambda node: answers[node].need),
            walked,
            marks,
        )

    def _answers(self, tree: Filter) -> dict[Causal, "_Answer"]:
        """The causal questions in a filter, each with the events for which the answer is yes."""
        return {node: self._answer(node) for node in dict.fromkeys(causal_in(tree))}

    def _answer(self, node: Causal) -> "_Answer":
        inner = node.by if isinstance(node, CausedBy) else node.what if isinstance(node, Caused) else None
        hashes = np.empty(0, np.uint64)
        if inner is not None:
            where, blocks = self.where(inner), self.blocks()
            left, session = blocks.left_by(where.need), self._scanner.cursor()
            found = [
                matching(blocks, where, left[at : at + _AT_ONCE], session, ["_hash"])["_hash"].to_numpy()
                for at in range(0, len(left), _AT_ONCE)
            ]
            hashes = np.concatenate([hashes, *found])
        with self.lock:
            ledger = self.graph()
            nodes = nodes_where(ledger, node, ledger.nodes_of(hashes))
            few = len(nodes) <= _FEW_IDS
            need = any_of([Value("id", ledger.ids[node]) for node in nodes.tolist()]) if few else ANYTHING
            return _Answer(ledger.hashes_of(nodes), need)

    def load(self, ids: Iterable[str]) -> dict[str, Event]:
        """The events of these ids, by id; those that are nowhere are left out."""
        with self.lock:
            blocks, ledger = self._now()
            number = {part.identity: number for number, part in enumerate(blocks.parts)}
            places = [ledger.row_of(ledger.number(id)) for id in dict.fromkeys(ids) if id in ledger]
        parts, rows = (
            np.array([number[part] for part, _ in places], np.int32),
            np.array([row for _, row in places], np.int64),
        )
        order = np.lexsort((rows, parts))
        found: dict[str, Event] = {}
        for at in range(0, len(order), _BATCH):
            some = order[at : at + _BATCH]
            found.update((event.id, event) for event in self._whole(blocks.take(parts[some], rows[some])))
        return found

    def events(
        self,
        where: Sql = ALL,
        *,
        limit: int | None = None,
        newest: bool = False,
        timeout: float | None = None,
        skip: int = 0,
    ) -> Found:
        """The events for which a condition holds, by time and id; `newest`: the last ones first; without the first `skip`."""
        clock = Clock(timeout)
        clock.start()
        return Found(self._events(where, limit, newest, clock, skip), clock)

    def _events(self, where: Sql, limit: int | None, newest: bool, clock: Clock, skip: int) -> Iterator[Event]:
        left = limit
        try:
            for batch in self._batches(where, newest, left, clock, skip):
                for event in self._whole(batch if left is None else batch.slice(0, left)):
                    yield event
                    if clock.over:
                        return
                if left is not None:
                    left -= len(batch)
                    if left <= 0:
                        return
        except duckdb.InterruptException:
            clock.over = True
        finally:
            clock.stop()

    def _batches(
        self, where: Sql, newest: bool, limit: int | None, clock: Clock, skip: int = 0
    ) -> Iterator[pa.RecordBatch]:
        """The rows for which a condition holds, in order, no more at once than `limit` still needs; none of the first `skip`."""
        blocks, session = self.blocks(), clock.watch(self._scanner.cursor())
        for places in in_time(blocks, condition_of(where), session, newest=newest):
            if clock.over:
                return
            found, skip = places.slice(skip), max(skip - len(places), 0)
            part, row = found["_part"].to_numpy(), found["_row"].to_numpy()
            size = _BATCH
            for at in range(0, len(part) if limit is None else min(len(part), limit), size):
                end = at + size if limit is None else min(at + size, limit)
                yield blocks.take(part[at:end], row[at:end])
            if limit is not None:
                limit -= len(part)

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
        blocks, condition = self.blocks(), condition_of(where)
        if where.text == "TRUE":
            return Count(blocks.rows(), False)
        clock = Clock(timeout)
        clock.start()
        left, session = blocks.left_by(condition.need), clock.watch(self._scanner.cursor())
        number = 0
        try:
            for at in range(0, len(left), _AT_ONCE):
                number += len(matching(blocks, condition, left[at : at + _AT_ONCE], session, ()))
                if clock.over:
                    break
        except duckdb.InterruptException:
            clock.over = True
        finally:
            clock.stop()
        return Count(number, clock.over)

    def arrow(self, where: Sql = ALL) -> pa.RecordBatchReader:
        """The events for which a condition holds as Arrow batches of `columns.FIELDS`, in the order of time, as a stream."""
        batches = (batch.select(list(NAMES)) for batch in self._batches(where, False, None, Clock(None)))
        return pa.RecordBatchReader.from_batches(FIELDS, batches)

    def ask(self, query: Query, *, timeout: float | None = None) -> "Found | Rows":
        """The answer to a filter with pipes: events where they stay events, else the rows of a table.

        Raises FilterError, and TimeoutError while a table is read of which not even a part is there after `timeout` seconds.
        """
        where = self.where(query.filter)
        if not query.pipes:
            return self.events(where, timeout=timeout)
        clock = Clock(timeout)
        clock.start()
        tables = self._tables(query, where, clock)
        table = tables[-1][1]
        if table.columns is None:
            session, table = tables[-1]
            return Found(self._sorted(session, Sql(table.text, table.parameters), clock), clock)
        names = [column.name for column in table.columns]
        return Rows(names, [column.kind for column in table.columns], _rows(tables, clock), lambda: clock.over)

    def _tables(self, query: Query, where: Where, clock: Clock) -> list[tuple[duckdb.DuckDBPyConnection, Table]]:
        """The query as SQL, and where to run it: over all of the archive, or over the few blocks in which its filter can hold.

        With a limit of time, over the oldest events first, which is the answer if the time is over before all are looked at.
        """
        blocks = self.blocks()
        left = blocks.left_by(where.need)
        some = left[np.argsort(blocks.low[left], kind="stable")]
        found = []
        if clock.seconds is not None and len(some) > _PART:
            found.append(self._over(query, where, some[: max(len(some) // _PART, 1)], clock))
        whole = compile_query(Query(Everything(), query.pipes), "_all").columns is None
        if len(left) <= max(len(blocks) // 4, _FEW_BLOCKS) and len(left) <= (_FEW_BLOCKS if whole else _AT_ONCE):
            found.append(self._over(query, where, left, clock))
        else:
            free = len(compile_query(query, "_all", lambda _: Sql("TRUE")).parameters)
            places = {node: number for number, node in enumerate(dict.fromkeys(causal_in(query.filter)), 1)}
            table = compile_query(query, "_all", lambda node: Sql(_AMONG.format(free + places[node])))
            parameters = (*table.parameters, *(mark.tolist() for mark in where.marks))
            found.append((clock.watch(self.look()), Table(table.text, parameters, table.columns)))
        return found

    def _over(self, query: Query, where: Where, chosen: Any, clock: Clock) -> tuple[duckdb.DuckDBPyConnection, Table]:
        """A query over the rows of some blocks for which its filter holds."""
        session = clock.watch(self._scanner.cursor())
        table = compile_query(Query(Everything(), query.pipes), "_chosen")
        columns = READ if table.columns is None else columns_in(table.text) or ["time"]
        session.register("_chosen", matching(self.blocks(), where, chosen, session, columns))
        return session, table

    def session_over(
        self, blocks: Blocks, where: Where, chosen: Any, columns: Sequence[str]
    ) -> duckdb.DuckDBPyConnection:
        """A session with `_chosen`: columns of the rows of some blocks for which a condition holds, and their `_part`."""
        session = self._scanner.cursor()
        session.register("_chosen", matching(blocks, where, chosen, session, columns))
        return session

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


class _Answer(NamedTuple):
    """The events for which the answer to a causal question is yes: the hashes of their ids, and what a block of them needs."""

    hashes: Any
    need: Need


def condition_of(where: Sql) -> Where:
    """A condition for the walk; of one that is only SQL nothing is known about where it can hold."""
    return where if isinstance(where, Where) else Where(where.text, where.parameters)


def causal_in(tree: Filter) -> Iterator[Causal]:
    """The causal questions in a filter, without those within one of them."""
    match tree:
        case CausedBy() | Caused() | Root() | Orphan():
            yield tree
        case Both(parts) | Either(parts):
            for part in parts:
                yield from causal_in(part)
        case Negation(part):
            yield from causal_in(part)


def _rows(tables: list[tuple[duckdb.DuckDBPyConnection, Table]], clock: Clock) -> Iterator[tuple[Any, ...]]:
    """The rows of the last table that is there in time."""
    best: list[pa.RecordBatch] | None = None
    try:
        for session, table in tables[:-1]:
            best = list(stream(session, table.text, table.parameters))
        session, table = tables[-1]
        batches = stream(session, table.text, table.parameters)
        if clock.seconds is None:
            for batch in batches:
                yield from _tuples(batch)
            return
        best = list(batches)
    except (duckdb.InterruptException, OSError) as cause:
        if not clock.over:
            raise FilterError(f"cannot go on with this query: {first_line(cause)}") from cause
        if best is None:
            raise TimeoutError("the time was over before any of the table was there") from cause
    finally:
        clock.stop()
    for batch in best:
        yield from _tuples(batch)


def _tuples(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)
