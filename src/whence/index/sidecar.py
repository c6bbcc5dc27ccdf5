"""A segment's sidecar on disk: its columns, its terms, and the note that says what they cover and that they are whole.

The law: a sidecar counts only where its note is whole and of this version, and its bytes are those the note was written for.
"""

import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from whence.archive import names
from whence.archive.folder import sync_folder_at
from whence.archive.reader import Segment
from whence.archive.scan import Problem
from whence.errors import DataError
from whence.index.arrays import Stamp, checked, replace_file
from whence.index.columns import VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a sidecar covers: the first `bytes` plain bytes of its segment, and everything found in them."""

    stem: str
    sealed: str | None
    """The seal's sha256; None of a segment that was still open, or that has no seal."""
    source: tuple[int, int] | None
    """Size and modification time of a file that is no segment of ours and may change as a whole; else None."""
    bytes: int
    rows: int
    first_time: int
    last_time: int
    problems: Sequence[tuple[Any, ...]]
    """What had to be skipped, as `archive.scan.Problem`s."""
    columns: Stamp
    """Of the Parquet file."""
    terms: Stamp
    version: int = VERSION

    def found(self) -> list[Problem]:
        """The problems as the archive's reader tells them."""
        return [Problem(*fields) for fields in self.problems]


def parquet_path(segment: Segment) -> Path:
    """Where the sidecar of a segment is."""
    return segment.path(names.INDEX)


def terms_path(segment: Segment) -> Path:
    """Where the sidecar's terms are."""
    return segment.path(names.INDEX_TERMS)


def note_path(segment: Segment) -> Path:
    """Where the sidecar's note is."""
    return segment.path(names.INDEX_NOTE)


def source_of(segment: Segment) -> tuple[int, int] | None:
    """What tells that a file of another writer is still the same; None for segments of ours, which only ever grow."""
    if segment.name is not None:
        return None
    try:
        fd, _ = segment.open()
    except OSError:
        return (-1, -1)
    try:
        found = os.fstat(fd)
        return found.st_size, found.st_mtime_ns
    finally:
        os.close(fd)


def load_note(segment: Segment) -> Note | None:
    """The note of a sidecar that is whole and fits its segment as it is now; None where there is none."""
    try:
        checksum, _, text = note_path(segment).read_bytes().partition(b"\n")
        if int(checksum, 16) != zlib.crc32(text):
            return None
        fields = orjson.loads(text)
        fields["source"] = tuple(fields["source"]) if fields["source"] else None
        fields |= {name: Stamp(*fields[name]) for name in ("columns", "terms")}
        note = Note(**fields)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if note.version != VERSION or note.stem != segment.stem or note.source != source_of(segment):
        return None
    return note if _fits(note, segment) and _is_whole(note, segment) else None


def _fits(note: Note, segment: Segment) -> bool:
    """Whether the segment still begins with the bytes that were indexed."""
    try:
        seal = segment.read_seal()
    except (DataError, OSError):
        return False
    if seal is not None:
        return note.sealed == seal.sha256 or (note.sealed is None and note.bytes <= seal.bytes)
    if note.sealed is not None:
        return False
    if note.source is not None:
        return True
    with suppress(OSError):
        return segment.path(names.PLAIN).stat().st_size >= note.bytes
    return False


def _is_whole(note: Note, segment: Segment) -> bool:
    """Whether both files are as the note says; where only their times changed, the note learns the new ones."""
    try:
        columns = checked(parquet_path(segment), note.columns)
        terms = checked(terms_path(segment), note.terms)
    except OSError:
        return False
    if columns is None or terms is None:
        return False
    if (columns, terms) != (note.columns, note.terms):
        with suppress(OSError):
            write_note(segment, replace(note, columns=columns, terms=terms))
    return True


def write_note(segment: Segment, note: Note) -> None:
    """Put the note in place, whole or not at all. Raises OSError."""
    text = orjson.dumps(
        {name: tuple(value) if isinstance(value, Stamp) else value for name, value in asdict(note).items()}
    )
    replace_file(note_path(segment), f"{zlib.crc32(text):08x}\n".encode() + text)
    sync_folder_at(segment.base.parent)
