"""What is new in an archive, line after line in the order of time, each decoded once; and where reading goes on.

The law: reading only. As many files are open at once as overlap in time, and no more than a few; of each one block is held.
"""

import heapq
import os
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from whence.archive import names
from whence.archive.follow import Follower, Key, Position
from whence.archive.names import parse_stem
from whence.archive.reader import Segment, StoredLine
from whence.archive.scan import Problem
from whence.archive.sieve import Sieve
from whence.archive.tombstone import Tombstone, parse_tombstone
from whence.errors import DataError
from whence.event import names as attributes
from whence.event.model import Event
from whence.otlp.decode import decode
from whence.serve.live.cursor import Cursor, Known, Present, Resumed, Until, known, mark_of, resume
from whence.serve.live.messages import Notice, missed

_WIDTH: Final = 32
"""Segments read at once: of each up to 1 MiB is in memory."""
_HEAD: Final = 64
"""First bytes that tell a file by another writer from one that took its inode number."""
_REMEMBERED: Final = 100_000
"""Ids given lately (about 15 MB), so that an event that is written anew, or seen again in its span, is given once."""
_BEFORE: Final = 2 << 20
"""Bytes before the place where reading begins that are looked through for ids."""
_LATEST: Final = 8
"""Segments in which that is done."""
_ID: Final = re.compile(
    rb'"key"\s*:\s*"%b"\s*,\s*"value"\s*:\s*\{\s*"stringValue"\s*:\s*"([^"\\]+)"' % re.escape(attributes.ID.encode())
)
_TOLD: Final = ("bad line", "damaged", "missing", "unreadable", "locked")


