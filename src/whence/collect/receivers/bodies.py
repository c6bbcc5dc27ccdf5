"""Request bodies: decompressed step by step up to a limit, and a budget of memory for all that are being worked on.

The law: no body, whatever it claims, makes more than its limit; one encoding, never one within another.
"""

import os
import threading
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from types import TracebackType
from typing import Final

import zstandard

from whence.errors import DataError

_STEP: Final = 1 << 18
_SIP: Final = 256
"""Bytes of zstd given at once: four can stand for 128 KiB, so that these can stand for 8 MiB."""
_FIRST: Final = 1 << 10
"""Bytes given first of each gzip member; more as it goes on, so that many small ones are not copied again and again."""
_PARTS: Final = 10_000
"""gzip members or zstd frames in one body: empty ones cost work and make no bytes, so that no limit of bytes stops them."""
_WINDOW: Final = 8 << 20
"""The largest window a zstd frame may ask for (RFC 8878 recommends that decoders take 8 MiB)."""

_unpacking: Final = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))
"""As many bodies are unpacked at once as there are processors: more would be no faster, and each has memory of its own."""


class TooLarge(Exception):
    """A body is longer than it may be, before or after decompression."""


class Crowded(Exception):
    """There is no room for a body now."""


def inflate(data: bytes, encoding: str, limit: int, room: Callable[[int], bool] = bool) -> bytes:
    """The bytes that an encoding (`gzip`, `deflate`, `zlib`, `zstd`, or none) stands for.

    `room` is asked for each piece of them before it is kept. Raises TooLarge beyond `limit`, Crowded where there is no room,
    and DataError where they are no such data, or end in the middle.
    """
    if encoding in ("", "identity"):
        if len(data) > limit:
            raise TooLarge
        return data
    found = BytesIO()  # grows in place, and gives what it has without a copy
    with _unpacking:
        for piece in _zstd(data) if encoding == "zstd" else _zlib(data, encoding):
            if found.tell() + len(piece) > limit:
                raise TooLarge
            if not room(len(piece)):
                raise Crowded
            found.write(piece)
    return found.getvalue()


def _zlib(data: bytes, encoding: str) -> Iterator[bytes]:
    """gzip, member after member; `deflate` is zlib's form, and what senders take for it: the bare one."""
    bits = 31 if encoding == "gzip" else 15 if data[:1] and data[0] & 0x0F == 8 and not _bare(data) else -15
    view, at, parts = memoryview(data), 0, 0
    while at < len(data):
        parts += 1
        if parts > (_PARTS if encoding == "gzip" else 1):
            raise DataError(f"cannot decompress the body as {encoding}: {len(data) - at} bytes are left behind its end")
        engine, step = zlib.decompressobj(bits), _FIRST
        try:
            while not engine.eof:
                given = view[at : at + step]
                piece = engine.decompress(given, _STEP)
                at += len(given) - len(engine.unused_data if engine.eof else engine.unconsumed_tail)
                step = min(step * 4, _STEP)
                if piece:
                    yield piece
                elif not given:
                    break
        except zlib.error as cause:
            raise DataError(f"cannot decompress the body as {encoding}: {cause}") from None
        if not engine.eof:
            raise DataError(f"cannot decompress the body as {encoding}: it ends in the middle")


def _bare(data: bytes) -> bool:
    """Whether the first two bytes are no head of zlib's."""
    return len(data) < 2 or (data[0] << 8 | data[1]) % 31 != 0


def _zstd(data: bytes) -> Iterator[bytes]:
    view, at, parts = memoryview(data), 0, 0
    machine = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    while at < len(data):
        parts += 1
        if parts > _PARTS:
            raise DataError(f"cannot decompress the body as zstd: it has more than {_PARTS} frames")
        engine = machine.decompressobj()
        try:
            while not engine.eof:
                given = view[at : at + _SIP]
                if not given:
                    raise DataError("cannot decompress the body as zstd: it ends in the middle")
                piece = engine.decompress(given)
                at += len(given) - len(engine.unused_data)
                if piece:
                    yield piece
        except zstandard.ZstdError as cause:
            raise DataError(f"cannot decompress the body as zstd: {cause}") from None


class Budget:
    """Bytes of all bodies that a receiver holds at once; whoever comes beyond that is asked to come again."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._lock = threading.Lock()
        self._taken = 0

    def take(self, size: int, held: int = 0) -> bool:
        """Whether there was room for more of a body of which `held` bytes are there already.

        One body always has it: no limit is so small that nothing passes.
        """
        with self._lock:
            if self._taken > held and self._taken + size > self.size:
                return False
            self._taken += size
            return True

    def give(self, size: int) -> None:
        """Done with so many."""
        with self._lock:
            self._taken -= size


class Share:
    """What one request has of a budget, given back when its block ends, whoever may still be working on it."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self._over = False
        self.held = 0
        """Bytes."""

    def take(self, size: int) -> bool:
        """Whether there was room for more."""
        with self._lock:
            if self._over or not self._budget.take(size, self.held):
                return False
            self.held += size
            return True

    def give(self, size: int) -> None:
        """Done with so many of them."""
        with self._lock:
            if not self._over:
                self.held -= size
                self._budget.give(size)

    def __enter__(self) -> "Share":
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            self._over = True
            self._budget.give(self.held)
