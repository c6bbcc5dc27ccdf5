"""A file of named arrays and a header, mapped into memory when read: the form of every index that is not Parquet.

The law: whole or not at all. What the arrays hold is checked by a stamp kept elsewhere.
"""

import mmap
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from whence.archive import names

_MAGIC: Final = b"whence arrays\n"
_START: Final = len(_MAGIC) + 24
_ALIGN: Final = 8
_STEP: Final = 8 << 20


class Stamp(NamedTuple):
    """What tells a file that was checked once: the same size and time are taken for the same bytes."""

    size: int
    modified: int
    """Nanoseconds since the epoch."""
    crc32: int


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file as it is now, read whole. Raises OSError."""
    found = path.stat()
    return Stamp(found.st_size, found.st_mtime_ns, crc_of(path))


def checked(path: Path, stamp: Stamp) -> Stamp | None:
    """The stamp of a file that still has the bytes the given one was made of, else None. Raises OSError."""
    found = path.stat()
    if found.st_size != stamp.size:
        return None
    if found.st_mtime_ns == stamp.modified:
        return stamp
    return stamp._replace(modified=found.st_mtime_ns) if crc_of(path) == stamp.crc32 else None


def crc_of(path: Path) -> int:
    """The CRC-32 of a file's bytes. Raises OSError."""
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(_STEP):
            crc = zlib.crc32(piece, crc)
    return crc


def write_arrays(path: Path, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write a new file, which is to get its name once it is whole, and put it on the device. Raises OSError.

    `arrays`: numpy arrays of one dimension, or bytes.
    """
    at, places, pieces = 0, {}, []
    for name, array in arrays.items():
        data: Any = array if isinstance(array, bytes) else np.ascontiguousarray(array)
        piece = memoryview(data).cast("B") if len(data) else memoryview(b"")
        places[name] = (at, len(piece), None if isinstance(array, bytes) else data.dtype.str)
        padding = -len(piece) % _ALIGN
        at += len(piece) + padding
        pieces += [piece, b"\0" * padding]
    text = orjson.dumps({**header, "places": places})
    text += b" " * (-(_START + len(text)) % _ALIGN)
    _write(path, [_MAGIC + f"{len(text):016x}{zlib.crc32(text):08x}".encode() + text, *pieces])


def replace_arrays(path: Path, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """As `write_arrays`, in place of what has this name. Raises OSError, and then leaves nothing behind."""
    _replace(path, lambda temporary: write_arrays(temporary, header, arrays))


def replace_file(path: Path, data: bytes) -> None:
    """Put a small file in the place of what has this name, whole or not at all. Raises OSError."""
    _replace(path, lambda temporary: _write(temporary, [data]))


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}{names.TEMPORARY}")
    try:
        write(temporary)
        temporary.rename(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def _write(path: Path, pieces: Iterable[Any]) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, names.FILE_MODE)
    with os.fdopen(fd, "wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(fd)


def read_arrays(path: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The header, and the arrays as numpy arrays (bytes as a memoryview) that nothing can write to.

    None where there is no such file, or its head is damaged: the arrays themselves are the caller's to check.
    """
    try:
        with path.open("rb") as file:
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        size = int(bytes(view[len(_MAGIC) : _START - 8]), 16)
        text = bytes(view[_START : _START + size])
        if bytes(view[: len(_MAGIC)]) != _MAGIC or int(bytes(view[_START - 8 : _START]), 16) != zlib.crc32(text):
            return None
        header = orjson.loads(text)
        body = view[_START + size :]
        arrays: dict[str, Any] = {}
        for name, (at, length, dtype) in header.pop("places").items():
            piece = body[at : at + length]
            if len(piece) != length:
                return None
            arrays[name] = piece if dtype is None else np.frombuffer(piece, dtype)
        return header, arrays
    except (OSError, ValueError, TypeError, KeyError):
        return None
