"""The DuckDB session over an archive's parts: its views, locked away from files, settings and the network.

The law: nothing that runs in a session can write anything or read anything but the parts it was made for.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import duckdb
import orjson
import pyarrow as pa

from whence.errors import FilterError
from whence.index.columns import NAMES, PLACE, READ, SCHEMA
from whence.index.parts import Identity, Part, Parts

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


def open_scanner() -> duckdb.DuckDBPyConnection:
    """A session for conditions over what is registered in it; no text of a user runs here."""
    session = duckdb.connect(":memory:")
    for setting in _SETTINGS:
        session.execute(setting)
    return session


def open_session(parts: Parts, repeats: Mapping[Identity, Any]) -> duckdb.DuckDBPyConnection:
    """A session over these parts as they are now, without the rows in `repeats`, which stand at an earlier place already."""
    session = duckdb.connect(":memory:")
    paths = [str(part.path) for part in parts.parts if part.covered]
    inner = ", ".join(f'"{name}"' for name in (*READ, "_hash"))
    _store(session, "_tail", parts.tail())
    sources = [f"SELECT {inner} FROM _tail"]
    if paths:
        listed = ", ".join(map(quoted, paths))
        session.execute(f"SET allowed_paths = [{listed}]")
        sources.insert(0, f"SELECT {inner} FROM read_parquet([{listed}])")
    repeated = [_places(part, repeats[part.identity]) for part in parts.parts if part.identity in repeats]
    where = ""
    if repeated:
        _store(session, "_repeats", pa.concat_tables(repeated))
        where = f" WHERE ({', '.join(PLACE)}) NOT IN (SELECT ({', '.join(PLACE)}) FROM _repeats)"
    session.execute(f"CREATE VIEW _all AS SELECT * FROM ({' UNION ALL '.join(sources)}){where}")
    fields = ", ".join(f'"{name}"' for name in NAMES)
    for name, text in VIEWS.items():
        session.execute(f"CREATE VIEW {name} AS {text.format(fields=fields)}")
    for setting in _SETTINGS:
        session.execute(setting)
    return session


def _store(session: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    session.register("_given", table)
    session.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM _given")
    session.unregister("_given")


def _places(part: Part, rows: Any) -> pa.Table:
    """The places of some rows of a part."""
    found = pa.Table.from_batches(part.columns(PLACE), pa.schema([SCHEMA.field(name) for name in PLACE]))
    return found.take(pa.array(rows))


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
    """The result of one SELECT in batches of so many rows, as they come. Raises FilterError as `table_of`."""
    try:
        found = session.sql(text, params=list(parameters)) if parameters else session.sql(text)
        reader: pa.RecordBatchReader = found.to_arrow_reader(rows)
    except duckdb.InterruptException:
        raise
    except duckdb.Error as cause:
        raise FilterError(f"cannot run this query: {first_line(cause)}") from cause
    return reader


def table_of(session: duckdb.DuckDBPyConnection, text: str, parameters: Sequence[Any] = ()) -> pa.Table:
    """The whole result of one SELECT. Raises FilterError for what the statement does wrong."""
    try:
        found: pa.Table = session.sql(text, params=list(parameters)).to_arrow_table()
    except duckdb.InterruptException:
        raise
    except duckdb.Error as cause:
        raise FilterError(f"cannot run this query: {first_line(cause)}") from cause
    return found
