"""What an archive holds at the moment: a sidecar or columns in memory for every segment, brought up to date at each look.

The law: a look never parses what it has seen before, and every whole line that was there when it began is part of it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import accumulate, groupby
from pathlib import Path
from typing import Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from whence.archive import names
from whence.archive.reader import Archive, Segment
from whence.archive.scan import Problem
from whence.index.build import ROWS_AT_ONCE, Reading, build_sidecar
from whence.index.columns import READ, SCHEMA
from whence.index.sidecar import Note, load_note, note_path, parquet_path, source_of

WORTHWHILE: Final = 256 << 10
"""Plain bytes without a sidecar, in all of the archive, from which on sidecars are written: fewer are parsed in 20 ms."""


_GROUPS: Final = 4
"""Row groups of a part that are kept, about 10 MB each."""


@dataclass(slots=True)
class Part:
    """One segment: its sidecar, if it has one, and the columns of what the sidecar does not cover."""

    segment: Segment
    note: Note | None
    reading: Reading
    tail: list[pa.RecordBatch] = field(default_factory=list)
    source: tuple[int, int] | None = None
    seen: tuple[int, int] | None = None
    groups: dict[tuple[int, int], pa.Table] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The sidecar's file."""
        return parquet_path(self.segment)

    @property
    def key(self) -> tuple[str, int, int, int]:
        """What changes whenever the part does."""
        note = self.note
        return (self.segment.stem, note.crc32 if note else 0, note.rows if note else 0, sum(map(len, self.tail)))

    def problems(self) -> list[Problem]:
        """What had to be skipped in it."""
        return self.reading.problems

    def columns(self, names: list[str], *, tail: bool = True) -> Iterator[pa.RecordBatch]:
        """Some columns of all of it, in the order of its lines; without `tail`, of what the sidecar covers."""
        if self.note:
            with pq.ParquetFile(self.path) as file:
                yield from file.iter_batches(ROWS_AT_ONCE * 8, columns=names)
        for batch in self.tail if tail else ():
            yield batch.select(names)

    def rows_at(self, rows: Sequence[int]) -> Iterator[pa.Table]:
        """Some rows of the sidecar, given in ascending order."""
        with pq.ParquetFile(self.path, memory_map=True) as file:
            sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
            ends = list(accumulate(sizes))
            for group, of in groupby(rows, lambda row: bisect_right(ends, row)):
                first = ends[group] - sizes[group]
                yield self._group(file, group).take(pa.array([row - first for row in of]))

    def _group(self, file: pq.ParquetFile, group: int) -> pa.Table:
        """A row group; the last few that were asked for are kept, since a chain's events stand near each other."""
        key = (self.note.crc32 if self.note else 0, group)
        table = self.groups.pop(key, None)
        self.groups[key] = file.read_row_group(group, columns=list(READ)) if table is None else table
        while len(self.groups) > _GROUPS:
            del self.groups[next(iter(self.groups))]
        return self.groups[key]