class Arrived(NamedTuple):
    """A line that was read, or (`after` None) a segment that was read to its end and will not grow."""

    key: Key
    start: int = 0
    after: int | None = None
    events: tuple[Event, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the line for each of its events."""
        return 0 if self.after is None else (self.after - self.start) // max(len(self.events), 1)


class Once:
    """Which ids were given lately."""

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, id: str) -> bool:
        """Remember an id; whether it is new."""
        if id in self._ids:
            return False
        self._ids[id] = None
        if len(self._ids) > self._most:
            self._ids.popitem(last=False)
        return True


def is_read(segment: Segment) -> bool:
    """Whether a segment can hold events: of metrics none are made."""
    return segment.signal != "metrics"


def is_read_key(key: Key) -> bool:
    """Whether the segment of this key can."""
    return not (isinstance(key, str) and key.startswith("metrics-"))


def known_at(key: Key, position: Position) -> Known:
    """A segment as cursors know it."""
    if isinstance(key, str):
        return known_stem(key)
    return Known(mark_of(f"{key[0]}:{key[1]}:{position.head[:_HEAD].hex()}"), None)


def known_stem(stem: str) -> Known:
    """One of our segments as cursors know it."""
    name = parse_stem(stem)
    return known(name) if name else Known(mark_of(stem), None)


def arrivals(
    follower: Follower,
    segments: list[Segment],
    until: Mapping[Key, Until] | None = None,
    most: int | None = None,
    sieve: Sieve | None = None,
) -> Iterator[Arrived]:
    """What came in these segments since they were read last; lines of one writer in their order, those of several by time.

    `until`: of other segments nothing, and of these no more than that. `most`: of one writer about so many bytes at once, the
    rest when it is asked again. Lines that `sieve` does not let through have no events. To be read to its end.
    """
    chains: dict[object, list[Segment]] = {}
    for segment in segments:
        name = segment.name
        own = (segment.group, name.signal, name.writer) if name else segment.stem
        if until is None or not name or segment.stem in until:
            chains.setdefault(own, []).append(segment)
    sources = list(chains.values())
    waiting = sorted(((_bound(found[0]), n) for n, found in enumerate(sources)), reverse=True)
    heap: list[tuple[int, int, Arrived, Iterator[Arrived]]] = []
    while waiting or heap:
        while waiting and len(heap) < _WIDTH and (not heap or waiting[-1][0] <= heap[0][0]):
            bound, n = waiting.pop()
            every = chain.from_iterable(_lines(follower, segment, until, sieve) for segment in sources[n])
            lines = _some(every, most)
            if first := next(lines, None):
                heapq.heappush(heap, (_time(first, bound), n, first, lines))
        if heap:
            time, n, found, lines = heap[0]
            yield found
            following = next(lines, None)
            if following:
                heapq.heapreplace(heap, (_time(following, time), n, following, lines))
            else:
                heapq.heappop(heap)


def _some(lines: Iterator[Arrived], most: int | None) -> Iterator[Arrived]:
    """Lines, up to the one behind which they are so many bytes; what follows is not looked at."""
    size = 0
    for found in lines:
        yield found
        size += (found.after or found.start) - found.start
        if most is not None and size >= most:
            return


def _bound(segment: Segment) -> int:
    """A time before which the segment has no event, in ns; 0 where that is not known."""
    with suppress(DataError, OSError):
        seal = segment.read_seal()
        return seal.first_time if seal else 0
    return 0


def _time(found: Arrived, before: int) -> int:
    return max(found.events[0].time, before) if found.events else before


def _lines(
    follower: Follower, segment: Segment, until: Mapping[Key, Until] | None, sieve: Sieve | None
) -> Iterator[Arrived]:
    before = follower.is_over(segment)
    for key, line in follower.read(segment, sieve):
        if until is not None:
            end = until.get(key)
            if end is None or (not end.over and line.place.offset >= end.offset):
                return
        events = decoded(line, follower.problems) if line.kept else ()
        yield Arrived(key, line.place.offset, line.place.offset + len(line.data) + 1, events)
    if follower.is_over(segment) and not before:
        yield Arrived(segment.stem)


def decoded(line: StoredLine, problems: list[Problem]) -> tuple[Event, ...]:
    """The events of a line; what is none goes to `problems`."""
    try:
        found = decode(line.data, line.place)
    except DataError as cause:
        problems.append(Problem(line.place.stem, line.place.offset, len(line.data), "bad line", str(cause)))
        return ()
    problems += (Problem(line.place.stem, line.place.offset, len(line.data), "bad line", words) for words in found.bad)
    return tuple(found.events)


def told(problems: list[Problem]) -> list[Notice]:
    """What could not be read, as subscribers are told; the list is emptied."""
    found = [one for one in problems if one.kind in _TOLD]
    problems.clear()
    return [missed("unreadable", f"{one.segment} at byte {one.offset} was skipped: {one.detail}") for one in found]


# --- where to go on ---------------------------------------------------------------------------------------------------


def resumed(root: Path, segments: list[Segment], cursor: Cursor) -> Resumed:
    """Where in an archive a cursor is."""
    folders = {path.name.removesuffix(names.REMOVED): path for path in removed(root)}

    def tombstone_of(stem: str) -> Tombstone | None:
        with suppress(DataError, OSError):
            return parse_tombstone(folders[stem].read_bytes())
        return None

    present = [one for segment in segments if (one := _present(segment))]
    here = {one.key for one in present}
    return resume(cursor, present, [stem for stem in folders if stem not in here], tombstone_of)


def removed(root: Path) -> Iterator[Path]:
    """The tombstones of segments that retention removed, save of metrics."""
    for path, _, files in os.walk(root):
        for file in files:
            if file.endswith(names.REMOVED) and not file.startswith("metrics"):
                yield Path(path) / file


def _present(segment: Segment) -> Present | None:
    if segment.name:
        return Present(segment.stem, known(segment.name), False)
    try:
        fd, form = segment.open()
    except OSError:
        return None
    try:
        info = os.fstat(fd)
        key = (info.st_dev, info.st_ino)
        head = b"" if form else os.pread(fd, _HEAD, 0)
        return Present(key, known_at(key, Position(head=head)), bool(form))
    finally:
        os.close(fd)


def recent_ids(segments: list[Segment], positions: Mapping[Key, Position]) -> Iterator[str]:
    """Ids in the last lines before the places where reading begins, as they stand there: no line is decoded."""
    for segment in segments[-_LATEST:]:
        position = positions.get(segment.stem)
        if position is None or segment.name is None:
            continue
        with suppress(DataError, OSError):
            seal = segment.read_seal() if position.over else None
            end = seal.bytes if seal else position.offset
            for line in segment.lines(start=max(0, end - _BEFORE)):
                if line.place.offset >= end:
                    break
                yield from (found.decode("utf-8", "replace") for found in _ID.findall(line.data))
