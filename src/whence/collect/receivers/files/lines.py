"""Lines of an open file, plain or compressed, each with its place; a line that is too long is cut and the rest passed over."""

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import IO, Any, Final, NamedTuple

import zstandard

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = tuple(bytes((0x50 + n, 0x2A, 0x4D, 0x18)) for n in range(16))
"""A zstd file may begin with frames that say nothing."""
DAMAGE: Final = (OSError, EOFError, zlib.error, zstandard.ZstdError)
"""What reading a compressed file may raise."""
_REST: Final = 1 << 20


class Line(NamedTuple):
    """One line, without its end. `start` and `end`: its place in the plain bytes, the line end included."""

    start: int
    end: int
    data: bytes
    ended: bool
    """Whether its line end is there."""
    cut: bool = False
    """Whether it is longer than `data`."""
    number: int | None = None
    """From 1; None where reading began at the end."""


def is_packed(first: bytes) -> bool:
    """Whether a file that begins so is compressed."""
    return first.startswith((GZIP, ZSTD, *_SKIPPABLE))


def unpacked(raw: IO[bytes]) -> IO[bytes]:
    """The plain bytes of a compressed file at its beginning. Reading raises one of DAMAGE."""
    first = raw.read(4)
    raw.seek(0)
    if first.startswith(GZIP):
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    stream: Any = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    return io.BufferedReader(stream, 1 << 17)


def lines_of(
    plain: IO[bytes], offset: int, number: int | None, longest: int, *, in_pieces: bool = False
) -> Iterator[Line]:
    """The lines from where the file stands, at `offset`, after `number` lines.

    `in_pieces`: what is too long comes as several, each but the last of them cut, and counted as lines of their own.
    """
    left = b""
    while data := left + plain.readline(longest + 1 - len(left)):
        start, left = offset, b""
        ended = data.endswith(b"\n")
        cut = not ended and len(data) > longest
        if cut and in_pieces:
            data, left = data[: (at := _between(data, longest))], data[at:]
        offset += len(data)
        while cut and not in_pieces and not ended and (rest := plain.readline(_REST)):
            offset += len(rest)
            ended = rest.endswith(b"\n")
        if number is not None:
            number += 1
        whole = data[:longest] if cut else data.rstrip(b"\r\n") if ended else data
        yield Line(start, offset, whole, ended or (cut and in_pieces), cut, number)


def _between(data: bytes, before: int) -> int:
    """The last place up to here that is between two characters of UTF-8, where it is such text."""
    for at in range(before, max(before - 4, 0), -1):
        if data[at] & 0xC0 != 0x80:
            return at
    return before
