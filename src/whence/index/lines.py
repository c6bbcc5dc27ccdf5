"""Lines of an archive to columns: by the native core where it is, and whatever that does not take in Python, line by line.

The law: the same rows in the same order, and the same sentences about what cannot be read, whichever core is in use.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

import pyarrow as pa

from whence.causality.graph import process_of
from whence.errors import DataError
from whence.event import names
from whence.index.columns import SCHEMA, Row, batch_of
from whence.native import CORE
from whence.otlp.decode import Place, decode
from whence.otlp.fields import TEXTS, WHOLES

ROWS: Final = 1 << 12
"""Rows after which a native batch ends with its line."""
_ROWS_DECODED: Final = 1 << 10
"""Events that are held as objects at once: the garbage collector looks at each of them again and again."""

Placed = tuple[int, bytes]
"""A line and its offset in its segment."""
Tell = Callable[[int, str], None]
"""Is told what cannot be read of which line, by its number in what was given."""


def batches_of(stem: str, lines: Sequence[Placed], tell: Tell) -> Iterator[pa.RecordBatch]:
    """The events of lines of one segment as batches of `SCHEMA`, none of them empty."""
    return pure_batches(stem, lines, tell) if NATIVE is None else native_batches(stem, lines, tell)


def pure_batches(stem: str, lines: Sequence[Placed], tell: Tell) -> Iterator[pa.RecordBatch]:
    """As `batches_of`, by way of events."""
    yield from _decoded(stem, list(enumerate(lines)), tell)


def _decoded(stem: str, lines: Sequence[tuple[int, Placed]], tell: Tell) -> Iterator[pa.RecordBatch]:
    rows: list[Row] = []
    for number, (offset, data) in lines:
        try:
            found = decode(data, Place(stem, offset))
        except DataError as fault:
            tell(number, str(fault))
            continue
        for sentence in found.bad:
            tell(number, sentence)
        rows += [Row(event, offset, nth) for nth, event in enumerate(found.events)]
        if len(rows) >= _ROWS_DECODED:
            yield batch_of(rows, stem, process_of)
            rows = []
    if rows:
        yield batch_of(rows, stem, process_of)


# --- the native core ------------------------------------------------------------------------------------------------------


def names_text() -> str:
    """Which attributes mean something, as the native core reads it: a line each, what it is and its name."""
    others = [(f"other-{TEXTS[name]}", other) for name, others in names.ALTERNATIVES.items() for other in others]
    own = {
        "caused_by": names.CAUSED_BY,
        "payload": names.PAYLOAD,
        "id": names.ID,
        "hint": names.EVENT_NAME_HINT,
        "projection": names.PROJECTION,
        "projected_severity": names.PROJECTED_SEVERITY,
        "projected_description": names.PROJECTED_DESCRIPTION,
        "projected_json": names.PROJECTED_JSON,
        "body": names.BODY,
        "span_kind": names.SPAN_KIND,
        "span_message": names.SPAN_STATUS_MESSAGE,
        "cause": names.CAUSE,
        "effect": names.EFFECT,
        "service_name": names.SERVICE_NAME,
        "service_instance": names.SERVICE_INSTANCE,
        "host_name": names.HOST_NAME,
        "process_pid": names.PROCESS_PID,
        "exception": names.TYPE_EXCEPTION,
    }
    lifted = [(field, name) for name, field in (TEXTS | WHOLES).items()]
    return "\n".join(f"{what} {name}" for what, name in [*lifted, *own.items(), *others])


# Arrow's buffers are in the machine's own order of bytes, the core's are not.
NATIVE: Final = CORE.module.Columns(names_text()) if CORE.module is not None and sys.byteorder == "little" else None
"""The native core's side of this, or None."""


class Made(NamedTuple):
    """What the native core made of lines: Arrow's buffers by the names of columns, and what it leaves to Python."""

    buffers: dict[str, tuple[bytes | None, ...]]
    rows: int
    lines: int
    """How many of the lines were read."""
    refused: list[tuple[int, int]]
    """The number of each line that was not taken, and how many rows stand before it."""


def native_batches(stem: str, lines: Sequence[Placed], tell: Tell) -> Iterator[pa.RecordBatch]:
    """As `batches_of`, where there is the native core."""
    assert NATIVE is not None
    start = 0
    while start < len(lines):
        offsets, data = zip(*lines[start:], strict=True)
        made = Made(*NATIVE.of_lines(stem, list(offsets), list(data), ROWS))
        yield from merged(stem, lines, start, made, tell)
        start += made.lines


def merged(stem: str, lines: Sequence[Placed], start: int, made: Made, tell: Tell) -> Iterator[pa.RecordBatch]:
    """The rows of lines from `start` on: those that were made, and between them those of the lines that were refused."""
    whole = _batch(stem, made)
    at = 0
    for before, refused in groupby(made.refused, itemgetter(1)):
        if before > at:
            yield whole.slice(at, before - at)
            at = before
        yield from _decoded(stem, [(start + number, lines[start + number]) for number, _ in refused], tell)
    if at < made.rows:
        yield whole.slice(at)


# Asked of Arrow once: a type is made anew each time.
_TYPES: Final = [(field.name, field.type, pa.types.is_list(field.type)) for field in SCHEMA]


def _batch(stem: str, made: Made) -> pa.RecordBatch:
    rows, buffers = made.rows, made.buffers
    stems = pa.repeat(pa.scalar(stem, pa.string()), rows)
    arrays = [
        stems if name == "_stem" else (_list if is_list else _array)(of, rows, buffers[name])
        for name, of, is_list in _TYPES
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _array(of: pa.DataType, rows: int, buffers: Sequence[bytes | None]) -> pa.Array:
    return pa.Array.from_buffers(of, rows, [None if data is None else pa.py_buffer(data) for data in buffers])


def _list(of: pa.DataType, rows: int, buffers: Sequence[bytes | None]) -> pa.Array:
    """An array of lists: the ends come first, then the buffers of what is in them."""
    ends, *inside = buffers
    assert ends is not None
    items = _array(of.value_type, int.from_bytes(ends[-4:], "little"), inside)
    return pa.Array.from_buffers(of, rows, [None, pa.py_buffer(ends)], children=[items])
