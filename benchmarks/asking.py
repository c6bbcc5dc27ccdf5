"""The questions of the query benchmark, put to whence, to DuckDB over the same lines and to SQLite, each for a count of rows."""

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import duckdb

import whence
import whence.index.engine  # so that the first answer's time is not that of loading libraries
from whence.causality.graph import Follow
from whence.filter.parse import parse_query
from whence.index.answers import Answers

Values = dict[str, Any]
Ask = Callable[[Values], int | None]
"""Asks for these values, and gives how many rows there were; None: not within the limit of time."""

FILTERS: Final = {
    "one event by id": "id = '{id}'",
    "a trace": "trace_id = '{trace}'",
    "a correlation": "correlation = '{correlation}'",
    "agent and turn in a run": "run = '{run}' AND agent = '{agent}' AND turn = {turn}",
    "time and type, first 1,000": "time >= {from} AND time < {to} AND type = '{type}'",
    "attribute, common, first 1,000": "attributes.region = '{region}'",
    "attribute, rare": "attributes.\"deploy.canary\" = '{canary}'",
    "text, common, first 1,000": "description CONTAINS '{good}'",
    "text, rare": "description CONTAINS '{order}'",
    "a word anywhere, rare": "{needle}",
    "the newest 1,000": "",
    "CAUSED_BY one event": "CAUSED_BY (id = '{id}')",
    "CAUSED_BY a type within 2 hops": "CAUSED_BY (type = '{bad}') WITHIN 2 HOPS",
}
PIPES: Final = {
    "count by type and minute": "| count by type, bucket(1m)",
    "p95 duration by type": "signal = span | p95 duration by type",
}
CHAINS: Final = ("why, with its events", "effects, with its events")
QUESTIONS: Final = (*list(FILTERS)[:11], *PIPES, *CHAINS, *list(FILTERS)[11:])

_FIRST: Final = " ORDER BY time, id LIMIT 1000"
_WALK: Final = (
    "WITH RECURSIVE edges AS MATERIALIZED (SELECT cause, effect FROM causes), "
    "reached(id) AS (SELECT :id UNION SELECT {far} FROM edges JOIN reached ON {near} = reached.id) "
)
_UP, _DOWN = _WALK.format(far="cause", near="effect"), _WALK.format(far="effect", near="cause")
_CHAIN: Final = "SELECT * FROM events WHERE id IN (SELECT id FROM reached) ORDER BY time, id"
_ONE_HOP: Final = "SELECT effect FROM causes WHERE cause IN (SELECT id FROM events WHERE type = :bad)"
SQL: Final = {
    "one event by id": "SELECT * FROM events WHERE id = :id",
    "a trace": "SELECT * FROM events WHERE trace_id = :trace ORDER BY time, id",
    "a correlation": "SELECT * FROM events WHERE correlation = :correlation ORDER BY time, id",
    "agent and turn in a run": "SELECT * FROM events WHERE run = :run AND agent = :agent AND turn = :turn ORDER BY time, id",
    "time and type, first 1,000": f"SELECT * FROM events WHERE time >= :from AND time < :to AND type = :type{_FIRST}",
    "attribute, common, first 1,000": f"SELECT * FROM events WHERE region = :region{_FIRST}",
    "attribute, rare": "SELECT * FROM events WHERE canary = :canary ORDER BY time, id",
    "text, common, first 1,000": f"SELECT * FROM events WHERE instr(description, :good) > 0{_FIRST}",
    "text, rare": "SELECT * FROM events WHERE instr(description, :order) > 0 ORDER BY time, id",
    "a word anywhere, rare": "SELECT * FROM events WHERE instr(description, :needle) > 0 OR instr(attributes, :needle) > 0 "
    "OR instr(payload, :needle) > 0 ORDER BY time, id",
    "the newest 1,000": "SELECT * FROM events ORDER BY time DESC, id DESC LIMIT 1000",
    "count by type and minute": "SELECT type, time {whole} 60000000000, count(*) FROM events GROUP BY 1, 2",
    "p95 duration by type": "SELECT type, quantile_cont(duration_ns, 0.95) FROM events WHERE duration_ns IS NOT NULL "
    "GROUP BY type",
    "why, with its events": _UP + _CHAIN,
    "effects, with its events": _DOWN + _CHAIN,
    "CAUSED_BY one event": _DOWN + "SELECT * FROM events WHERE id IN (SELECT id FROM reached) AND id <> :id ORDER BY time, id",
    "CAUSED_BY a type within 2 hops": f"SELECT * FROM events WHERE id IN ({_ONE_HOP} UNION SELECT effect FROM causes "
    f"WHERE cause IN ({_ONE_HOP})){_FIRST}",
}  # fmt: skip
_WORD: Final = "SELECT * FROM events WHERE n IN (SELECT rowid FROM texts WHERE texts MATCH {}) ORDER BY time, id"
IN_SQLITE: Final = {
    "text, common, first 1,000": _WORD.format("'\"' || :good || '\"'") + " LIMIT 1000",
    "text, rare": _WORD.format(":order"),
    "a word anywhere, rare": _WORD.format(":needle"),
    "p95 duration by type": "SELECT type, duration_ns FROM (SELECT type, duration_ns, row_number() OVER (PARTITION BY type "
    "ORDER BY duration_ns) AS place, count(*) OVER (PARTITION BY type) AS size FROM events WHERE duration_ns IS NOT NULL) "
    "WHERE place = (size * 19 + 19) / 20",
    # With an index on both ends SQLite walks faster from its table of causes than from a copy of it.
    **{name: re.sub(r"edges AS .*?\), ", "", SQL[name]).replace("FROM edges", "FROM causes")
       for name in (*CHAINS, "CAUSED_BY one event")},
}  # fmt: skip
"""Where SQLite has something better: its full-text index, which finds whole words, and its own indexes."""


