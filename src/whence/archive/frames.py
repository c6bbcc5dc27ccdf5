"""The zstd seekable format: independent frames and a table of them at the end, so that one line is read without the rest.

The law: pure. Any zstd reader decompresses the whole as if the table were not there: it is a skippable frame
(facebook/zstd, contrib/seekable_format/zstd_seekable_compression_format.md).
"""

import hashlib
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import zstandard

from whence.archive import names
from whence.errors import DataError

_SKIPPABLE: Final = 0x184D2A5E
_HASH_FRAME: Final = 0x184D2A5D
_SEEKABLE: Final = 0x8F92EAB1
_HEADER: Final = struct.Struct("<II")
_ENTRY: Final = struct.Struct("<II")
_FOOTER: Final = struct.Struct("<IBI")
_HASH_TAG: Final = b"whence/1"
HASH_BYTES: Final = _HEADER.size + len(_HASH_TAG) + 32
FOOTER_BYTES: Final = _FOOTER.size


class Frame(NamedTuple):
    """Where a frame stands: `at` and `size` in the file, `start` and `plain` (length) in the plain bytes."""

    at: int
    size: int
    start: int
    plain: int


def cut(chunks: Iterable[bytes], limit: int = names.FRAME_BYTES, most: int = names.FRAME_LIMIT) -> Iterator[bytes]:
    """The same bytes in pieces of about `limit`, each ending with a line; a line longer than `most` is itself cut."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        at, left = 0, len(data)
        while left >= limit:
            end = data.rfind(b"\n", at, at + limit) + 1 or data.find(b"\n", at + limit) + 1
            if not end and left < most:
                break
            end = min(end or len(data), at + most)
            yield data[at:end]
            at, left = end, len(data) - end
        rest = data[at:]
    if rest:
        yield rest


def expand_frame(data: bytes, plain: int) -> bytes:
    """The plain bytes of one frame. Raises DataError where it is damaged, cut, or not of this length."""
    if plain > names.FRAME_LIMIT:
        raise DataError(f"cannot read a zstd frame: it claims {plain} bytes")
    try:
        claimed = zstandard.frame_content_size(data)
        if claimed not in (plain, -1):  # -1: not said; a changed one could ask for all the memory there is
            raise DataError(f"cannot read a zstd frame: it claims {claimed} bytes where {plain} belong")
        found = zstandard.ZstdDecompressor().decompress(data, max_output_size=plain)
    except zstandard.ZstdError as cause:
        raise DataError(f"cannot read a zstd frame: {cause}") from cause
    if len(found) != plain:
        raise DataError(f"cannot read a zstd frame: {len(found)} bytes where {plain} belong")
    return found


def compress_stream(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A whole compressed file, piece by piece: frames, a hash over them, and the seek table.

    The hash (in a skippable frame of its own) is what finds a changed bit that decompresses to the same bytes.
    """
    sizes: list[tuple[int, int]] = []
    sha = hashlib.sha256()
    engine = zstandard.ZstdCompressor(level=names.ZSTD_LEVEL, write_checksum=True, write_content_size=True)
    for piece in cut(chunks):
        frame = engine.compress(piece)
        sizes.append((len(frame), len(piece)))
        sha.update(frame)
        yield frame
    sizes.append((HASH_BYTES, 0))
    yield hash_frame(sha.digest()) + seek_table(sizes)


def hash_frame(digest: bytes) -> bytes:
    return _HEADER.pack(_HASH_FRAME, len(_HASH_TAG) + len(digest)) + _HASH_TAG + digest


def seek_table(sizes: Sequence[tuple[int, int]]) -> bytes:
    """The table for frames of these (compressed, plain) sizes."""
    body = b"".join(_ENTRY.pack(*pair) for pair in sizes) + _FOOTER.pack(len(sizes), 0, _SEEKABLE)
    return _HEADER.pack(_SKIPPABLE, len(body)) + body


def table_bytes(footer: bytes) -> int | None:
    """How long the table is whose last FOOTER_BYTES bytes are given, or None where this is no seekable file."""
    if len(footer) != FOOTER_BYTES:
        return None
    count, flags, magic = _FOOTER.unpack(footer)
    if magic != _SEEKABLE or flags & 0x7C:
        return None
    return int(_HEADER.size + count * (_ENTRY.size + (4 if flags & 0x80 else 0)) + FOOTER_BYTES)


def parse_table(table: bytes, file_bytes: int) -> list[Frame] | None:
    """The frames of a file of this length, in order; None where the table does not fit it (cut, damaged)."""
    count, flags, _ = _FOOTER.unpack(table[-FOOTER_BYTES:])
    entry = _ENTRY.size + (4 if flags & 0x80 else 0)
    if _HEADER.unpack(table[: _HEADER.size]) != (_SKIPPABLE, len(table) - _HEADER.size):
        return None
    frames = []
    at = start = 0
    for n in range(count):
        size, plain = _ENTRY.unpack_from(table, _HEADER.size + n * entry)
        frames.append(Frame(at, size, start, plain))
        at, start = at + size, start + plain
    return frames if at + len(table) == file_bytes else None


def frame_at(frames: Sequence[Frame], offset: int) -> int:
    """The index of the frame that holds this plain offset; `len(frames)` past the end."""
    n = bisect_right(frames, offset, key=lambda frame: frame.start) - 1
    while 0 <= n < len(frames) and offset >= frames[n].start + frames[n].plain:
        n += 1
    return max(n, 0)
