"""The few system calls the archive is made of, each in its durable form: folders, whole files, full writes, syncs.

The law: below the archive's own directory no symbolic link is ever followed, and a name counts only once its folder is synced.
"""

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from whence.archive import names
from whence.errors import StorageError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_PIECES: Final = 1024
"""Pieces that every system takes in one call."""


def sync_file(fd: int) -> None:
    """Wait until a file's bytes and length are on the device. Raises OSError; the same fd must then never be synced again."""
    full = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: fsync alone stops at the drive's cache
    if full is not None:
        fcntl.fcntl(fd, full)
    else:
        os.fdatasync(fd)


def make_root(directory: Path) -> Path:
    """Make the archive's directory with its parents, readable by the owner only, and give its real path.

    Raises StorageError where it is a file, cannot be made, or takes no writes. A full disk is no such reason: it may be
    emptied while the program runs.
    """
    root = directory.expanduser().absolute()
    try:
        make_folders(root)
        root = root.resolve()
        probe(root)
    except OSError as cause:
        if cause.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"cannot write an archive in {directory}: {cause.strerror or cause}; name a directory that can be written"
            ) from cause
    return root


def make_folders(path: Path) -> None:
    """Make a directory and its missing parents, each durable before the next."""
    if path.is_dir():
        return
    if path.exists():
        raise NotADirectoryError(errno.ENOTDIR, "it is a file, not a directory", str(path))
    make_folders(path.parent)
    with suppress(FileExistsError):
        path.mkdir(names.FOLDER_MODE)
        sync_folder_at(path.parent)


def sync_folder_at(path: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def names_in(folder: int) -> list[str]:
    """The names in an open folder, as they are now. Raises OSError.

    Read from a place of its own: of the place in one open folder all threads together have only one, and would skip each other's.
    """
    own = os.open(".", _FOLDER, dir_fd=folder)
    try:
        with os.scandir(own) as found:
            return [entry.name for entry in found]
    finally:
        os.close(own)


@contextmanager
def open_root(root: Path) -> Iterator[int]:
    """The archive's directory as a descriptor, for the calls that take `dir_fd`. Raises OSError."""
    fd = os.open(root, _FOLDER)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def open_group(root: Path, group: str, *, make: bool = False) -> Iterator[int]:
    """A group's folder as a descriptor; with `make`, made where it is missing. Raises OSError.

    Something else in its place (a file, a symbolic link) is with `make` moved aside, never followed and never removed.
    """
    if make:
        make_folders(root)
    with open_root(root) as parent:
        try:
            fd = os.open(group, _FOLDER, dir_fd=parent)
        except OSError as trouble:
            if not make:
                raise
            if trouble.errno in (errno.ENOTDIR, errno.ELOOP):
                os.rename(group, group + names.ASIDE + os.urandom(4).hex(), src_dir_fd=parent, dst_dir_fd=parent)
            elif trouble.errno != errno.ENOENT:
                raise
            with suppress(FileExistsError):
                os.mkdir(group, names.FOLDER_MODE, dir_fd=parent)
                os.fsync(parent)
            fd = os.open(group, _FOLDER, dir_fd=parent)
    try:
        yield fd
    finally:
        os.close(fd)


def write_all(fd: int, *pieces: bytes) -> tuple[int, OSError | None]:
    """Write all the pieces, in one call where the system takes them so; gives the bytes written and what stopped it."""
    done = 0
    left = [memoryview(piece) for piece in pieces if piece]
    while left:
        try:
            count = os.writev(fd, left[:_PIECES])
        except OSError as trouble:
            return done, trouble
        done += count
        while left and count >= len(left[0]):
            count -= len(left.pop(0))
        if count:
            left[0] = left[0][count:]
    return done, None


def write_whole(folder: int, name: str, pieces: Sequence[bytes]) -> None:
    """Write a file so that it is there whole and durable under its name, or not at all. Raises OSError."""
    temporary = name + names.TEMPORARY
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)
    fd = os.open(temporary, _CREATE, names.FILE_MODE, dir_fd=folder)
    try:
        for piece in pieces:
            trouble = write_all(fd, piece)[1]
            if trouble:
                raise trouble
        os.fsync(fd)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    finally:
        os.close(fd)
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def read_whole(folder: int, name: str) -> bytes:
    """A small file's bytes. Raises OSError."""
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), "rb") as file:
        return file.read()


def probe(root: Path) -> None:
    """Find out by doing whether the directory takes a file, bytes and a sync: a dead device still lists its files.

    Raises OSError.
    """
    name = names.PROBE + os.urandom(6).hex()
    with open_root(root) as parent:
        fd = os.open(name, _CREATE, names.FILE_MODE, dir_fd=parent)
        try:
            trouble = write_all(fd, b"whence\n")[1]
            if trouble:
                raise trouble
            os.fsync(fd)
        finally:
            os.close(fd)
            with suppress(OSError):
                os.unlink(name, dir_fd=parent)
