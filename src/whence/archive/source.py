"""The plain bytes of a file from any offset on, whatever form it has: plain, zstd (ours or foreign) or gzip.

The law: reading only. Damage never raises: what cannot be read is told as a gap, and reading goes on behind it where it can.
"""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import zstandard

from whence.archive import frames, names
from whence.archive.frames import Frame
from whence.errors import DataError

_STEP: Final = 4 << 10
"""Compressed bytes given to a foreign decompressor at once: 4 KiB of zstd unfold to 128 MiB at worst."""
_GZIP: Final = 31


class Chunk(NamedTuple):
    """Plain bytes at a plain offset; with `damage` there are none, but `length` of them (0: unknown) are missing."""

    offset: int
    data: bytes
    length: int = 0
    damage: str | None = None


def open_file(path: Path) -> int:
    """A descriptor to read a file with. Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def line_start(fd: int, before: int) -> int:
    """The offset behind the last newline that stands before this offset, or 0. Raises OSError."""
    at = before
    while at:
        begin = max(0, at - names.READ_BYTES)
        found = os.pread(fd, at - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        at = begin
    return 0


def chunks(fd: int, form: str, start: int, length: int | None) -> Iterator[Chunk]:
    """Plain bytes from offset `start` to `length` (None: to the end) of a file whose `form` is `""`, `zst` or `gz`.

    A file that ends before `length` ends in a Chunk with damage. Raises OSError.
    """
    if form == "":
        yield from _plain(fd, start, length)
        return
    table = seek_table(fd) if form == "zst" else None
    found = _framed(fd, table, start) if table is not None else _streamed(fd, form, start)
    at = start
    for chunk in found:
        if length is not None and chunk.offset + len(chunk.data) > length:
            yield Chunk(chunk.offset, chunk.data[: length - chunk.offset])
            return
        at = chunk.offset + len(chunk.data) + chunk.length
        yield chunk
        if chunk.damage and not chunk.length:
            return
    if length is not None and at < length:
        yield Chunk(at, b"", length - at, f"{length - at} bytes are missing at the end")


def _plain(fd: int, start: int, length: int | None) -> Iterator[Chunk]:
    at = start
    while length is None or at < length:
        want = names.READ_BYTES if length is None else min(names.READ_BYTES, length - at)
        data = os.pread(fd, want, at)
        if not data:
            break
        yield Chunk(at, data)
        at += len(data)
    if length is not None and at < length:
        yield Chunk(at, b"", length - at, f"{length - at} bytes are missing at the end")


def seek_table(fd: int) -> list[Frame] | None:
    """The frames of a seekable zstd file, or None where it has no (whole) table. Raises OSError."""
    size = os.fstat(fd).st_size
    length = frames.table_bytes(os.pread(fd, frames.FOOTER_BYTES, max(0, size - frames.FOOTER_BYTES)))
    if length is None or length > size:
        return None
    return frames.parse_table(os.pread(fd, length, size - length), size)


def _framed(fd: int, table: list[Frame], start: int) -> Iterator[Chunk]:
    for frame in table[frames.frame_at(table, start) :]:
        if not frame.plain:
            continue
        try:
            data = frames.expand_frame(os.pread(fd, frame.size, frame.at), frame.plain)
        except DataError as cause:
            skip = max(start - frame.start, 0)
            yield Chunk(frame.start + skip, b"", frame.plain - skip, str(cause))
            continue
        if frame.start < start:
            data = data[start - frame.start :]
        yield Chunk(max(start, frame.start), data)


def _streamed(fd: int, form: str, start: int) -> Iterator[Chunk]:
    at = 0
    try:
        for data in _gunzip(fd) if form == "gz" else _unzstd(fd):
            if at + len(data) > start:
                yield Chunk(max(at, start), data[max(start - at, 0) :])
            at += len(data)
    except (zlib.error, zstandard.ZstdError, EOFError) as cause:
        yield Chunk(max(at, start), b"", 0, f"cannot decompress what follows: {cause}")


def _pieces(fd: int) -> Iterator[bytes]:
    at = 0
    while piece := os.pread(fd, _STEP, at):
        at += len(piece)
        yield piece


def _unzstd(fd: int) -> Iterator[bytes]:
    """Frame after frame; raises EOFError where the last one is cut, of which python-zstandard itself says nothing."""
    unfold = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    stream = None
    for piece in _pieces(fd):
        rest = piece
        while rest:
            stream = stream or unfold.decompressobj()
            yield stream.decompress(rest)
            rest = b""
            if stream.eof:
                rest, stream = stream.unused_data, None
    if stream is not None:
        raise EOFError("the file is cut")


def _gunzip(fd: int) -> Iterator[bytes]:
    stream = None
    for piece in _pieces(fd):
        rest = piece
        while rest:
            stream = stream or zlib.decompressobj(_GZIP)
            yield stream.decompress(rest, names.READ_BYTES)
            rest = stream.unconsumed_tail
            if stream.eof:
                rest, stream = stream.unused_data.lstrip(b"\0"), None
    if stream is not None:
        raise EOFError("the file is cut")
