"""Events as columns: the one table of columns, events to Arrow batches, and rows back to events.

The law: pure, and what a column cannot hold as it is (bytes, NaN, an integer beyond 64 bits) is shown as `event.flat` shows
it and marked in `_exact`, so that a reader goes back to the line for the event itself.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson
import pyarrow as pa

from whence.causality.graph import span_around
from whence.event.flat import plain
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.filter.values import json_text
from whence.otlp.draft import new_event

VERSION: Final = 3
"""Of the columns, the lists of terms and what stands in them: sidecars of another version are made anew."""

LONG_MAX: Final = (1 << 63) - 1
JSON: Final = ("payload", "attributes", "resource", "scope")
"""Columns that hold JSON text, NULL where the event has nothing there."""
_LONGS: Final = ("time", "observed_time", "seq", "elapsed_ns", "turn", "duration_ns", "dropped")

_TEXT: Final = pa.string()
FIELDS: Final = pa.schema(
    [
        ("id", _TEXT), ("type", _TEXT), ("kind", _TEXT), ("source", _TEXT), ("time", pa.int64()),
        ("observed_time", pa.int64()), ("run", _TEXT), ("seq", pa.int64()), ("elapsed_ns", pa.int64()),
        ("severity", pa.int16()), ("agent", _TEXT), ("turn", pa.int64()), ("task", _TEXT), ("stage", _TEXT),
        ("status", _TEXT), ("correlation", _TEXT), ("description", _TEXT), ("caused_by", pa.list_(_TEXT)),
        ("payload", _TEXT), ("attributes", _TEXT), ("resource", _TEXT), ("scope", _TEXT), ("schema", _TEXT),
        ("trace_id", _TEXT), ("span_id", _TEXT), ("parent_span_id", _TEXT), ("duration_ns", pa.int64()),
        ("dropped", pa.int64()), ("signal", _TEXT),
    ]
)  # fmt: skip
"""An event's fields as columns: the names and types that filters and `sql` see."""
NAMES: Final = tuple(FIELDS.names)

SCHEMA: Final = pa.schema(
    [
        *FIELDS,
        ("_stem", _TEXT),
        ("_line", pa.int64()),
        ("_nth", pa.int32()),
        ("_process", _TEXT),
        ("_exact", pa.bool_()),
        ("_hash", pa.uint64()),
        ("_causes", pa.list_(pa.uint64())),
        ("_around", pa.uint64()),
    ]
)  # fmt: skip
"""The fields, and: where the event's line is (`_stem`, `_line`) and which event of the line it is (`_nth`); what tells its
process from others (JSON, or NULL); whether the columns hold the whole event; 64 bits of a digest of its id, of each of its
causes, and of the span it is in (NULL: none)."""


PLACE: Final = ("_stem", "_line", "_nth")
READ: Final = (*NAMES, *PLACE, "_exact")
"""What is read of an event to make it an object again."""
_GRAPHED: Final = (
    "id", "type", "time", "seq", "elapsed_ns", "run", "agent", "caused_by", "signal", "trace_id", "span_id", "parent_span_id",
    "resource",
)  # fmt: skip
GROWTH: Final = (*_GRAPHED, "_hash")
"""What the graph of causes takes of an event."""


class Row(NamedTuple):
    """An event on its way into columns, and where it stands."""

    event: Event
    offset: int
    nth: int


def strict_text(value: Any) -> str:
    """JSON text. Raises TypeError or ValueError for what JSON has no place for."""
    text = orjson.dumps(value).decode()
    if "null" in text and orjson.dumps(plain(value)).decode() != text:
        raise ValueError("a number that is not finite")
    return text


def batch_of(rows: Sequence[Row], stem: str, process_of: Callable[[Event], tuple[str, ...] | None]) -> pa.RecordBatch:
    """The rows of one segment as a batch of `SCHEMA`."""
    try:
        return _batch(rows, stem, process_of, [row.event for row in rows], [True] * len(rows))
    except (TypeError, ValueError, OverflowError, pa.ArrowException):
        shown = [_storable(row.event) for row in rows]
        events, exact = [event for event, _ in shown], [exact for _, exact in shown]
        return _batch(rows, stem, process_of, events, exact, text_of=json_text)


