"""The parts of an archive as they are now: each segment's sidecar and the lines it does not cover yet, in columns.

The law: what was decoded once is not decoded again while this lives. A row's number, counted in the order of its segment's
lines, stays the same from its first sight in the tail to the sealed sidecar.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from whence.archive import names
from whence.archive.reader import Archive, Segment
from whence.archive.scan import Problem
from whence.filter.needs import RANGES, Need
from whence.index.arrays import read_arrays
from whence.index.background import build_all
from whence.index.build import ROWS_AT_ONCE, Reading, joined
from whence.index.columns import SCHEMA
from whence.index.sidecar import Note, load_note, note_path, parquet_path, source_of, terms_path
from whence.index.terms import Keys, Mask, Terms

WORTHWHILE: Final = 256 << 10
"""Plain bytes without a sidecar, in all of the archive, from which on sidecars are written: fewer are parsed in 20 ms."""
_MUCH: Final = 16 << 20
"""Bytes without a sidecar from which on all cores make sidecars: a second's work of one."""
_TIME: Final = RANGES.index("time")


class Identity(NamedTuple):
    """What tells a segment, or a version of a file of another writer, from all others. Its rows keep their numbers."""

    stem: str
    source: tuple[int, int] | None


@dataclass(slots=True)
class Part:
    """One segment: its sidecar, if it has one, and the columns of what the sidecar does not cover, block by block.

    A block is a row group of the sidecar, or behind those a batch of the tail. What a part says stays as it is while it lives:
    when more was written, another takes its place, so that answers which are under way are of one moment.
    """

    segment: Segment
    note: Note | None
    reading: Reading
    tail: list[pa.RecordBatch] = field(default_factory=list)
    source: tuple[int, int] | None = None
    seen: tuple[int, int] | None = None
    _file: pq.ParquetFile | None = None
    _terms: Terms | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def path(self) -> Path:
        """The sidecar's columns."""
        return parquet_path(self.segment)

    @property
    def identity(self) -> Identity:
        """See `Identity`."""
        return Identity(self.segment.stem, self.source)

    @property
    def key(self) -> tuple[str, int, int, int]:
        """What changes whenever the part does."""
        note = self.note
        return (self.segment.stem, note.columns.crc32 if note else 0, self.covered, sum(map(len, self.tail)))

    @property
    def covered(self) -> int:
        """Rows that the sidecar covers."""
        return self.note.rows if self.note else 0

    @property
    def rows(self) -> int:
        """Rows in all."""
        return self.covered + sum(map(len, self.tail))

    def problems(self) -> list[Problem]:
        """What had to be skipped in it."""
        return self.reading.problems

    def opened(self) -> tuple[pq.ParquetFile, Terms]:
        """The sidecar's columns and terms. Raises OSError where they are gone or are no such files any more."""
        if self._file is None or self._terms is None:
            found = read_arrays(terms_path(self.segment))
            if found is None:
                raise OSError(f"{terms_path(self.segment)} is damaged")
            self._file = pq.ParquetFile(self.path, memory_map=True)
            self._terms = Terms(found[1])
        return self._file, self._terms

    def firsts(self) -> list[int]:
        """The number of each block's first row, and behind the last one the number of rows."""
        ends = [*range(0, self.covered, ROWS_AT_ONCE), self.covered] if self.covered else [0]
        for batch in self.tail:
            ends.append(ends[-1] + len(batch))
        return ends

    def times(self) -> Any:
        """The least and the greatest time of each block, as an array of two columns."""
        covered = [self.opened()[1].ranges[:, _TIME]] if self.covered else []
        found = [pc.min_max(batch.column("time")) for batch in self.tail]
        tail = [[each["min"].as_py(), each["max"].as_py()] for each in found]
        return np.concatenate([*covered, np.array(tail, np.int64).reshape(-1, 2)])

    def blocks_for(self, need: Need, keys: Keys) -> Mask:
        """The blocks in which an event may have what is needed, all of the tail's among them; None for every block."""
        mask = self.opened()[1].blocks_for(need, keys) if self.covered else np.zeros(0, bool)
        return None if mask is None else np.concatenate([mask, np.ones(len(self.tail), bool)])

    def block(self, number: int, columns: Sequence[str]) -> pa.Table:
        """Some columns of one block."""
        return self.blocks([number], columns)

    def blocks(self, numbers: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Some columns of some blocks, given in ascending order."""
        count = -(-self.covered // ROWS_AT_ONCE)
        tables = []
        groups = [number for number in numbers if number < count]
        if groups:
            with self._lock:  # a Parquet file's reader is one thread's at a time
                found = self.opened()[0].read_row_groups(groups, columns=list(columns))
            tables.append(found.select(list(columns)))
        tables += [
            pa.Table.from_batches([self.tail[number - count].select(list(columns))])
            for number in numbers
            if number >= count
        ]
        schema = pa.schema([SCHEMA.field(name) for name in columns])
        return pa.concat_tables([table.cast(schema) for table in tables]) if tables else schema.empty_table()

    def columns(self, columns: Sequence[str], first: int = 0) -> Iterator[pa.RecordBatch]:
        """Some columns from a row on, in the order of the lines."""
        firsts = self.firsts()
        wanted = [number for number in range(len(firsts) - 1) if firsts[number + 1] > first]
        for start in range(0, len(wanted), 8):
            numbers = wanted[start : start + 8]
            table = self.blocks(numbers, columns)
            yield from table.slice(max(first - firsts[numbers[0]], 0)).to_batches()


class Parts:
    """All parts of an archive, in reading order."""

    def __init__(self, archive: Archive, *, keep: bool = True, worthwhile: int = WORTHWHILE) -> None:
        """`keep`: whether sidecars may be written beside the segments; `worthwhile` as `WORTHWHILE`."""
        self.archive = archive
        self.parts: list[Part] = []
        self.keep = keep
        self.version = 0
        """What changes whenever a part does."""
        self._worthwhile = worthwhile
        self._listed = 0
        self._standing: dict[str, tuple[Segment, Any]] = {}
        """The segments that may still grow, and how they were when they were last looked at."""

    def look(self) -> bool:
        """Bring everything up to date; whether anything changed."""
        listed = self.archive.listed()
        if listed == self._listed and all(_standing(segment) == was for segment, was in self._standing.values()):
            return False
        before = [part.key for part in self.parts]
        known = {part.segment.stem: part for part in self.parts}
        segments = [segment for segment in self.archive.segments() if segment.signal != "metrics"]
        standing = {segment.stem: (segment, _standing(segment)) for segment in segments}
        self.parts = [self._part(segment, known.get(segment.stem)) for segment in segments]
        if self.keep:
            self._build()
        self.parts = [_read_on(part) for part in self.parts]
        self._listed = listed
        self._standing = {part.segment.stem: standing[part.segment.stem] for part in self.parts if not _is_final(part)}
        changed = before != [part.key for part in self.parts]
        self.version += changed
        return changed

    def problems(self) -> list[Problem]:
        """What had to be skipped, each once."""
        return list(dict.fromkeys(problem for part in self.parts for problem in part.problems()))

    def rows(self) -> int:
        """How many events there are, those that stand twice counted twice."""
        return sum(part.rows for part in self.parts)

    def tail(self) -> pa.Table:
        """What no sidecar covers."""
        return pa.Table.from_batches([batch for part in self.parts for batch in part.tail], SCHEMA)

    def columns(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of everything, in reading order."""
        for part in self.parts:
            yield from part.columns(columns)

    def _part(self, segment: Segment, known: Part | None) -> Part:
        if known and known.note and known.note.sealed:
            known.segment = segment
            return known
        source = source_of(segment)
        if known and known.source == source and (known.note is None or known.seen == _stamp(segment)):
            known.segment = segment
            return known
        seen = _stamp(segment)
        note = load_note(segment)
        reading = Reading(segment, note.bytes if note else 0, note.found() if note else [])
        return Part(segment, note, reading, [], source, seen)

    def _build(self) -> None:
        sizes = {part.segment.stem: size for part in self.parts if (size := _uncovered(part)) > 0}
        total = sum(sizes.values())
        if total < self._worthwhile:
            return
        due = {
            part.segment.stem: part
            for part in self.parts
            if part.segment.stem in sizes
            and (
                part.note is None
                or sizes[part.segment.stem] >= max(self._worthwhile, part.note.bytes // 4)
                or _is_done(part)
            )
        }
        processes = None if total >= _MUCH and len(due) > 1 else 1
        built = build_all([part.segment for part in due.values()], processes)
        self.parts = [_with_note(part, note) if (note := built.get(part.segment.stem)) else part for part in self.parts]


def _with_note(part: Part, note: Note) -> Part:
    """The part with a new sidecar. Whoever still reads the former one goes on with that."""
    reading = Reading(part.segment, note.bytes, note.found())
    return Part(part.segment, note, reading, [], part.source, _stamp(part.segment))


def _is_final(part: Part) -> bool:
    """Whether the sidecar covers a segment that is sealed: nothing follows."""
    return part.note is not None and part.note.sealed is not None


def _standing(segment: Segment) -> Any:
    """What changes when more is written to a segment, its folder staying as it is."""
    if segment.name is None:
        return source_of(segment)
    try:
        found = os.stat(f"{segment.base}{names.PLAIN}")  # noqa: PTH116 - asked by every question
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read_on(part: Part) -> Part:
    """The part with what was written behind what is known already, decoded."""
    if part.note and (part.note.sealed or part.source is not None):
        return part  # nothing follows, or a file of another writer, which is covered as a whole
    if part.source is not None and part.reading.end:
        return part
    part.reading.segment = part.segment
    part.reading.problems = [problem for problem in part.reading.problems if problem.kind != "tail"]
    more = list(part.reading.batches())
    if not more:
        return part
    tail = list(part.tail)
    for batch in more:
        tail.append(batch)
        while len(tail) > 1 and len(tail[-2]) + len(tail[-1]) <= ROWS_AT_ONCE:
            tail[-2:] = [joined(tail[-2:])]
    return replace(part, tail=tail)


def _is_done(part: Part) -> bool:
    """Whether the segment is sealed, so that nothing will follow."""
    return part.segment.path(names.SEALED).exists() if part.segment.name else False


def _uncovered(part: Part) -> int:
    """Plain bytes (compressed ones, where only they are known) that no sidecar covers."""
    if part.note and (part.note.sealed or part.source is not None):
        return 0
    length = part.segment.length() or (part.source[0] if part.source else 0)
    return max(length - (part.note.bytes if part.note else 0), 0)


def _stamp(segment: Segment) -> tuple[int, int] | None:
    """What changes when another process writes the sidecar anew."""
    try:
        found, beside = note_path(segment).stat(), parquet_path(segment).stat()
    except OSError:
        return None
    return found.st_mtime_ns, beside.st_mtime_ns
