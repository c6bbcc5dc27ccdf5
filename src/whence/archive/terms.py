"""What a writer is told, what it tells, and when which of its duties is due.

The law: pure. `now` is given, in seconds of the monotonic clock.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from whence.archive import names

State = Literal["ok", "holding", "closed"]

_WHY: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EIO: "the device reports an input/output error",
    errno.EMFILE: "this process has too many files open",
    errno.ENFILE: "the system has too many files open",
    errno.EFBIG: "the file size limit is reached",
    errno.ELOOP: "a symbolic link stands where the directory was",
    errno.ENOTDIR: "a file stands where a directory belongs",
}


class Durability(StrEnum):
    """What is safe when. A killed process loses nothing it has appended, at any level; a power cut may."""

    INTERVAL = "interval"
    """Written at once, on the device within `sync_seconds` or `sync_bytes`: a power cut costs that much."""
    DURABLE = "durable"
    """Put on the device at once; `wait` says when. Many waiters share one sync."""
    NONE = "none"
    """Written at once, left to the system to put on the device: a power cut may cost half a minute."""


@dataclass(frozen=True, slots=True)
class WriterOptions:
    """How an archive is written. Sizes in bytes, times in seconds."""

    durability: Durability = Durability.INTERVAL
    rotate_bytes: int = 500_000_000
    rotate_seconds: float | None = None
    sync_seconds: float = 0.1
    sync_bytes: int = 1 << 20
    compress_over: int | None = 1 << 20
    """Closed segments longer than this are compressed; None: never."""
    encrypt_to: tuple[str, ...] = ()
    """Age public keys (`age1...`) that closed segments are encrypted to, all of them then compressed first."""
    hold_bytes: int = 64 << 20
    """Memory for lines that the disk does not take (and, apart from it, for lines that are not synced yet)."""
    on_trouble: Literal["hold", "refuse"] = "hold"
    """While the disk is in trouble: keep new lines in memory, or raise StorageError to whoever brings them."""
    open_segments: int = names.OPEN_SEGMENTS
    """Files of as many groups and signals are written at once; one more closes the one unused longest."""
    probe_seconds: float = 1.0
    """How often a disk in trouble is tried again."""
    on_sealed: Callable[[Path, int], None] | None = None
    """Told, while the writer goes on, the archive's directory and the plain bytes of a segment that was sealed. Must not take
    long; what it raises is logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterStatus:
    """What a writer did so far and how it is."""

    state: State
    reason: str | None
    """Why it is holding, in words."""
    durability: Durability
    bytes: int
    """Written to files; so are lines and records."""
    lines: int
    records: int
    held_bytes: int
    held_records: int
    """Waiting in memory for a disk in trouble."""
    refused_records: int
    """Not taken, because that memory was full or the writer was told to refuse."""
    suspect_bytes: int
    """Written, but a sync of them failed and they were no longer in memory: a power cut may cost them."""
    syncs: int
    sync_failures: int
    repairs: int
    """Lines or files put right: written anew after a failed sync or a deleted directory, tails of crashed writers."""
    segments_open: int
    segments_waiting: int
    """Closed and not sealed yet."""
    segments_sealed: int
    last_error: str | None
    """The last trouble of any kind, also when it is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseReport:
    """What became of everything when a writer was closed."""

    records_unwritten: int
    bytes_unwritten: int
    """In memory only, and lost when the process ends."""
    bytes_unsynced: int
    """In files, but not known to be on the device."""
    segments_unsealed: int
    """Whole and safe; the next writer in this directory seals them."""
    reason: str | None
    """Why something is not on the device; None where everything is."""


def explain(trouble: OSError) -> str:
    """An OSError in words a user can act on."""
    code = trouble.errno or 0
    return _WHY.get(code) or trouble.strerror or (os.strerror(code) if code else str(trouble))


def rotation_due(options: WriterOptions, written: int, adding: int, age: float) -> bool:
    """Whether a segment is to be closed before `adding` bytes go in; an empty one never is."""
    if not written:
        return False
    return written + adding > options.rotate_bytes or (
        options.rotate_seconds is not None and age >= options.rotate_seconds
    )


def sync_in(options: WriterOptions, unsynced: int, since: float | None, demanded: bool, now: float) -> float | None:
    """In how many seconds a sync is due: 0 now, None never. `since` when the oldest unsynced line was written."""
    if demanded:
        return 0.0
    if since is None or options.durability == Durability.NONE:
        return None
    if options.durability == Durability.DURABLE or unsynced >= options.sync_bytes:
        return 0.0
    return max(0.0, since + options.sync_seconds - now)


def earliest(*waits: float | None) -> float | None:
    """The shortest of several waits, where None is for ever."""
    return min((wait for wait in waits if wait is not None), default=None)
