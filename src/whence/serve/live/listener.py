"""One who listens: what was there since the place they ask for, read from the archive, and then what comes.

The law: nothing is missing and nothing given twice where the two meet. Only what is being given is in memory: who catches up
reads the archive at their own pace, and waits in no buffer.
"""

from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from whence.archive.follow import Follower, Key, Position
from whence.archive.reader import Segment
from whence.errors import DataError, StreamError
from whence.serve.live.cursor import Cursor, Track, Until
from whence.serve.live.feed import LAG, Feed, Reader, shown
from whence.serve.live.messages import Given, Message, Notice, missed
from whence.serve.live.reading import (
    Once,
    arrivals,
    is_read,
    known_at,
    known_stem,
    recent_ids,
    removed,
    resumed,
    told,
)
from whence.serve.live.subscriber import Subscriber, Terms, View

_BATCH: Final = 250
"""Events, and as many lines, that are read at once while catching up."""
_NEAR: Final = 1_000
"""Events read in a look at the archive, from which on the live ones are near."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin: at a cursor; else with what is there of events not before `since` (nanoseconds; 0: all); else now."""

    cursor: Cursor | None = None
    since: int | None = None


NOW: Final = Start()
_DEFAULT: Final = Terms()


class Listener:
    """A place among a feed's subscribers. `catch_up` until it gives None, then `take` whenever it is woken; at last `close`."""

    def __init__(self, feed: Feed, view: View, start: Start = NOW, terms: Terms = _DEFAULT) -> None:
        """Raises StreamError where there is no room."""
        feed.hold()
        self._feed, self._view, self._start = feed, view, start
        self.subscriber = Subscriber(view, terms, feed.monotonic)
        self._place: str | None = None
        self._old: Iterator[list[Message]] | None = self._catch_up()
        self._closed = False

    @property
    def place(self) -> str:
        """The cursor behind what was given."""
        return self._place if self._place is not None else self.subscriber.place

    @property
    def live(self) -> bool:
        """Whether all that was there before has been given."""
        return self._old is None

    def catch_up(self) -> list[Message] | None:
        """Some more of what was there before, perhaps nothing yet; None once all was given. Blocks while it reads."""
        if self._old is not None:
            found = next(self._old, None)
            if found is not None:
                return found
            self._old, self._place = None, None
        return None

    def take(self) -> list[Message]:
        """What came since, without waiting."""
        return self.subscriber.take()

    def close(self) -> None:
        """Leave. Safe to be called again."""
        if not self._closed:
            self._closed, self._old = True, None
            self._feed.leave(self.subscriber)

    def _catch_up(self) -> Iterator[list[Message]]:
        if self._start == NOW:
            self._join()
            return
        reader, notices = self._begin()
        self._place = reader.track.text()
        yield list(notices)
        read = _NEAR
        while read >= _NEAR and not self.subscriber.ended:
            read = 0
            for messages in self._read(reader, None):
                read += _BATCH
                yield messages
        joined = self._join()
        yield from self._read(reader, joined)
        yield _left(joined, reader.track)

    def _join(self) -> dict[Key, Until]:
        try:
            return self._feed.join(self.subscriber).result().until
        except CancelledError:
            raise StreamError("cannot go on: the server is stopping; connect again with the last id") from None

    def _begin(self) -> tuple[Reader, list[Notice]]:
        start, root = self._start, self._feed.directory
        cursor = start.cursor or Cursor(whole=True)
        follower = Follower(root, from_start=cursor.whole)
        before = self._feed.clock() // 1000 - LAG
        segments = [one for one in follower.segments() if is_read(one)]
        where = resumed(root, segments, cursor) if start.cursor else None
        follower.positions |= where.positions if where else _since(segments, start.since or 0)
        reader = Reader(follower, Track(whole=cursor.whole), Once())
        for key, position in follower.positions.items():
            seen = known_at(key, position)
            reader.track.learn(key, seen, position.offset, over=position.over)
            if cursor.within and seen.mark == cursor.within[0]:
                reader.given_already = (key, position.offset, cursor.within[1])
        for path in removed(root):
            if path.stem not in reader.track:
                reader.track.learn(path.stem, known_stem(path.stem), over=True)
        reader.track.settle(before, now=True)
        if start.cursor:
            for id in recent_ids(segments, follower.positions):
                reader.remember(id)
        return reader, where.notices if where else []

    def _read(self, reader: Reader, until: dict[Key, Until] | None) -> Iterator[list[Message]]:
        """What came since it was read last, so much at once as one reads in a moment."""
        reader.learn(self._feed.clock() // 1000 - LAG)
        segments = [one for one in reader.follower.segments() if is_read(one) and not reader.follower.is_over(one)]
        batch: list[Given] = []
        for lines, arrived in enumerate(arrivals(reader.follower, segments, until), 1):
            batch += reader.given(arrived)
            if len(batch) >= _BATCH or lines % _BATCH == 0:
                self._place = reader.track.text()
                yield [*shown(self._view, batch)]
                batch = []
        self._place = reader.track.text()
        yield [*shown(self._view, batch), *told(reader.follower.problems)]


def _since(segments: list[Segment], since: int) -> dict[Key, Position]:
    """Finished segments whose last event is before a time count as read."""
    found: dict[Key, Position] = {}
    for segment in segments if since else ():
        with suppress(DataError, OSError):
            seal = segment.read_seal()
            if seal and seal.last_time < since:
                found[segment.stem] = Position(over=True)
    return found


def _left(until: dict[Key, Until], track: Track) -> list[Message]:
    """What the feed had read and is not there any more."""
    reached = track.reached()
    for key, end in until.items():
        at = reached.get(key, Until(0, False))
        if isinstance(key, str) and not at.over and (end.over or at.offset < end.offset):
            return [missed("removed", "files were removed while they were being read; their events are not given")]
    return []
