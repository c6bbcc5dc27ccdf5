"""Following an archive while it is written: every complete line once, across processes, rotation, sealing and compression.

The law: reading only. A place in a segment is a plain offset, which stays the same whatever form the file takes.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from whence.archive.encrypt import LockedError
from whence.archive.reader import Listing, Segment, StoredLine
from whence.archive.scan import Problem, Sieving
from whence.archive.source import line_start
from whence.errors import DataError

_HEAD: Final = 512
"""How many first bytes tell a file by another writer from one that took its inode number."""

Key = str | tuple[int, int]
"""What a segment is known by: ours by their unique names, other files by their device and inode, because other writers rename."""


@dataclass(slots=True)
class Position:
    """How far a segment was read."""

    offset: int = 0
    size: int = -1
    """The file's size when it was last looked at: nothing is read again while it stays."""
    head: bytes = b""
    over: bool = False
    """Nothing more will come: it is sealed and was read to its end."""


def follow(
    directory: Path,
    *,
    from_start: bool = False,
    stop: threading.Event,
    poll_seconds: float = 0.1,
    sieve: Sieving | None = None,
) -> Iterator[StoredLine]:
    """Every line as it becomes complete, of every process and group, until `stop` is set; `from_start`: the old ones first.

    Lines of one writer, group and signal come in their order. What was there when `stop` was set is still given. A
    directory that does not exist yet is waited for. A line is given twice only where a failed sync made its writer
    write it anew; its events then have the same ids. `sieve` is asked of them.
    """
    follower = Follower(directory, from_start=from_start)
    if not from_start:
        follower.skip()
    while True:
        last = stop.is_set()
        for segment in follower.segments():
            for _, line in follower.read(segment, sieve):
                yield line
        if last:
            return
        stop.wait(poll_seconds)


class Follower:
    """How far each segment of an archive was read, and what came since. For one thread."""

    def __init__(
        self, directory: Path, positions: Mapping[Key, Position] | None = None, *, from_start: bool = False
    ) -> None:
        """`positions`: where to begin in segments that are known already; in others at their start.

        `from_start`: also in compressed files of other writers, which else are taken for rotated ones that were read.
        """
        self.positions: dict[Key, Position] = dict(positions or {})
        self.problems: list[Problem] = []
        """What had to be passed over, save the line being written; to be taken out by whoever wants to know."""
        self._from_start = from_start
        self._listing = Listing(Path(directory).expanduser())

    def segments(self) -> list[Segment]:
        """The segments there are now, in reading order."""
        return self._listing.segments()

    def skip(self) -> None:
        """Begin behind the last whole line that is there now."""
        for segment in self.segments():
            with suppress(OSError):
                fd, form = segment.open()
                try:
                    info = os.fstat(fd)
                    position = Position(over=bool(form))
                    if not form:
                        position.offset = line_start(fd, info.st_size)
                        position.head = os.pread(fd, _HEAD, 0)
                    self.positions[_key(segment, info)] = position
                finally:
                    os.close(fd)

    def is_over(self, segment: Segment) -> bool:
        """Whether nothing more will come of a segment of ours."""
        known = self.positions.get(segment.stem) if segment.name else None
        return known is not None and known.over

    def read(self, segment: Segment, sieve: Sieving | None = None) -> Iterator[tuple[Key, StoredLine]]:
        """The whole lines of a segment that came since it was read last; the position stands behind the line just given.

        `sieve` is asked of them.
        """
        if self.is_over(segment):
            return
        try:
            seal = segment.read_seal()
        except (DataError, OSError):
            seal = None
        try:
            fd, form = segment.open()
        except LockedError:
            self.positions[segment.stem] = Position(over=True)
            for _ in segment.lines(self.problems):
                pass  # there are none, and why is put to the problems
            return
        except OSError:
            return  # gone with its directory, or not ours to read
        try:
            info = os.fstat(fd)
            head = b"" if segment.name or form else os.pread(fd, _HEAD, 0)
        finally:
            os.close(fd)
        key = _key(segment, info)
        fresh = Position(over=bool(form) and segment.name is None and not self._from_start)
        position = self.positions.setdefault(key, fresh)
        if segment.name is None and not form:
            if info.st_size < position.offset or not head.startswith(position.head):
                position.offset = 0  # cut and begun again, or another file with this inode number
            position.head = head
        if position.over or (info.st_size == position.size and not seal and not form):
            return
        problems: list[Problem] = []
        for line in segment.lines(problems, start=position.offset, sieve=sieve):
            if segment.name is None and not _ends_line(segment, line):
                break  # the last line of another writer's file, perhaps still being written
            position.offset = line.place.offset + len(line.data) + 1
            yield key, line
        for problem in problems:
            if problem.kind == "bad line":
                position.offset = max(position.offset, problem.offset + problem.length + 1)
        self.problems += (problem for problem in problems if problem.kind != "tail")
        position.size = info.st_size
        position.over = seal is not None or bool(form)


def _key(segment: Segment, info: os.stat_result) -> Key:
    return segment.stem if segment.name else (info.st_dev, info.st_ino)


def _ends_line(segment: Segment, line: StoredLine) -> bool:
    with suppress(OSError):
        fd, form = segment.open()
        try:
            return bool(form) or os.pread(fd, 1, line.place.offset + len(line.data)) == b"\n"
        finally:
            os.close(fd)
    return True