def whence_asks(directory: Path, name: str) -> Ask:
    """A question of an archive that is opened now."""
    archive = whence.open(directory)
    if name in CHAINS:
        return lambda values: len(archive.events_of(_chain(archive, name, values["id"])))
    if name in PIPES:
        query = parse_query(PIPES[name], now=time.time_ns())
        return lambda values: sum(1 for _ in archive.engine.ask(query).rows)
    if name == "the newest 1,000":
        return lambda values: sum(1 for _ in archive.events(limit=1_000, newest=True))
    bounded = 1_000 if name.endswith(("1,000", "hops")) else None
    return lambda values: sum(1 for _ in archive.events(FILTERS[name].format(**values), limit=bounded))


def _chain(archive: Answers, name: str, event_id: str) -> Any:
    walk = archive.why if name.startswith("why") else archive.effects
    return walk(event_id, follow=Follow.RECORDED)


# --- DuckDB over the lines ------------------------------------------------------------------------------------------------

_VALUE: Final = '{"stringValue":"VARCHAR","intValue":"VARCHAR","arrayValue":"JSON","kvlistValue":"JSON"}'
_PAIRS: Final = f'[{{"key":"VARCHAR","value":{_VALUE}}}]'
_LOG: Final = (
    '{"timeUnixNano":"VARCHAR","eventName":"VARCHAR","body":{"stringValue":"VARCHAR"},"traceId":"VARCHAR",'
    f'"attributes":{_PAIRS}}}'
)
_SPAN: Final = (
    '{"traceId":"VARCHAR","spanId":"VARCHAR","name":"VARCHAR","startTimeUnixNano":"VARCHAR","endTimeUnixNano":"VARCHAR",'
    f'"attributes":{_PAIRS}}}'
)
# Lines are taken as JSON objects: `read_json` with the schema as columns takes twenty times as long for lines of 100 records.
_RECORDS: Final = (
    "SELECT from_json(j, '{record}') AS r, j, o FROM (SELECT unnest(j) AS j, o FROM (SELECT "
    "json->'$.{outer}[*].{inner}[*].{each}[*]' AS j, from_json(json->'$.{outer}[0].resource.attributes', '{pairs}') AS o "
    "FROM read_ndjson_objects([{files}], maximum_object_size = 2097152)))"
)


def _of(key: str, where: str = "r.attributes", kind: str = "stringValue") -> str:
    return f'list_filter({where}, lambda a: a."key" = \'{key}\')[1]."value".{kind}'


_COMMON: Final = (
    f"{_of('whence.run', 'o')} AS run, {_of('whence.agent')} AS agent, {_of('whence.turn', kind='intValue')}::BIGINT AS turn, "
    f"r.traceId AS trace_id, {_of('whence.correlation')} AS correlation, {_of('region')} AS region, "
    f"{_of('deploy.canary')} AS canary, j->>'$.attributes' AS attributes, "
    f"{_of('whence.caused_by', kind='arrayValue')}->>'$.values[*].stringValue' AS caused_by, "
)
_VIEW: Final = (
    f"CREATE TEMP VIEW events AS SELECT {_of('log.record.uid')} AS id, r.eventName AS type, "
    f"r.timeUnixNano::BIGINT AS time, {_COMMON}"
    f"r.body.stringValue AS description, {_of('whence.payload', kind='kvlistValue')}::VARCHAR AS payload, "
    "NULL::BIGINT AS duration_ns FROM ({logs}) UNION ALL SELECT 'span:' || r.traceId || '-' || r.spanId, r.name, "
    f"r.startTimeUnixNano::BIGINT, {_COMMON} NULL, NULL, r.endTimeUnixNano::BIGINT - r.startTimeUnixNano::BIGINT FROM ({{spans}})"
)


