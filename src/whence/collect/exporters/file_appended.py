"""One file that lines are appended to: shared with other processes, looked after when it is torn, closed when it is large.

The law: nothing that stands in a file is ever changed or removed but bytes of our own that were not written whole. A file is
never synced again once a sync of it failed.
"""

import errno
import fcntl
import logging
import mmap
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import zstandard

from whence.archive.folder import sync_file, sync_folder_at, write_all
from whence.collect.exporters.file_frames import MAGIC, whole_frames
from whence.collect.exporters.file_names import closed_name, fitting, surplus
from whence.errors import StorageError

_OPEN: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
_MODE: Final = 0o644
"""As the Collector makes it, less what the process' umask takes away: other programs are to read it."""
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
MEGABYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Form:
    """How files are written. `bytes_most`: a file's size before the next is begun; None, like 0 of the others: no bound."""

    level: int | None = None
    """Of zstd, a frame a write; None: plain lines."""
    bytes_most: int | None = None
    closed_most: int = 0
    closed_days: int = 0
    local_time: bool = False
    folder_mode: int | None = None
    """The mode of folders that are missing and are made; None: they are not."""


class Appended:
    """One path. Used by one thread."""

    def __init__(self, path: Path, form: Form, log: logging.Logger, now: Callable[[], int]) -> None:
        self.path = path
        self._form = form
        self._log = log
        self._now = now
        self._fd = -1
        self._size = 0
        """Its bytes when it was left last."""
        self._regular = True
        self._named = False
        """Whether its name is durable."""
        self._tail = b""
        """What must be written first, so that a line that was cut does not run into the next."""

    def open(self) -> None:
        """Make it or join it, and clear away closed ones. Raises StorageError where it holds something else, OSError."""
        self._claim()
        self._release()
        self._clear()

    def append(self, pieces: Sequence[bytes]) -> None:
        """Whole lines at the end, on the device when it returns; between pieces the next file may be begun.

        Raises OSError or StorageError; what was written of the pieces before may then be there, and is not known to be safe.
        """
        self._claim()
        try:
            if self._form.level is not None:
                pieces = [zstandard.ZstdCompressor(self._form.level, write_checksum=True).compress(b"".join(pieces))]
            counts, at = self._counts(pieces), 0
            for number, count in enumerate(counts):
                if number:
                    self._close_this()
                    self._claim()
                self._write(b"".join(pieces[at : at + count]))
                at += count
        finally:
            self._release()
        self._sync()
        if len(counts) > 1:
            self._clear()

    def close(self) -> None:
        """Let go of it."""
        fd, self._fd, self._named = self._fd, -1, False
        if fd >= 0:
            with suppress(OSError):
                os.close(fd)

    # --- taking it ---------------------------------------------------------------------------------------------------------

    def _claim(self) -> None:
        """Open, locked against other processes of ours, and the file that the path names now. Raises OSError, StorageError."""
        while True:
            begun = self._fd < 0
            if begun:
                self._fd = self._opened()
                self._size = 0
            info = os.fstat(self._fd)
            self._regular = stat.S_ISREG(info.st_mode)
            if not self._regular:
                return
            _lock(self._fd)
            info = os.fstat(self._fd)
            if not self._is_named(info):
                self.close()  # moved or deleted: the path gets a new file
                continue
            if info.st_size != self._size or begun:
                self._look(info.st_size)
            if self._fd >= 0:
                self._size = info.st_size
                return

    def _opened(self) -> int:
        try:
            return os.open(self.path, _OPEN, _MODE)
        except FileNotFoundError:
            if self._form.folder_mode is None:
                raise
            _make(self.path.parent, self._form.folder_mode)
            return os.open(self.path, _OPEN, _MODE)

    def _release(self) -> None:
        if self._fd >= 0 and self._regular:
            with suppress(OSError):
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _is_named(self, info: os.stat_result) -> bool:
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (info.st_dev, info.st_ino)

    def _look(self, size: int) -> None:
        """At a file that others have written, or an earlier process. Raises StorageError, OSError."""
        self._tail = b""
        if not size:
            return
        packed = self._form.level is not None
        first = os.pread(self._fd, 4, 0)
        if (first != MAGIC[: len(first)]) if packed else not first.startswith(b"{"):
            self.close()
            kind = "zstd frames" if packed else "OTLP JSON lines"
            raise StorageError(
                f"cannot append to {self.path}: it does not hold {kind}; move it away, or name another path"
            )
        if packed and _is_torn(self._fd):
            self._log.warning("%s ends in a part of a frame; it is kept as it is, and a new file is begun", self.path)
            self._close_this()
        elif not packed and os.pread(self._fd, 1, size - 1) != b"\n":
            self._log.warning(
                "%s ends in a part of a line, at byte %d; what follows has a line of its own", self.path, size
            )
            self._tail = b"\n"

    # --- writing -----------------------------------------------------------------------------------------------------------

    def _counts(self, pieces: Sequence[bytes]) -> list[int]:
        most = self._form.bytes_most
        if most is None or not self._regular:
            return [len(pieces)]
        return fitting([len(piece) for piece in pieces], most - self._size, most)

    def _write(self, data: bytes) -> None:
        if not data:
            return
        begin = self._size
        done, trouble = write_all(self._fd, self._tail + data)
        if trouble is None:
            self._size, self._tail = begin + done, b""
            return
        if self._regular and done:
            with suppress(OSError):
                if os.fstat(self._fd).st_size == begin + done:  # else a stranger has written behind it
                    os.ftruncate(self._fd, begin)
        self._size = -1  # looked at again
        raise trouble

    def _sync(self) -> None:
        if not self._regular:
            return
        try:
            sync_file(self._fd)
        except OSError:
            # What the system has thrown away it will not tell again: this file is finished, and kept as it is.
            with suppress(OSError):
                if self._is_named(os.fstat(self._fd)):
                    self._rename()
            self.close()
            raise
        if not self._named:
            with suppress(PermissionError):  # a folder that may be written and not read
                sync_folder_at(self.path.parent)
            self._named = True

    def _close_this(self) -> None:
        """Put it on the device, give it the name of a closed one, and let go of it. Raises OSError."""
        self._sync()
        if self._fd >= 0:
            self._rename()
        self.close()

    def _rename(self) -> None:
        path = self.path.resolve()
        path.rename(path.with_name(closed_name(path, self._time(), _names(path.parent))))
        with suppress(PermissionError):
            sync_folder_at(path.parent)

    def _clear(self) -> None:
        """Remove closed files that are too many or too old. What cannot be removed is told, and stays."""
        if self._form.bytes_most is None:
            return
        path = self.path.resolve()
        try:
            form = self._form
            for name in surplus(path, _names(path.parent), form.closed_most, form.closed_days, self._time()):
                path.with_name(name).unlink(missing_ok=True)
        except OSError as trouble:
            self._log.warning("cannot remove old files beside %s: %s", self.path, trouble.strerror or trouble)

    def _time(self) -> datetime:
        time = datetime.fromtimestamp(self._now() / 1e9, UTC)
        return time.astimezone() if self._form.local_time else time


def _names(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


def _lock(fd: int) -> None:
    """Wait for it; a file system without locks has one writer, or none that can be told apart."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as trouble:
        if trouble.errno not in _NO_LOCKS:
            raise


def _is_torn(fd: int) -> bool:
    with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as data:
        return whole_frames(data) != len(data)


def _make(folder: Path, mode: int) -> None:
    """A folder and its missing parents, each durable before the next. Raises OSError."""
    if folder.is_dir():
        return
    _make(folder.parent, mode)
    with suppress(FileExistsError):
        folder.mkdir(mode)
        sync_folder_at(folder.parent)
