"""How fast an archive answers: whence's index beside DuckDB reading the same lines and SQLite, in one run. Fails on nothing.

`python -m benchmarks.query [--events N] [--values N] [--archive DIR]`; times are milliseconds, of many different values.
"""

import argparse
import json
import random
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb

import whence
from benchmarks.generate import PER_RUN, START, event_id, generate
from whence.index.answers import Answers

Ask = Callable[[Answers, int], int]
_STEP = 2_000_000


def whence_questions(count: int) -> dict[str, Ask]:
    """Each question, of the archive and a number that chooses its value; gives how many rows were found."""

    def log(n: int) -> int:
        """The number of an event that is a log event."""
        return n - 1 if n % 5 == 4 else n

    def events(expression: str) -> Callable[[Answers, int], int]:
        return lambda archive, n: sum(1 for _ in archive.events(expression.format(**values(n)), limit=1_000))

    def table(expression: str) -> Callable[[Answers, int], int]:
        def ask(archive: Answers, n: int) -> int:
            from whence.filter.parse import parse_query

            return sum(1 for _ in archive.engine.ask(parse_query(expression, now=time.time_ns())).rows)  # type: ignore[union-attr]

        return ask

    def values(n: int) -> dict[str, Any]:
        return {
            "id": event_id(log(n)),
            "trace": f"{n // 20 + 1:032x}",
            "agent": f"agent-{n % 60}",
            "turn": n % PER_RUN // 1_000,
            "run": f"run-{n // PER_RUN:04d}",
            "from": START + n * _STEP,
            "to": START + (n + 20_000) * _STEP,
            "rare": f"c{n // 997 * 997}",
            "needle": f"needle{n // 100_003 * 100_003}",
            "word": ("wheat", "iron", "timber", "cloth")[n % 4],
        }

    return {
        "one event by id": events("id = '{id}'"),
        "a trace": events("trace_id = '{trace}'"),
        "agent and turn in a run": events("run = '{run}' AND agent = '{agent}' AND turn = {turn}"),
        "time and type, first 1,000": events("time >= {from} AND time < {to} AND type = 'action'"),
        "attribute, common, first 1,000": events("attributes.region = 'south'"),
        "attribute, rare": events("attributes.\"deploy.canary\" = '{rare}'"),
        "text, common, first 1,000": events("description CONTAINS 'of {word}'"),
        "text, rare": events("description CONTAINS '{needle}'"),
        "a word anywhere, rare": events("{needle}"),
        "count by type and minute": table("| count by type, bucket(1m)"),
        "p95 duration by type": table("| p95 duration by type"),
        "why, with its events": lambda archive, n: len(
            archive.events_of(archive.why(event_id(log(n)), max_hops=1_000))
        ),
        "effects, with its events": lambda archive, n: len(
            archive.events_of(archive.effects(event_id(log(n)), max_hops=1_000))
        ),
        "CAUSED_BY one event": events("CAUSED_BY (id = '{id}')"),
        "CAUSED_BY a type within 2 hops": events("CAUSED_BY (type = 'decision') WITHIN 2 HOPS"),
    }


def timed(ask: Callable[[int], Any], numbers: list[int], seconds: float = 15.0) -> list[float]:
    """Milliseconds of each call, as many as fit into the time."""
    found: list[float] = []
    began = time.perf_counter()
    for number in numbers:
        start = time.perf_counter()
        ask(number)
        found.append((time.perf_counter() - start) * 1e3)
        if time.perf_counter() - began > seconds:
            break
    return found


def show(name: str, found: list[float], rows: int | None = None) -> None:
    """One line of the table."""
    warm = sorted(found[1:] or found)
    p95 = warm[min(int(len(warm) * 0.95), len(warm) - 1)]
    said = "" if rows is None else f"{rows:>8,}"
    print(f"{name:<34}{found[0]:>10.1f}{statistics.median(warm):>10.1f}{p95:>10.1f}{len(warm):>6}{said}", flush=True)


def head(title: str) -> None:
    """A table's headline."""
    print(f"\n{title:<34}{'first':>10}{'median':>10}{'p95':>10}{'n':>6}{'rows':>8}", flush=True)


