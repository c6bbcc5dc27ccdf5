"""One open segment: a file of this process that lines are appended to, with the bytes kept until they are surely on disk.

The law: whole lines only. A file is never synced again once a sync of it failed, and never appended to by another process.
"""

import errno
import fcntl
import os
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from whence.archive import names
from whence.archive.folder import open_group, open_root, sync_file, write_all
from whence.archive.names import Signal, Stem
from whence.archive.tally import Tally
from whence.otlp.page import Line

_CREATE = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LARGE: Final = 1 << 14
"""Bytes of a line from which on it is not copied before it is written."""


class Batch(NamedTuple):
    """Lines of one append, or what is left of it: as they are held in memory."""

    ticket: int
    group: str
    signal: Signal
    lines: Sequence[Line]

    @property
    def bytes(self) -> int:
        return sum(len(line.data) for line in self.lines)

    @property
    def records(self) -> int:
        return sum(line.records for line in self.lines)


@dataclass(slots=True, eq=False)
class OpenSegment:
    """A segment being written. All methods but `sync` must be called under the writer's lock."""

    root: Path
    group: str
    stem: Stem
    fd: int
    opened: float
    """On the monotonic clock: rotation by age is not fooled by a clock that is set."""
    written: Tally = field(default_factory=Tally)
    synced: Tally = field(default_factory=Tally)
    held: deque[Batch] = field(default_factory=deque)
    """What was appended since the last sync that succeeded."""
    held_bytes: int = 0
    unheld: bool = False
    """Some unsynced bytes are not in `held`: they could not be written anew if a sync fails."""
    first_ticket: int | None = None
    """The first append that no sync has been begun for."""
    syncing_ticket: int | None = None
    """The first append that the sync now running covers."""
    poisoned: bool = False
    """A sync of this file failed: the kernel may have thrown pages away and will not say so again."""
    cut: bool = False
    """A part of a line stands behind the good bytes and could not be taken back: nothing may follow it."""
    uncounted: bool = False
    """An append was interrupted (Ctrl-C): the file may hold more than was counted, so it is sealed by looking at it."""
    named: bool = False
    """Its name is durable."""
    notes: dict[str, object] = field(default_factory=dict)
    """What its seal shall say besides."""
    name: str = field(init=False)
    path: str = field(init=False)
    """Looked at after every sync, so made once."""

    def __post_init__(self) -> None:
        self.name = self.stem.text + names.PLAIN
        self.path = str(self.root / self.group / self.name)

    @property
    def unsynced(self) -> int:
        return self.written.bytes - self.synced.bytes

    @property
    def dirty(self) -> bool:
        return self.first_ticket is not None

    @property
    def oldest_ticket(self) -> int | None:
        """The first append that is not known to be on disk."""
        return self.syncing_ticket if self.syncing_ticket is not None else self.first_ticket

    def append(self, batch: Batch, keep: bool) -> tuple[int, OSError | None]:
        """Write the batch's lines, and keep them until synced if `keep`. Gives how many lines are in the file, and what
        stopped the others: a line that was cut is taken back, whole ones stay (a reader may have seen them)."""
        self.uncounted = True  # until the end of this method, whatever a signal's handler raises in between
        lines = batch.lines
        done, trouble = write_all(self.fd, *_pieces(lines))
        if trouble:
            lines = self._take_back(lines, done)
        if lines:
            size = self.written.bytes
            self.written.add(lines)
            if self.first_ticket is None:
                self.first_ticket = batch.ticket
            if keep:
                self.held.append(batch._replace(lines=lines))
                self.held_bytes += self.written.bytes - size
            else:
                self.unheld = True
        self.uncounted = False
        return len(lines), trouble

    def _take_back(self, lines: Sequence[Line], done: int) -> Sequence[Line]:
        """The lines that are whole in the file after `done` bytes; what stands behind them is taken out of it."""
        count = whole = 0
        while whole + len(lines[count].data) <= done:
            whole += len(lines[count].data)
            count += 1
        if done > whole:
            try:
                os.ftruncate(self.fd, self.written.bytes + whole)
            except OSError:
                self.cut = True
        return lines[:count]

    def let_go(self) -> int:
        """Stop holding the oldest unsynced lines; gives how many bytes of memory that frees."""
        if not self.held:
            return 0
        size = self.held.popleft().bytes
        self.held_bytes -= size
        self.unheld = True
        return size

    def take_held(self) -> deque[Batch]:
        """Hand over the unsynced lines; this file is not asked to sync them any more."""
        lines, self.held = self.held, deque()
        self.held_bytes, self.first_ticket, self.syncing_ticket, self.unheld = 0, None, None, False
        return lines

    def remove(self) -> bool:
        """Remove the file; whether that was possible."""
        try:
            with open_group(self.root, self.group) as folder:
                os.unlink(self.name, dir_fd=folder)
        except OSError:
            return False
        return True

    def sync(self) -> None:
        """Put the bytes and, once, the name on disk. Called without the lock. Raises OSError."""
        sync_file(self.fd)
        if not self.named:
            with open_group(self.root, self.group) as folder, open_root(self.root) as parent:
                os.fsync(folder)
                os.fsync(parent)
            self.named = True

    def mark_synced(self, upto: Tally, ticket: int) -> None:
        """A sync that was begun when `upto` was written, at `ticket`, has succeeded."""
        self.synced = upto
        self.syncing_ticket = None
        while self.held and self.held[0].ticket <= ticket:
            self.held_bytes -= self.held.popleft().bytes
        if self.first_ticket is None:
            self.unheld = False

    def is_gone(self) -> bool:
        """Whether the file lost its name: its directory was deleted or moved away while writes went on succeeding."""
        try:
            here = os.fstat(self.fd)
            there = os.stat(self.path, follow_symlinks=False)  # noqa: PTH116 - after every sync
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return here.st_nlink == 0 or (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino)

    def reopen(self) -> None:
        """Take the closed file and its lock again. Raises FileNotFoundError where it is gone (compressed by another process'
        recovery, or deleted), BlockingIOError while a recovery is at it, OSError."""
        with open_group(self.root, self.group) as folder:
            self.fd = os.open(self.name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise
        if self.is_gone():
            self.close()
            raise FileNotFoundError(errno.ENOENT, "the file is gone", self.name)

    def close(self) -> None:
        """Let go of the file and its lock."""
        fd, self.fd = (
            self.fd,
            -1,
        )  # in this order: a fork in between must not close a number that is another file by then
        if fd >= 0:
            with suppress(OSError):
                os.close(fd)


def _pieces(lines: Sequence[Line]) -> list[bytes]:
    """What to write: large lines as they are, for joining them would cost more than it saves."""
    found = [line.data for line in lines]
    if len(found) > 1 and sum(map(len, found)) < _LARGE * len(found):
        return [b"".join(found)]
    return found


def create_segment(root: Path, group: str, stem: Stem) -> OpenSegment | None:
    """Begin a segment, locked so that others see its writer lives. Raises OSError; None where the name is not to be had
    (it exists, or a recovering process was quicker): take the next one."""
    with open_group(root, group, make=True) as folder:
        try:
            fd = os.open(stem.text + names.PLAIN, _CREATE, names.FILE_MODE, dir_fd=folder)
        except FileExistsError:
            return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lost = os.fstat(fd).st_nlink == 0
    except BlockingIOError:
        lost = True
    except OSError:
        lost = False  # a file system without locks: recovery there must be left to `whence seal` with nobody writing
    if lost:
        os.close(fd)
        return None
    return OpenSegment(root, group, stem, fd, time.monotonic())
