"""Parquet and Arrow IPC: a row an event, typed columns under the events' own names, written batch by batch.

Nested values are JSON text, times are timestamps in nanoseconds, UTC. What does not fit a column's 64 bits is cut to the
nearest that does.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from whence.event.flat import ORDER, plain
from whence.event.model import Event
from whence.export.flat_json import json_bytes
from whence.export.source import Source

_BATCH: Final = 8_192
_TIME: Final = pa.timestamp("ns", tz="UTC")
_WHOLE: Final = ("seq", "elapsed_ns", "turn", "duration_ns", "dropped")
_NESTED: Final = ("payload", "attributes", "resource", "scope")
_TYPES: Final[dict[str, Any]] = {
    **dict.fromkeys(ORDER, pa.string()),
    **dict.fromkeys(_WHOLE, pa.int64()),
    "time": _TIME,
    "observed_time": _TIME,
    "severity": pa.int16(),
    "caused_by": pa.list_(pa.string()),
}
SCHEMA: Final = pa.schema([(name, _TYPES[name]) for name in ORDER])
_LEAST, _MOST = -(1 << 63) + 1, (1 << 63) - 1


def write_parquet(source: Source, out: BinaryIO) -> None:
    """One Parquet file, compressed by zstd, a row group a batch of eight."""
    with pq.ParquetWriter(out, SCHEMA, compression="zstd") as file:
        for batch in _batches(source.events(), 8 * _BATCH):
            file.write_batch(batch)


def write_arrow(source: Source, out: BinaryIO) -> None:
    """One Arrow IPC file (Feather v2)."""
    with pa.ipc.new_file(out, SCHEMA) as file:
        for batch in _batches(source.events(), _BATCH):
            file.write_batch(batch)


def _batches(events: Iterator[Event], size: int) -> Iterator[Any]:
    while taken := list(islice(events, size)):
        yield pa.record_batch(
            [pa.array([_value(event, name) for event in taken], _TYPES[name]) for name in ORDER], SCHEMA
        )


def _value(event: Event, name: str) -> Any:
    value = getattr(event, name)
    if value is None:
        return None
    if name in _NESTED:
        return _text(json_bytes(plain(value)).decode()) if value else None
    if name == "caused_by":
        return [_text(cause) for cause in value]
    if isinstance(value, str):
        return _text(value)
    return min(max(int(value), _LEAST), _MOST)


def _text(text: str) -> str:
    """Text that UTF-8 can carry: a lone surrogate as its escape."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
