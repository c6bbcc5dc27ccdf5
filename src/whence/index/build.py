"""Making sidecars: the lines of a segment decoded once, into columns, and put on disk beside it.

The law: contents before names. A build can be cut off anywhere, repeated, and run by several processes at once; where the
disk takes no sidecar, the columns are kept in memory instead and the answers are the same.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from whence.archive import names
from whence.archive.folder import sync_folder_at
from whence.archive.reader import Segment, StoredLine
from whence.archive.scan import Problem
from whence.errors import DataError
from whence.filter.needs import RANGES
from whence.index.arrays import stamp_of, write_arrays
from whence.index.columns import SCHEMA, VERSION
from whence.index.lines import batches_of
from whence.index.sidecar import Note, load_note, note_path, parquet_path, source_of, terms_path, write_note
from whence.index.terms import Terms, TermsBuilder

ROWS_AT_ONCE: Final = 1 << 12
"""Rows of a row group: what is read to look at one of them (2 ms), and a block of the lists of terms."""
_AT_ONCE: Final = 4 << 20
"""Bytes of lines that are held at once."""
_DICTIONARIES: Final = [
    "type", "kind", "source", "run", "agent", "task", "stage", "status", "correlation", "resource", "scope", "schema",
    "trace_id", "span_id", "parent_span_id", "signal", "_stem", "_process",
]  # fmt: skip


@dataclass(slots=True)
class Reading:
    """How far the lines of a segment were read, and what was found besides events."""

    segment: Segment
    end: int
    """The plain offset behind the last whole line that was read."""
    problems: list[Problem]
    rows: int = 0

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The events behind `end`, in batches; `end` moves on with them."""
        held: list[StoredLine] = []
        marks: list[int] = []
        size = 0
        for line in self.segment.lines(self.problems, start=self.end):
            if line.place.offset < self.end:
                continue
            held.append(line)
            marks.append(len(self.problems))
            size += len(line.data)
            if size >= _AT_ONCE:
                yield from self._batches(held, marks)
                held, marks, size = [], [], 0
        yield from self._batches(held, marks)

    def _batches(self, held: list[StoredLine], marks: list[int]) -> Iterator[pa.RecordBatch]:
        """The events of lines; `marks`: how many problems were known when each of them was read."""
        told = 0

        def tell(number: int, cause: str) -> None:
            nonlocal told
            line = held[number]
            problem = Problem(self.segment.stem, line.place.offset, len(line.data), "bad line", cause)
            self.problems.insert(marks[number] + told, problem)
            told += 1

        for batch in batches_of(self.segment.stem, [(line.place.offset, line.data) for line in held], tell):
            self.rows += len(batch)
            yield batch
        if held:
            self.end = held[-1].place.offset + len(held[-1].data) + 1


def joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches of one schema, at least one, as one."""
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def build_sidecar(segment: Segment) -> Note | None:
    """Make or bring up to date the sidecar of a segment; what an older one covers is not parsed again.

    None where the disk takes none, another process is at it, or the segment is encrypted: what is closed to others must not
    lie open beside it.
    """
    if _is_encrypted(segment):
        return None
    try:
        with _locked(segment) as temporary:
            note = None if temporary is None else _build(segment, temporary)
        if not _is_encrypted(segment):
            return note
        for path in (note_path(segment), terms_path(segment), parquet_path(segment)):  # it was encrypted meanwhile
            path.unlink(missing_ok=True)
    except OSError:
        pass
    return None


def _is_encrypted(segment: Segment) -> bool:
    return segment.path(names.ENCRYPTED).exists()


def _build(segment: Segment, temporary: Path) -> Note:
    old = load_note(segment)
    source = source_of(segment)
    try:
        seal = segment.read_seal()
    except DataError:
        seal = None
    if old is not None and old.sealed == (seal.sha256 if seal else None) and seal is not None:
        return old
    reading = Reading(segment, old.bytes if old else 0, old.found() if old else [], old.rows if old else 0)
    terms = TermsBuilder()
    metadata = {"whence.version": str(VERSION), "whence.sealed": seal.sha256 if seal else ""}
    with pq.ParquetWriter(temporary, SCHEMA.with_metadata(metadata), **_options()) as writer:
        known = pq.ParquetFile(parquet_path(segment)).iter_batches(ROWS_AT_ONCE) if old else iter(())
        for batch in _blocks(chain((batch.cast(SCHEMA) for batch in known), reading.batches())):
            writer.write_batch(batch, row_group_size=ROWS_AT_ONCE)
            terms.add(batch)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    arrays = terms.finish()
    times = Terms(arrays).ranges[:, RANGES.index("time")]
    beside = temporary.with_name(temporary.name.replace(names.INDEX, names.INDEX_TERMS))
    write_arrays(beside, {"version": VERSION, "stem": segment.stem}, arrays)
    note = Note(
        stem=segment.stem,
        sealed=seal.sha256 if seal else None,
        source=source,
        bytes=seal.bytes if seal else reading.end,
        rows=reading.rows,
        first_time=int(times[:, 0].min()) if len(times) else 0,
        last_time=int(times[:, 1].max()) if len(times) else 0,
        problems=[
            (problem.segment, problem.offset, problem.length, problem.kind, problem.detail)
            for problem in reading.problems
            if seal or source or problem.offset < reading.end
        ],
        columns=stamp_of(temporary),
        terms=stamp_of(beside),
    )
    with suppress(FileNotFoundError):
        note_path(segment).unlink()
    temporary.rename(parquet_path(segment))
    beside.rename(terms_path(segment))
    sync_folder_at(temporary.parent)
    write_note(segment, note)
    return note


def _blocks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in full blocks, as the lists of terms count them; only the last one may be short."""
    ready: list[pa.RecordBatch] = []
    for batch in batches:
        ready.append(batch)
        if sum(map(len, ready)) >= ROWS_AT_ONCE:
            whole = joined(ready)
            ends = len(whole) // ROWS_AT_ONCE * ROWS_AT_ONCE
            for start in range(0, ends, ROWS_AT_ONCE):
                yield whole.slice(start, ROWS_AT_ONCE)
            ready = [whole.slice(ends)] if ends < len(whole) else []
    if ready:
        yield joined(ready)


def _options() -> dict[str, Any]:
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": _DICTIONARIES,
    }


@contextmanager
def _locked(segment: Segment) -> Iterator[Path | None]:
    """The name to write to, ours alone while this lasts; None while another process has it. Raises OSError."""
    path = parquet_path(segment)
    temporary = path.with_name(path.name + names.TEMPORARY)
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, names.FILE_MODE)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.fstat(fd).st_ino == temporary.stat().st_ino
        except (BlockingIOError, FileNotFoundError):
            mine = False
        yield temporary if mine else None
    finally:
        if mine:
            with suppress(OSError):
                if os.fstat(fd).st_ino == temporary.stat().st_ino:
                    temporary.unlink()
        os.close(fd)