def duckdb_asks(directory: Path, name: str, seconds: float) -> Ask:
    """A question of the lines in a directory as they are, compressed or not, with no time spent on finding their schema."""
    session = duckdb.connect()
    session.execute("SET enable_progress_bar = false")
    files = [path for path in sorted(directory.rglob("*.jsonl*")) if path.suffix in (".jsonl", ".zst")]
    shapes = (
        ("logs", {"outer": "resourceLogs", "inner": "scopeLogs", "each": "logRecords", "record": _LOG}),
        ("traces", {"outer": "resourceSpans", "inner": "scopeSpans", "each": "spans", "record": _SPAN}),
    )
    logs, spans = (
        _RECORDS.format(
            **shape,
            pairs=_PAIRS,
            files=", ".join(f"'{path}'" for path in files if path.name.startswith(f"{signal}-")),
        )
        for signal, shape in shapes
    )
    session.execute(_VIEW.replace("{logs}", logs).replace("{spans}", spans))
    session.execute("CREATE TEMP VIEW causes AS SELECT unnest(caused_by) AS cause, id AS effect FROM events")
    text = re.sub(r":(\w+)", r"$\1", SQL[name].replace("{whole}", "//"))

    def ask(values: Values) -> int | None:
        timer = threading.Timer(seconds, session.interrupt)
        timer.start()
        try:
            return len(session.execute(text, _named(SQL[name], values)).fetchall())
        except duckdb.InterruptException:
            return None
        finally:
            timer.cancel()

    return ask


def _named(text: str, values: Values) -> Values:
    return {name: values[name] for name in re.findall(r":(\w+)", text)}


# --- SQLite ---------------------------------------------------------------------------------------------------------------

_COLUMNS: Final = ("id", "type", "time", "run", "agent", "turn", "trace_id", "correlation", "attributes", "description",
                   "payload", "duration_ns", "caused_by")  # fmt: skip
_INDEXES: Final = ("id", "trace_id", "correlation", "run, agent, turn", "type, time", "time, id", "region, time", "canary",
                   "type, duration_ns")  # fmt: skip


def make_sqlite(directory: Path, where: Path) -> None:
    """The events of an archive as SQLite would hold them: a table with an index for each question, their causes, their texts."""
    base = sqlite3.connect(where)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA synchronous = NORMAL")
    base.execute("PRAGMA cache_size = -262144")
    base.execute(
        f"CREATE TABLE events (n INTEGER PRIMARY KEY, {', '.join(_COLUMNS[:-1])}, "
        "region AS (attributes ->> '$.region'), canary AS (attributes ->> '$.\"deploy.canary\"'))"
    )
    base.execute("CREATE TABLE causes (cause, effect)")
    base.execute("CREATE VIRTUAL TABLE texts USING fts5(description, content = 'events', content_rowid = 'n')")
    number = 0
    for rows in _rows_of(directory):
        joined = [(number + n, *row[:-1]) for n, row in enumerate(rows)]
        number += len(rows)
        base.executemany(f"INSERT INTO events VALUES ({', '.join('?' * len(_COLUMNS))})", joined)
        base.executemany(
            "INSERT INTO causes VALUES (?, ?)", ((cause, row[0]) for row in rows for cause in row[-1] or ())
        )
    for columns in _INDEXES:
        where_set = " WHERE canary IS NOT NULL" if columns == "canary" else ""
        base.execute(f'CREATE INDEX "by {columns}" ON events ({columns}){where_set}')
    base.execute("CREATE INDEX by_cause ON causes (cause, effect)")
    base.execute("CREATE INDEX by_effect ON causes (effect, cause)")
    base.execute("INSERT INTO texts (texts) VALUES ('rebuild')")
    base.commit()
    base.execute("ANALYZE")
    base.commit()
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    base.close()


def _rows_of(directory: Path) -> Iterator[list[tuple[Any, ...]]]:
    for batch in whence.open(directory).arrow():
        yield list(zip(*(batch.column(name).to_pylist() for name in _COLUMNS), strict=True))


def sqlite_asks(where: Path, name: str, seconds: float) -> Ask:
    """A question of the database that `make_sqlite` made."""
    base = sqlite3.connect(where)
    text = IN_SQLITE.get(name, SQL[name]).replace("{whole}", "/")

    def ask(values: Values) -> int | None:
        timer = threading.Timer(seconds, base.interrupt)
        timer.start()
        try:
            return len(base.execute(text, _named(text, values)).fetchall())
        except sqlite3.OperationalError as cause:
            if str(cause) != "interrupted":
                raise
            return None
        finally:
            timer.cancel()

    return ask
