"""What an archive holds from a place on, read at the reader's own pace, each event with the place behind it.

The law: reading only, and only what is being given is in memory. Events come in the order of time, as far as each writer's do.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from whence.archive.follow import Follower, Key, Position
from whence.archive.reader import Segment
from whence.archive.sieve import Sieve
from whence.errors import DataError
from whence.serve.live.cursor import Cursor, Track, Until
from whence.serve.live.feed import LAG, Reader, begin_now, shown
from whence.serve.live.messages import Given, Message, Notice, missed
from whence.serve.live.reading import Once, arrivals, is_read, known_at, known_stem, recent_ids, removed, resumed, told
from whence.serve.live.subscriber import View

_BATCH: Final = 250
"""Events, and as many lines, that are read at once."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin: at a cursor; else with what is there of events not before `since` (nanoseconds; 0: all); else now."""

    cursor: Cursor | None = None
    since: int | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    """Of segments, by stem, the offset from which on there are events since then, as far as that is known."""


NOW: Final = Start()


class Past:
    """A place in an archive that moves on as it is read. For one thread at a time."""

    def __init__(self, directory: Path, view: View, start: Start, clock: Callable[[], int]) -> None:
        """`clock`: nanoseconds since the epoch."""
        self._root, self._view, self._clock = directory, view, clock
        self._sieve = None if view.tree is None else Sieve(view.tree)
        self.notices: list[Notice] = []
        """What cannot be had any more; said once, by whoever begins."""
        self._reader = begin_now(directory, clock) if start == NOW else self._begin(start)
        self.place = self._reader.track.text()
        """The cursor behind what was given."""

    def _begin(self, start: Start) -> Reader:
        cursor = start.cursor or Cursor(whole=True)
        follower = Follower(self._root, from_start=cursor.whole)
        before = self._clock() // 1000 - LAG
        segments = [one for one in follower.segments() if is_read(one)]
        if start.cursor:
            found = resumed(self._root, segments, cursor)
            follower.positions |= found.positions
            self.notices += found.notices
        else:
            follower.positions |= _since(segments, start)
        reader = Reader(follower, Track(whole=cursor.whole), Once())
        for key, position in follower.positions.items():
            seen = known_at(key, position)
            reader.track.learn(key, seen, position.offset, over=position.over)
            if cursor.within and seen.mark == cursor.within[0]:
                reader.given_already = (key, position.offset, cursor.within[1])
        for path in removed(self._root):
            if path.stem not in reader.track:
                reader.track.learn(path.stem, known_stem(path.stem), over=True)
        reader.track.settle(before, now=True)
        for id in recent_ids(segments, follower.positions) if start.cursor else ():
            reader.remember(id)
        return reader

    def read(self, until: dict[Key, Until] | None = None) -> Iterator[list[Message]]:
        """What came since it was read last, so much at once as is read in a moment, perhaps nothing; to be read to its end.

        `until`: no further than that.
        """
        reader = self._reader
        reader.learn(self._clock() // 1000 - LAG)
        segments = [one for one in reader.follower.segments() if is_read(one) and not reader.follower.is_over(one)]
        batch: list[Given] = []
        for lines, arrived in enumerate(arrivals(reader.follower, segments, until, sieve=self._sieve), 1):
            batch += reader.given(arrived)
            if len(batch) >= _BATCH or lines % _BATCH == 0:
                self.place = reader.track.text()
                yield [*shown(self._view, batch)]
                batch = []
        self.place = reader.track.text()
        yield [*shown(self._view, batch), *told(reader.follower.problems)]

    def left(self, until: dict[Key, Until]) -> list[Message]:
        """What somebody else has read up to there, and is not there any more."""
        reached = self._reader.track.reached()
        for key, end in until.items():
            at = reached.get(key, Until(0, False))
            if isinstance(key, str) and not at.over and (end.over or at.offset < end.offset):
                return [missed("removed", "files were removed while they were being read; their events are not given")]
        return []


def _since(segments: list[Segment], start: Start) -> dict[Key, Position]:
    """Finished segments whose last event is before a time count as read, others up to where it is known."""
    found: dict[Key, Position] = {}
    for segment in segments if start.since else ():
        if segment.name and (line := start.lines.get(segment.stem)):
            found[segment.stem] = Position(line)
        with suppress(DataError, OSError):
            seal = segment.read_seal()
            if seal and seal.last_time < (start.since or 0):
                found[segment.stem] = Position(over=True)
    return found
