"""A segment's sidecar on disk: its Parquet file, and the note beside it that says what the file covers and that it is whole.

The law: a sidecar counts only where its note is whole and of this version, and its bytes are those the note was written for.
"""

import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from whence.archive import names
from whence.archive.folder import sync_folder_at
from whence.archive.reader import Segment
from whence.archive.scan import Problem
from whence.errors import DataError
from whence.index.columns import VERSION

_STEP: Final = 8 << 20


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
    size: int
    """Of the Parquet file, with `modified` and `crc32`: the same size and time are taken for the same bytes."""
    modified: int
    crc32: int
    version: int = VERSION

    def found(self) -> list[Problem]:
        """The problems as the archive's reader tells them."""
        return [Problem(*fields) for fields in self.problems]


def parquet_path(segment: Segment) -> Path:
    """Where the sidecar of a segment is."""
    return segment.base.with_name(segment.base.name + names.INDEX)


def note_path(segment: Segment) -> Path:
    """Where the sidecar's note is."""
    return segment.base.with_name(segment.base.name + names.INDEX_NOTE)


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
        source = fields.pop("source")
        note = Note(source=tuple(source) if source else None, **fields)
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
        return segment.base.with_name(segment.base.name + names.PLAIN).stat().st_size >= note.bytes
    return False


def _is_whole(note: Note, segment: Segment) -> bool:
    path = parquet_path(segment)
    try:
        found = path.stat()
        if found.st_size != note.size:
            return False
        if found.st_mtime_ns == note.modified:
            return True
        if file_crc(path) != note.crc32:
            return False
        with suppress(OSError):
            write_note(segment, Note(**{**_fields(note), "modified": found.st_mtime_ns}))
        return True
    except OSError:
        return False


def file_crc(path: Path) -> int:
    """The CRC-32 of a file's bytes. Raises OSError."""
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(_STEP):
            crc = zlib.crc32(piece, crc)
    return crc


def write_note(segment: Segment, note: Note) -> None:
    """Put the note in place, whole or not at all. Raises OSError."""
    text = orjson.dumps(asdict(note))
    path = note_path(segment)
    temporary = path.with_name(path.name + names.TEMPORARY)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, names.FILE_MODE)
    with os.fdopen(fd, "wb") as file:
        file.write(f"{zlib.crc32(text):08x}\n".encode() + text)
        file.flush()
        os.fsync(fd)
    temporary.rename(path)
    sync_folder_at(path.parent)


def _fields(note: Note) -> dict[str, Any]:
    return {name: getattr(note, name) for name in Note.__slots__}