class Parts:
    """All parts of an archive, in reading order."""

    def __init__(self, archive: Archive, *, keep: bool = True, worthwhile: int = WORTHWHILE) -> None:
        """`keep`: whether sidecars may be written beside the segments; `worthwhile` as `WORTHWHILE`."""
        self.archive = archive
        self.parts: list[Part] = []
        self.keep = keep
        self._worthwhile = worthwhile

    def look(self) -> bool:
        """Bring everything up to date; whether anything changed."""
        before = [part.key for part in self.parts]
        known = {part.segment.stem: part for part in self.parts}
        segments = [segment for segment in self.archive.segments() if segment.signal != "metrics"]
        self.parts = [self._part(segment, known.get(segment.stem)) for segment in segments]
        if self.keep:
            self._build()
        for part in self.parts:
            _read_on(part)
        return before != [part.key for part in self.parts]

    def problems(self) -> list[Problem]:
        """What had to be skipped, each once."""
        return list(dict.fromkeys(problem for part in self.parts for problem in part.problems()))

    def rows(self) -> int:
        """How many events there are, those that stand twice counted twice."""
        return sum((part.note.rows if part.note else 0) + sum(map(len, part.tail)) for part in self.parts)

    def tail(self) -> pa.Table:
        """What no sidecar covers."""
        return pa.Table.from_batches([batch for part in self.parts for batch in part.tail], SCHEMA)

    def column(self, name: str) -> np.ndarray:
        """A column of plain numbers over everything, in reading order."""
        pieces = [batch.column(0).to_numpy() for part in self.parts for batch in part.columns([name])]
        return np.concatenate(pieces) if pieces else np.empty(0, np.int64)

    def state(self) -> str:
        """What tells the sidecars of the archive, all together, from what they were or will be."""
        notes = [(part.segment.stem, part.note.crc32, part.note.rows) for part in self.parts if part.note]
        return blake2b(orjson.dumps(notes), digest_size=16).hexdigest()

    def rows_at(self, rows: Sequence[int]) -> Iterator[pa.RecordBatch]:
        """Some rows of the sidecars, by their number in reading order, given in ascending order."""
        at = first = 0
        for part in self.parts:
            count = part.note.rows if part.note else 0
            mine = bisect_left(rows, first + count, at)
            if mine > at:
                for table in part.rows_at([row - first for row in rows[at:mine]]):
                    yield from table.combine_chunks().to_batches()
            at, first = mine, first + count

    def table(self, names: list[str], *, tail: bool = True) -> pa.Table:
        """Some columns of everything, in reading order; without `tail`, of what sidecars cover."""
        batches: Iterable[pa.RecordBatch] = (batch for part in self.parts for batch in part.columns(names, tail=tail))
        schema = pa.schema([SCHEMA.field(name) for name in names])
        return pa.Table.from_batches([batch.cast(schema) for batch in batches], schema)

    def _part(self, segment: Segment, known: Part | None) -> Part:
        source = source_of(segment)
        if known and known.source == source and (known.note is None or known.seen == _stamp(segment)):
            known.segment = segment
            return known
        seen = _stamp(segment)
        note = load_note(segment)
        reading = Reading(segment, note.bytes if note else 0, note.found() if note else [])
        return Part(segment, note, reading, [], source, seen)

    def _build(self) -> None:
        missing = [part for part in self.parts if _uncovered(part) > 0]
        if sum(map(_uncovered, missing)) < self._worthwhile:
            return
        for part in missing:
            if part.note is None or _uncovered(part) >= max(self._worthwhile, part.note.bytes // 4) or _is_done(part):
                note = build_sidecar(part.segment)
                if note:
                    part.note, part.seen, part.tail = note, _stamp(part.segment), []
                    part.reading = Reading(part.segment, note.bytes, note.found())


def _read_on(part: Part) -> None:
    """Decode what was written behind what is known already."""
    if _is_done(part) and part.note and part.note.sealed:
        return
    if part.note and part.source is not None:
        return  # a file of another writer is covered as a whole
    if part.source is not None and part.reading.end:
        return
    part.reading.segment = part.segment
    part.reading.problems = [problem for problem in part.reading.problems if problem.kind != "tail"]
    part.tail += part.reading.batches()


def _is_done(part: Part) -> bool:
    """Whether the segment is sealed, so that nothing will follow."""
    return part.segment.base.with_name(part.segment.base.name + names.SEALED).exists() if part.segment.name else False


def _uncovered(part: Part) -> int:
    """Plain bytes (compressed ones, where only they are known) that no sidecar covers."""
    if part.note and (part.note.sealed or part.source is not None):
        return 0
    length = part.segment._length() or (part.source[0] if part.source else 0)
    return max(length - (part.note.bytes if part.note else 0), 0)


def _stamp(segment: Segment) -> tuple[int, int] | None:
    """What changes when another process writes the sidecar anew."""
    try:
        found, beside = note_path(segment).stat(), parquet_path(segment).stat()
    except OSError:
        return None
    return found.st_mtime_ns, beside.st_mtime_ns
