"""The DuckDB session over an archive's parts: its views, locked away from files, settings and the network.

The law: nothing that runs in a session can write anything or read anything but the parts it was made for.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import duckdb
import numpy as np
import orjson
import pyarrow as pa

from whence.errors import FilterError
from whence.index.columns import NAMES, PLACE, READ
from whence.index.parts import Parts

_SETTINGS: Final = (
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET preserve_insertion_order = false",
    "SET parquet_metadata_cache = true",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
_SELECTING: Final = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
VIEWS: Final = {
    "events": "SELECT {fields} FROM _all",
    "spans": "SELECT {fields} FROM _all WHERE signal = 'span'",
    "causes": "SELECT unnest(caused_by) AS cause, id AS effect, run, time, type FROM _all",
    "runs": (
        "SELECT run, min(time) AS start, max(time) AS last, count(*) AS events,"
        " count(*) FILTER (severity >= 17) AS errors FROM _all GROUP BY run"
    ),
}
"""What `sql` can ask: every event; the spans among them; each recorded cause with its effect; a row a run."""


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def open_session(parts: Parts) -> duckdb.DuckDBPyConnection:
    """A session over these parts as they are now."""
    session = duckdb.connect(":memory:")
    paths = [str(part.path) for part in parts.parts if part.note and part.note.rows]
    inner = ", ".join(f'"{name}"' for name in READ)
    sources = [f"SELECT {inner} FROM _tail"]
    if paths:
        listed = ", ".join(map(quoted, paths))
        session.execute(f"SET allowed_paths = [{listed}]")
        sources.insert(0, f"SELECT {inner} FROM read_parquet([{listed}])")
    set_tail(session, parts)
    repeated = repeats(parts)
    where = ""
    if repeated.num_rows:
        _store(session, "_repeats", repeated)
        where = f" WHERE ({', '.join(PLACE)}) NOT IN (SELECT ({', '.join(PLACE)}) FROM _repeats)"
    session.execute(f"CREATE VIEW _all AS SELECT * FROM ({' UNION ALL '.join(sources)}){where}")
    fields = ", ".join(f'"{name}"' for name in NAMES)
    for name, text in VIEWS.items():
        session.execute(f"CREATE VIEW {name} AS {text.format(fields=fields)}")
    for setting in _SETTINGS:
        session.execute(setting)
    return session


def set_tail(session: duckdb.DuckDBPyConnection, parts: Parts) -> None:
    """Put what no sidecar covers into the session's memory."""
    _store(session, "_tail", parts.tail())


def _store(session: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    session.register("_given", table)
    session.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM _given")
    session.unregister("_given")


def repeats(parts: Parts) -> pa.Table:
    """The places of events whose id stands at an earlier place already, as columns of `PLACE`: the first one counts."""
    hashes = parts.column("_hash").astype(np.uint64)
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    again = np.sort(order[1:][ordered[1:] == ordered[:-1]])
    if not len(again):
        return pa.table({name: pa.array([], pa.string() if name == "_stem" else pa.int64()) for name in PLACE})
    return parts.table(list(PLACE)).take(pa.array(again))


def begin_reading(session: duckdb.DuckDBPyConnection, text: str) -> None:
    """Prepare for a user's text. Raises FilterError where it is not one SELECT that does nothing but select.

    DuckDB calls a SELECT what begins WITH a COPY or DELETE, so each part of it is looked at.
    """
    try:
        found = session.execute("SELECT json_serialize_sql(?)", [text]).fetchone()
    except duckdb.Error as cause:
        raise FilterError(f"cannot run this SQL: {first_line(cause)}") from cause
    tree = orjson.loads(found[0]) if found else {}
    if tree.get("error") and tree.get("error_type") != "not implemented":
        raise FilterError(f"cannot run this SQL: {tree.get('error_message')}")
    if tree.get("error") or len(tree["statements"]) != 1 or not set(_nodes(tree)) <= _SELECTING:
        raise FilterError("cannot run this SQL: only one SELECT is allowed; it reads events, spans, causes and runs")
    session.execute("BEGIN TRANSACTION READ ONLY")


def _nodes(tree: Any) -> Iterator[str]:
    """The kinds of all statements in a statement, as DuckDB names them."""
    left = [tree]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            kind = part.get("type")
            if isinstance(kind, str) and kind.endswith("_NODE"):
                yield kind
            left += part.values()
        elif isinstance(part, list):
            left += part


def first_line(cause: Exception) -> str:
    """What DuckDB says, without its picture of the place."""
    return str(cause).partition("\n")[0].strip() or type(cause).__name__


def stream(
    session: duckdb.DuckDBPyConnection, text: str, parameters: Sequence[Any] = (), rows: int = 20_000
) -> pa.RecordBatchReader:
    """The result of one SELECT in batches of so many rows, as they come. Raises FilterError as `run`."""
    try:
        found = session.sql(text, params=list(parameters)) if parameters else session.sql(text)
        reader: pa.RecordBatchReader = found.to_arrow_reader(rows)
    except duckdb.InterruptException:
        raise
    except duckdb.Error as cause:
        raise FilterError(f"cannot run this query: {first_line(cause)}") from cause
    return reader


def run(session: duckdb.DuckDBPyConnection, text: str, parameters: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
    """Run one statement; its result is read from what is returned. Raises FilterError for what the statement does wrong."""
    try:
        return session.execute(text, list(parameters)) if parameters else session.execute(text)
    except duckdb.InterruptException:
        raise
    except duckdb.Error as cause:
        raise FilterError(f"cannot run this query: {first_line(cause)}") from cause
