"""What a segment holds, counted while it is written or read: bytes, lines, records and times.

The law: pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from whence.otlp.page import Line


@dataclass(slots=True)
class Tally:
    """A running count; a `copy` is the state that can be gone back to."""

    bytes: int = 0
    lines: int = 0
    records: int = 0
    first_time: int = 0
    """Nanoseconds, the least record time; 0 where no record has one."""
    last_time: int = 0

    def copy(self) -> "Tally":
        return replace(self)

    def add(self, lines: Sequence[Line]) -> None:
        """Count lines."""
        self.lines += len(lines)
        for line in lines:
            self.bytes += len(line.data)
            self.records += line.records
            self.add_times(line.first_time, line.last_time)

    def add_times(self, first: int, last: int) -> None:
        """Widen the span of record times; zeros stand for "none"."""
        if first and (first < self.first_time or not self.first_time):
            self.first_time = first
        self.last_time = max(self.last_time, last)
