"""What is exported: the events of an archive that are wanted, or the stored lines with those records in them.

The law: nothing is held but the line being read and, to give each event once, 16 bytes of every id (about 100 in memory).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from whence.archive.reader import Archive, StoredLine
from whence.archive.scan import Sieving
from whence.event.model import Event


def _nobody(_: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Source:
    """The wanted events of an archive, in the archive's order: file after file, each in the order it was written."""

    archive: Archive
    wanted: Callable[[Event], bool] | None = None
    """None: everything, which for OTLP lines includes what are no events, metrics."""
    progress: Callable[[int], None] = field(default=_nobody)
    """Told how many were read so far."""
    sieve: Sieving | None = None
    """Which lines may hold something wanted; None: any."""

    def events(self) -> Iterator[Event]:
        """Each wanted event once. May be called again, for a second look."""
        for count, event in enumerate(self.archive.events(sieve=self.sieve), 1):
            self.progress(count)
            if self.wanted is None or self.wanted(event):
                yield event

    def lines(self) -> Iterator[StoredLine]:
        """Every stored line that may hold something wanted."""
        for count, line in enumerate(self.archive.lines(sieve=self.sieve), 1):
            self.progress(count)
            if line.kept:
                yield line
