"""What a segment holds, counted while it is written or read: bytes, lines, records, times and a running SHA-256.

The law: pure.
"""

import hashlib
from collections.abc import Sequence

from whence.otlp.page import Line


class Tally:
    """A running count; `copy` is cheap, so that the state at the last sync can be gone back to."""

    __slots__ = ("_sha", "bytes", "first_time", "last_time", "lines", "records")

    def __init__(self) -> None:
        self.bytes = 0
        self.lines = 0
        self.records = 0
        self.first_time = 0
        """Nanoseconds, the least record time; 0 where no record has one."""
        self.last_time = 0
        self._sha = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._sha.hexdigest()

    def copy(self) -> "Tally":
        twin = Tally.__new__(Tally)
        twin.bytes, twin.lines, twin.records = self.bytes, self.lines, self.records
        twin.first_time, twin.last_time = self.first_time, self.last_time
        twin._sha = self._sha.copy()
        return twin

    def add(self, pieces: Sequence[bytes], lines: Sequence[Line]) -> None:
        """Count `lines`, whose bytes are `pieces`, however they are cut."""
        for piece in pieces:
            self.bytes += len(piece)
            self._sha.update(piece)
        self.lines += len(lines)
        for line in lines:
            self.records += line.records
            self.add_times(line.first_time, line.last_time)

    def add_times(self, first: int, last: int) -> None:
        """Widen the span of record times; zeros stand for "none"."""
        if first and (first < self.first_time or not self.first_time):
            self.first_time = first
        self.last_time = max(self.last_time, last)
