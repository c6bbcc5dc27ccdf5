"""The bytes of the queue on disk: requests one after the other, each with its number, its time and a checksum over all of it.

The law: pure. What is whole is found again behind any damage; nothing that is not whole is ever taken for a request.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from whence.collect.exporters.queue import Request
from whence.otlp.wire import Signal

_HEAD: Final = struct.Struct("<4sIIQqBI")
"""Magic, bytes of the request, CRC-32 of all that follows it, number, nanoseconds since the epoch, signal, items."""
_MAGIC: Final = b"\xf1wq\x01"
_UNSUMMED: Final = 12
_SIGNALS: Final[tuple[Signal, ...]] = ("logs", "traces", "metrics")
_DELIVERED: Final = struct.Struct("<QI")
"""A number, and its CRC-32: zeros that a power cut leaves are no number."""


class Record(NamedTuple):
    """A request in a file."""

    number: int
    time: int
    """When it was queued, in nanoseconds since the epoch."""
    request: Request
    offset: int
    length: int
    """Bytes in the file, head and all."""


class Gap(NamedTuple):
    """Bytes of a file that are no request."""

    offset: int
    length: int
    is_torn: bool
    """Whether it is the beginning of a request, or zeros, up to the end: what a write leaves that did not come to its end."""


def packed(number: int, time: int, request: Request) -> bytes:
    """A request as it stands in a file."""
    signal = _SIGNALS.index(request.signal)
    head = _HEAD.pack(_MAGIC, len(request.data), 0, number, time, signal, request.items)
    crc = zlib.crc32(request.data, zlib.crc32(head[_UNSUMMED:]))
    return _HEAD.pack(_MAGIC, len(request.data), crc, number, time, signal, request.items) + request.data


def unpacked(data: bytes) -> Iterator[Record | Gap]:
    """All that is in a file, in order."""
    offset = 0
    while offset < len(data):
        record = _record(data, offset)
        if record is not None:
            yield record
            offset += record.length
            continue
        end = _next(data, offset + 1)
        yield Gap(offset, end - offset, is_torn=end == len(data) and _is_torn(data, offset))
        offset = end


def packed_numbers(numbers: Sequence[int]) -> bytes:
    """The numbers of delivered requests, to be put behind others."""
    raw = [number.to_bytes(8, "little") for number in numbers]
    return b"".join(_DELIVERED.pack(number, zlib.crc32(data)) for number, data in zip(numbers, raw, strict=True))


def unpacked_numbers(data: bytes) -> Iterator[int]:
    """The numbers up to the first that is none."""
    whole = len(data) - len(data) % _DELIVERED.size
    for number, crc in _DELIVERED.iter_unpack(data[:whole]):
        if zlib.crc32(number.to_bytes(8, "little")) != crc:
            return
        yield number


def _record(data: bytes, offset: int) -> Record | None:
    if len(data) - offset < _HEAD.size or not data.startswith(_MAGIC, offset):
        return None
    _, length, crc, number, time, signal, items = _HEAD.unpack_from(data, offset)
    end = offset + _HEAD.size + length
    if end > len(data) or signal >= len(_SIGNALS) or zlib.crc32(memoryview(data)[offset + _UNSUMMED : end]) != crc:
        return None
    request = Request(_SIGNALS[signal], data[offset + _HEAD.size : end], items)
    return Record(number, time, request, offset, _HEAD.size + length)


def _next(data: bytes, offset: int) -> int:
    """Where the next whole request begins, or the end."""
    while (offset := data.find(_MAGIC, offset)) >= 0:
        if _record(data, offset) is not None:
            return offset
        offset += 1
    return len(data)


def _is_torn(data: bytes, offset: int) -> bool:
    rest = len(data) - offset
    if not any(memoryview(data)[offset:]) or (rest < len(_MAGIC) and _MAGIC.startswith(data[offset:])):
        return True
    if not data.startswith(_MAGIC, offset):
        return False
    return rest < _HEAD.size or rest < _HEAD.size + _HEAD.unpack_from(data, offset)[1]
