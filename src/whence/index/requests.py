"""Requests to lines of the archive and the columns of an index at once, for whoever wants both.

The law: the lines are those of `otlp.wire`, the rows those of `index.lines`; the native core makes both in one call, without the
interpreter's lock. Needs the extras `collect` and `query`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from whence.index.lines import NATIVE, Made, Placed, Tell, batches_of, merged
from whence.otlp import from_native, wire
from whence.otlp.decode import Place
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.page import Line
from whence.otlp.wire import Encoding, Lines, Signal


class Taken(NamedTuple):
    """What became of a request: its lines, and their events as batches of `columns.SCHEMA`."""

    lines: Lines
    batches: list[pa.RecordBatch]


def lines_and_columns(
    signal: Signal, data: bytes, place: Place, tell: Tell, *, encoding: Encoding = "protobuf", limits: Limits = DEFAULT
) -> Taken:
    """A request's lines and columns, as of lines of which the first is to stand at a place, the others behind it.

    `place` makes the ids of records that have none, so the lines have to be written there. `tell` as of `lines.batches_of`.
    Of metrics there are no rows. Raises DataError as `wire.lines_of_protobuf` and `wire.lines_of_json`.
    """
    is_json = encoding == "json"
    if NATIVE is not None:
        given = (limits.line_bytes, limits.records_per_line, limits.depth)
        try:
            made, columns = NATIVE.of_request(from_native.CODEC, signal, data, is_json, given, place.stem, place.offset)
        except from_native.REFUSED:
            pass
        else:
            lines = from_native.lines_made(signal, *made)
            return Taken(lines, list(merged(place.stem, _placed(lines.lines, place), 0, Made(*columns), tell)))
    lines = (wire.lines_of_json if is_json else wire.lines_of_protobuf)(signal, data, limits)
    return Taken(lines, list(batches_of(place.stem, _placed(lines.lines, place), tell)))


def _placed(lines: Sequence[Line], place: Place) -> list[Placed]:
    """Each line with its offset."""
    found, at = [], place.offset
    for line in lines:
        found.append((at, line.data))
        at += len(line.data)
    return found
