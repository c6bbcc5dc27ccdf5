"""Closing a segment for good: the seal that says what it holds, and its compressed form.

The law: contents before names, new before old. Each step is durable before the next, repeating one does no harm, and the
plain file goes only after the compressed one was read back from disk and found equal to the seal.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from whence.archive import frames, names
from whence.archive.digested import digest_of, parsed, text_of
from whence.archive.folder import names_in, read_whole, sync_file, write_whole
from whence.archive.names import Stem
from whence.archive.roll import enrol
from whence.archive.tally import Tally
from whence.archive.tombstone import parse_tombstone
from whence.errors import DataError

VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What a closed segment holds, written beside it as `<stem>.seal.json`."""

    segment: str
    bytes: int
    """Plain bytes; whatever stands behind them in the file is not part of the archive."""
    lines: int
    records: int
    sha256: str
    """Of the plain bytes, in hex."""
    first_time: int
    """Nanoseconds, the least record time; 0 where no record has one."""
    last_time: int
    previous: str | None
    """The `digest` of the seal before this one (same writer, group and signal, one less in number), if there was one."""
    notes: Mapping[str, Any]
    """Trouble it went through: `recovered`, `torn` (bytes set aside), `suspect` (a sync failed)."""
    version: int = VERSION

    @property
    def digest(self) -> str:
        """SHA-256 over every field: what the next seal names, and what shows a changed seal."""
        return digest_of(self)


def parse_seal(data: bytes) -> Seal:
    """The seal in its file. Raises DataError where one bit is different."""
    return parsed(data, "a seal", VERSION, Seal)


def read_seal(folder: int, stem: str) -> Seal | None:
    """The seal of a segment, or None where there is none. Raises DataError where it is damaged, OSError."""
    try:
        return parse_seal(read_whole(folder, stem + names.SEALED))
    except FileNotFoundError:
        return None


def seal_segment(folder: int, stem: Stem, tally: Tally, chunks: Iterable[bytes], notes: Mapping[str, Any]) -> Seal:
    """Write the seal of a segment whose bytes, `chunks` as they are read from its file, are durable. Raises OSError."""
    sha = hashlib.sha256()
    for chunk in chunks:
        sha.update(chunk)
    seal = Seal(
        segment=stem.text,
        bytes=tally.bytes,
        lines=tally.lines,
        records=tally.records,
        sha256=sha.hexdigest(),
        first_time=tally.first_time,
        last_time=tally.last_time,
        previous=_previous(folder, stem),
        notes=notes,
    )
    write_whole(folder, stem.text + names.SEALED, [text_of(seal)])
    enrol(folder, seal.segment, seal.digest)
    return seal


def _previous(folder: int, stem: Stem) -> str | None:
    if stem.n == 1:
        return None
    before = f"-{stem.writer}-{stem.n - 1:06d}"
    for name in names_in(folder):
        if not name.startswith(stem.signal):
            continue
        with suppress(DataError, FileNotFoundError):
            if name.endswith(before + names.SEALED):
                return parse_seal(read_whole(folder, name)).digest
            if name.endswith(before + names.REMOVED):
                return parse_tombstone(read_whole(folder, name)).seal
    return None


def compress_segment(folder: int, seal: Seal, fd: int, go_on: Callable[[], None] = lambda: None) -> None:
    """Put `<stem>.jsonl.zst` in the place of the plain file, which is open as `fd`, and whose lock the caller holds.

    `go_on` is called now and then: what it raises ends the work, and the plain file stays as it is. Raises OSError, and
    DataError where what is read back is not what is in the plain file, or that is shorter than its seal says.
    """
    name = seal.segment + names.COMPRESSED
    temporary = name + names.TEMPORARY
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    copy = os.open(temporary, flags, names.FILE_MODE, dir_fd=folder)
    try:
        with open(copy, "r+b", closefd=False) as file:
            for piece in frames.compress_stream(read_plain(fd, seal.bytes)):
                file.write(piece)
                go_on()
        sync_file(copy)
        _forget_cache(copy)
        if not _is_copy(copy, fd, seal.bytes):
            raise DataError(f"cannot compress {seal.segment}: what was written is not what is read back")
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except (OSError, DataError):
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    finally:
        os.close(copy)
    remove_plain(folder, seal.segment)


def remove_plain(folder: int, stem: str) -> None:
    """Remove the plain file of a segment whose compressed one is durable and was compared. Raises OSError."""
    with suppress(FileNotFoundError):
        os.unlink(stem + names.PLAIN, dir_fd=folder)
    os.fsync(folder)


def read_plain(fd: int, length: int) -> Iterator[bytes]:
    """The first `length` bytes of a file, or as many as it has. Raises OSError."""
    at = 0
    while at < length:
        chunk = os.pread(fd, min(names.READ_BYTES, length - at), at)
        if not chunk:
            return
        at += len(chunk)
        yield chunk


def matches(fd: int, seal: Seal) -> bool:
    """Whether a compressed file holds exactly the bytes its seal tells of, and every bit of it is as it was written."""
    sha, total = hashlib.sha256(), 0
    try:
        for expanded in _expanded(fd):
            sha.update(expanded)
            total += len(expanded)
    except DataError:
        return False
    return (total, sha.hexdigest()) == (seal.bytes, seal.sha256)


def _is_copy(fd: int, plain: int, length: int) -> bool:
    """Whether a compressed file holds the first `length` bytes of a plain one. Much quicker than `matches`."""
    total = 0
    try:
        for expanded in _expanded(fd):
            if expanded != os.pread(plain, len(expanded), total):
                return False
            total += len(expanded)
    except DataError:
        return False
    return total == length


def _expanded(fd: int) -> Iterator[bytes]:
    """What each frame of a compressed file stands for. Raises DataError where a bit of it is not as it was written, OSError."""
    size = os.fstat(fd).st_size
    table = frames.table_bytes(os.pread(fd, frames.FOOTER_BYTES, max(0, size - frames.FOOTER_BYTES)))
    found = frames.parse_table(os.pread(fd, table, size - table), size) if table and table <= size else None
    if not found or found[-1].plain:
        raise DataError("cannot read a compressed file: its table is not whole")
    packed = hashlib.sha256()
    for frame in found[:-1]:
        data = os.pread(fd, frame.size, frame.at)
        packed.update(data)
        yield frames.expand_frame(data, frame.plain)
    rest = frames.hash_frame(packed.digest()) + frames.seek_table([(f.size, f.plain) for f in found])
    if os.pread(fd, size, found[-1].at) != rest:
        raise DataError("cannot read a compressed file: its bytes are not those of its hash")


def _forget_cache(fd: int) -> None:
    """Ask the kernel to drop its copy of a synced file, so that reading it back reads the device."""
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def lock(fd: int) -> bool:
    """Take a segment's lock if nobody has it. Held until the descriptor is closed."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