def bench_whence(directory: Path, count: int, numbers: list[int]) -> None:
    """Build the index, then ask."""
    for path in [*directory.rglob("*.index.*"), *directory.glob(".causes.index")]:
        path.unlink()
    began, cpu = time.perf_counter(), time.process_time()
    archive = whence.open(directory)
    archive.engine.look()
    took, used = time.perf_counter() - began, time.process_time() - cpu
    size = sum(path.stat().st_size for path in directory.rglob("*.index.parquet"))
    lines = sum(path.stat().st_size for path in directory.rglob("*.jsonl"))
    print(f"sidecars   {count / took:,.0f} events/s ({count / used:,.0f} per CPU second), {size / count:.0f} bytes an event; "
          f"lines {lines / count:.0f}")  # fmt: skip
    began = time.perf_counter()
    archive.engine.graph()
    size = (directory / ".causes.index").stat().st_size
    print(f"causes     {time.perf_counter() - began:.1f} s, {size / count:.0f} bytes an event")
    print(f"memory     {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB at most so far")
    head("whence, ms")
    archive = whence.open(directory)
    for name, ask in whence_questions(count).items():
        rows = [0]

        def once(number: int, ask: Ask = ask, rows: list[int] = rows) -> None:
            rows[0] = ask(archive, number)

        show(name, timed(once, numbers), rows[0])
    print(f"memory     {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB at most so far")


_LINES = """
SELECT list_filter(r.attributes, lambda a: a.key = 'log.record.uid')[1].value.stringValue AS id, r.eventName AS type,
       r.timeUnixNano AS time FROM (SELECT unnest(s.logRecords) AS r FROM (SELECT unnest(g.scopeLogs) AS s FROM (
       SELECT unnest(resourceLogs) AS g FROM read_json('{files}', format = 'newline_delimited', maximum_object_size = 16777216))))
"""


def bench_lines(directory: Path, numbers: list[int]) -> None:
    """DuckDB over the lines as they are."""
    head("DuckDB on the lines, ms")
    session = duckdb.connect()
    source = _LINES.format(files=f"{directory}/*/logs-*.jsonl")
    questions = {
        "one event by id": lambda n: session.execute(
            f"SELECT * FROM ({source}) WHERE id = ?", [event_id(n - (n % 5 == 4))]
        ).fetchall(),
        "count by type and minute": lambda _: session.execute(
            f"SELECT type, time::BIGINT // 60000000000, count(*) FROM ({source}) GROUP BY ALL"
        ).fetchall(),
    }
    for name, ask in questions.items():
        show(name, timed(ask, numbers[:3]))


def rows_of(archive: Answers) -> Iterator[tuple[Any, ...]]:
    """The events as rows for SQLite."""
    names = ("id", "type", "time", "run", "agent", "turn", "trace_id", "description", "attributes", "duration_ns")
    for batch in archive.arrow():
        yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)


def bench_sqlite(directory: Path, where: Path, count: int, numbers: list[int]) -> None:
    """SQLite over the same events in one table with four indices."""
    base = sqlite3.connect(where)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute(
        "CREATE TABLE events (id, type, time, run, agent, turn, trace_id, description, attributes, duration_ns)"
    )
    began = time.perf_counter()
    base.executemany("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?)", rows_of(whence.open(directory)))
    for columns in ("id", "trace_id", "run, agent, turn", "time, type"):
        base.execute(f"CREATE INDEX 'by {columns}' ON events ({columns})")
    base.commit()
    print(f"\nSQLite     {count / (time.perf_counter() - began):,.0f} rows/s from columns, "
          f"{where.stat().st_size / count:.0f} bytes an event (10 of the 29 fields)")  # fmt: skip
    head("SQLite, ms")
    questions: dict[str, Callable[[int], Any]] = {
        "one event by id": lambda n: base.execute(
            "SELECT * FROM events WHERE id = ?", [event_id(n - (n % 5 == 4))]
        ).fetchall(),
        "a trace": lambda n: base.execute(
            "SELECT * FROM events WHERE trace_id = ?", [f"{n // 20 + 1:032x}"]
        ).fetchall(),
        "attribute, rare": lambda n: base.execute(
            "SELECT * FROM events WHERE attributes ->> '$.\"deploy.canary\"' = ?", [f"c{n // 997 * 997}"]
        ).fetchall(),
        "text, rare": lambda n: base.execute(
            "SELECT * FROM events WHERE instr(description, ?)", [f"needle{n // 100_003 * 100_003}"]
        ).fetchall(),
        "count by type and minute": lambda _: base.execute(
            "SELECT type, time / 60000000000, count(*) FROM events GROUP BY 1, 2"
        ).fetchall(),
    }
    for name, ask in questions.items():
        show(name, timed(ask, numbers[:20], 8))


def main() -> None:
    """Make the archive, ask, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--values", type=int, default=40)
    parser.add_argument("--archive", type=Path, help="made already by benchmarks.generate with as many events")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = given.archive or Path(temporary) / "archive"
        if given.archive is None:
            generate(directory, given.events)
        print(json.dumps({"events": given.events, "duckdb": duckdb.__version__, "sqlite": sqlite3.sqlite_version}))
        chance = random.Random(1)
        numbers = [chance.randrange(300, given.events) for _ in range(given.values)]
        bench_whence(directory, given.events, numbers)
        bench_lines(directory, numbers)
        bench_sqlite(directory, Path(temporary) / "events.sqlite", given.events, numbers)


if __name__ == "__main__":
    main()