def _batch(
    rows: Sequence[Row],
    stem: str,
    process_of: Callable[[Event], tuple[str, ...] | None],
    events: list[Event],
    exact: list[bool],
    *,
    text_of: Callable[[Any], str] = strict_text,
) -> pa.RecordBatch:
    columns: dict[str, Any] = {}
    memo: dict[int, str | None] = {}
    for name in NAMES:
        if name in ("resource", "scope"):
            columns[name] = [_shared(getattr(event, name), memo, text_of) for event in events]
        elif name in JSON:
            columns[name] = [text_of(value) if (value := getattr(event, name)) else None for event in events]
        else:
            columns[name] = [getattr(event, name) for event in events]
    columns["_stem"] = [stem] * len(rows)
    columns["_line"] = [row.offset for row in rows]
    columns["_nth"] = [row.nth for row in rows]
    columns["_process"] = _processes(events, process_of)
    columns["_exact"] = exact
    columns["_hash"] = [hash_of(event.id) for event in events]
    columns["_causes"] = [[hash_of(cause) for cause in event.caused_by] for event in events]
    columns["_around"] = [None if (span := span_around(event)) is None else hash_of(span) for event in events]
    return pa.RecordBatch.from_arrays([pa.array(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)


def hash_of(event_id: str) -> int:
    """64 bits of the digest of an id: the same on every machine, so that two ids of one hash are one id."""
    return int.from_bytes(blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _processes(events: list[Event], process_of: Callable[[Event], tuple[str, ...] | None]) -> list[str | None]:
    memo: dict[int, str | None] = {}
    found = []
    for event in events:
        key = id(event.resource)
        if key not in memo:
            named = process_of(event)
            memo[key] = None if named is None else json.dumps(named)
        found.append(memo[key])
    return found


def _shared(value: Any, memo: dict[int, str | None], text_of: Callable[[Any], str]) -> str | None:
    """JSON of a value that many events share; `memo` is of values that all live as long as it does."""
    key = id(value)
    if key not in memo:
        memo[key] = text_of(value) if value else None
    return memo[key]


def _storable(event: Event) -> tuple[Event, bool]:
    """The event as columns can hold it, and whether it is the same."""
    try:
        _batch([Row(event, 0, 0)], "", lambda _: None, [event], [True])
        return event, True
    except (TypeError, ValueError, OverflowError, pa.ArrowException):
        facts = {name: clean(getattr(event, name)) for name in NAMES}
        for name in _LONGS:
            if facts[name] is not None:
                facts[name] = max(min(facts[name], LONG_MAX), -LONG_MAX - 1)
        return new_event(**facts), False


def clean(value: Any) -> Any:
    """A value whose texts UTF-8 can hold: lone surrogates written as escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode() if not value.isascii() else value
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(clean(item) for item in value)
    return value


# --- back to events ------------------------------------------------------------------------------------------------------

_SEVERITIES: Final = {severity.value: severity for severity in Severity}


def events_of_batch(batch: pa.RecordBatch) -> Iterator[Event]:
    """The events of a batch that has every column of `FIELDS`."""
    return _events(batch, NAMES)


def events_of_columns(batch: pa.RecordBatch) -> Iterator[Event]:
    """The events of a batch of `GROWTH`, with no more than that in them."""
    return _events(batch, _GRAPHED)


def _events(batch: pa.RecordBatch, fields: Sequence[str]) -> Iterator[Event]:
    columns: dict[str, list[Any]] = {}
    for name in fields:
        column = batch.column(name)
        if column.null_count == len(column):
            continue  # which is what an event has by itself
        values = column.to_pylist()
        if name in JSON:
            values = _parsed(values, shared=name in ("resource", "scope"))
        elif name == "severity":
            values = [_SEVERITIES.get(value) for value in values]
        elif name == "caused_by":
            values = [tuple(causes) if causes else () for causes in values]
        columns[name] = values
    there = list(columns)
    for row in zip(*columns.values(), strict=True):
        yield new_event(**dict(zip(there, row, strict=True)))


def _parsed(texts: list[str | None], *, shared: bool) -> list[Any]:
    if not shared:
        return [orjson.loads(text) if text else {} for text in texts]
    memo: dict[str | None, Any] = {None: {}}
    for text in texts:
        if text not in memo:
            memo[text] = orjson.loads(text or "{}")
    return [memo[text] for text in texts]
