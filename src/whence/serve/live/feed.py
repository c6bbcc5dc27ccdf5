"""The feed: one thread reads every new line of an archive once and gives its events to whoever subscribed.

The law: an event is given to a subscriber once, in the order in which it was read. What a subscriber asks for from before is
read from the archive at its own pace, and joined to the live events at one place that both know.
"""

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from whence.archive.follow import Follower, Key
from whence.archive.sieve import Sieve
from whence.errors import StreamError
from whence.filter.tree import Either, Filter
from whence.serve.live.cursor import Track, Until
from whence.serve.live.messages import Batch, Given
from whence.serve.live.reading import (
    Arrived,
    Once,
    arrivals,
    is_read,
    is_read_key,
    known_at,
    known_stem,
    recent_ids,
    removed,
    told,
)
from whence.serve.live.room import Room, Standing
from whence.serve.live.subscriber import PATIENCE, Subscriber, View

POLL: Final = 0.03
"""Seconds between two looks at the archive. Of a large one, whose listing takes longer, a few times that."""
_SHARE: Final = 4
MOST: Final = 2_000
"""Subscribers at once."""
CHUNK, _LEAST = 1_000, 100
"""Events that are given on at once; fewer, down to the latter, where somebody's buffer is not twice as large."""
_EACH, _LONGER = 0.001, 0.1
"""Seconds by which the pause between two looks is longer for each subscriber, and for all: fewer, larger portions cost less."""
_PASS: Final = 2 << 20
"""Bytes of a writer that are read before others have their turn, and those who wait to join theirs."""
_TREES: Final = 32
"""Filters of subscribers beyond which every line is decoded: to ask it for all of them would take as long."""
LAG: Final = 5_000_000
"""Microseconds: segments begun longer ago than this are taken to be in the listing."""


class Joined(NamedTuple):
    """The place at which a subscriber's live events begin."""

    cursor: str
    until: dict[Key, Until]


@dataclass(slots=True)
class _Waiting:
    subscriber: Subscriber
    joined: "Future[Joined]"


@dataclass(slots=True)
class Chunk:
    """Events that came, and the place behind them."""

    given: list[Given]
    cursor: str
    _seen: dict[Hashable, Batch] = field(default_factory=dict)

    def seen(self, view: View) -> Batch:
        """What of them a view shows; found once for all subscribers with that view."""
        found = self._seen.get(view.key)
        if found is None:
            found = self._seen[view.key] = shown(view, self.given)
        return found


def shown(view: View, given: Sequence[Given]) -> Batch:
    """What a view shows of events: those that match, as they may be seen."""
    found = Batch(one for one in given if view.matches(one.event))
    return found if view.shown is None else Batch(Given(view.shown(one.event), one.cursor, one.size) for one in found)


class Reader:
    """How far an archive was read, each event once: what the feed and those who catch up have in common. For one thread."""

    def __init__(self, follower: Follower, track: Track, once: Once) -> None:
        self.follower, self.track, self._once = follower, track, once
        self.given_already: tuple[Key, int, int] | None = None
        """Of the line of a segment at an offset, so many events."""

    def remember(self, id: str) -> None:
        """It was given before."""
        self._once.add(id)

    def learn(self, latest: int) -> None:
        """Take in what segments there are. `latest`: microseconds; those begun up to then are all there."""
        for segment in self.follower.segments():
            if segment.name and is_read(segment) and segment.stem not in self.track:
                self.track.learn(segment.stem, known_stem(segment.stem))
        self.track.settle(latest)

    def given(self, arrived: Arrived) -> Iterator[Given]:
        """The events of a line that were not given before, each with the place behind it."""
        key, track = arrived.key, self.track
        if key not in track:
            track.learn(key, known_at(key, self.follower.positions[key]))
        last = len(arrived.events)
        known = self.given_already[2] if self.given_already and self.given_already[:2] == arrived[:2] else 0
        for n, event in enumerate(arrived.events[:-1], 1):
            if self._once.add(event.id) and n > known:
                yield Given(event, track.text(key, arrived.start, n), arrived.size)
        if arrived.after is None:
            track.finish(key)
            return
        track.move(key, arrived.after)
        if last and self._once.add(arrived.events[-1].id):
            yield Given(arrived.events[-1], track.text(), arrived.size)


def begin_now(directory: Path, clock: Callable[[], int]) -> Reader:
    """Read from here on what comes. `clock`: nanoseconds since the epoch."""
    follower = Follower(directory)
    before = clock() // 1000 - LAG
    follower.skip()
    track = Track()
    for key, position in follower.positions.items():
        if is_read_key(key):
            track.learn(key, known_at(key, position), position.offset, over=position.over)
    for path in removed(directory):
        if path.stem not in track:
            track.learn(path.stem, known_stem(path.stem), over=True)
    track.settle(before, now=True)
    reader = Reader(follower, track, Once())
    for id in recent_ids(follower.segments(), follower.positions):
        reader.remember(id)
    return reader


class Feed:
    """The live events of one archive. Reads while anybody is subscribed, and not before."""

    def __init__(
        self,
        directory: Path,
        *,
        most: int = MOST,
        poll: float = POLL,
        patience: float = PATIENCE,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`most`: subscribers at once. `patience`: seconds in which it waits for subscribers who are told, as in `Room`."""
        self.directory = Path(directory).expanduser()
        self.clock, self.monotonic = clock, monotonic
        self.most, self._poll = most, poll
        self._room = Room(monotonic, patience)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._waiting: list[_Waiting] = []
        self._subscribers: list[Subscriber] = []
        self._held = 0
        self._thread: threading.Thread | None = None
        self._closed = False
        self._trees: tuple[Filter | None, ...] = ()
        self._wanted: Sieve | None = None
        self._place = ""
        """The place that subscribers know."""
        self.given = 0
        """Events that were read, since somebody who was subscribed might want them."""

    @property
    def subscribers(self) -> int:
        """How many there are, those who are catching up included."""
        return self._held

    def hold(self) -> None:
        """Take one of the places for subscribers, to be given back by `leave`. Raises StreamError."""
        with self._lock:
            if self._closed:
                raise StreamError("cannot subscribe: the server is stopping; connect again soon")
            if self._held >= self.most:
                raise StreamError(f"cannot subscribe: {self.most} subscribers are there already; try again later")
            self._held += 1

    def join(self, subscriber: Subscriber) -> "Future[Joined]":
        """Give it all that comes from a place on that the future says. Before that, `hold` must have been called."""
        waiting = _Waiting(subscriber, Future())
        with self._lock:
            if self._closed:
                raise StreamError("cannot subscribe: the server is stopping; connect again soon")
            self._waiting.append(waiting)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="whence reads what comes", daemon=True)
                self._thread.start()
        self._wake.set()
        return waiting.joined

    def leave(self, subscriber: Subscriber) -> None:
        """Give it nothing more, and its place to another."""
        subscriber.end("left")
        self._forget(subscriber)
        with self._lock:
            self._held -= 1

    def close(self) -> None:
        """Let all subscribers go and end the thread."""
        with self._lock:
            self._closed = True
            thread, everyone = self._thread, [*self._subscribers, *(one.subscriber for one in self._waiting)]
            waiting, self._waiting = self._waiting, []
        self._wake.set()
        self._room.close()
        for one in waiting:
            one.joined.cancel()
        for subscriber in everyone:
            subscriber.end("the server is stopping")
        if thread is not None:
            thread.join()

    # --- in the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._closed or not (self._waiting or self._subscribers):
                    self._thread = None
                    return
            try:
                self._read_on()
            except Exception as trouble:  # noqa: BLE001 - subscribers must hear of it, and go on where they were
                self._let_go(f"cannot read the archive: {trouble}; connect again with the last id")

    def _let_go(self, reason: str) -> None:
        with self._lock:
            everyone = [*self._subscribers, *(one.subscriber for one in self._waiting)]
            waiting, self._waiting, self._subscribers = self._waiting, [], []
        for one in waiting:
            one.joined.cancel()
        for subscriber in everyone:
            subscriber.end(reason)

    def _read_on(self) -> None:
        """Until nobody is left."""
        joining = self._take_waiting()
        reader = begin_now(self.directory, self.clock)
        self._join(joining, reader.track)
        while self._anybody():
            self._wake.clear()
            # Who waits now may have read what this pass is still to read, so that they join behind it.
            joining, began = self._take_waiting(), self.monotonic()
            came, rest = self._pass(reader)
            self._join(joining, reader.track)
            if rest:
                continue
            self._room.caught_up()
            pause = self._poll + min(_EACH * self._held, _LONGER)
            self._wake.wait(pause if came else max(pause, _SHARE * (self.monotonic() - began)))

    def _pass(self, reader: Reader) -> tuple[bool, bool]:
        """Give on what came since the last pass; whether anything did, and whether there may be more already."""
        reader.learn(self.clock() // 1000 - LAG)
        segments = [one for one in reader.follower.segments() if is_read(one) and not reader.follower.is_over(one)]
        chunk: list[Given] = []
        before, size, many = self.given, 0, self._portion()
        for arrived in arrivals(reader.follower, segments, most=_PASS, sieve=self._sieve()):
            size += (arrived.after or arrived.start) - arrived.start
            chunk += reader.given(arrived)
            if len(chunk) >= many:
                self._publish(Chunk(chunk, reader.track.text()))
                chunk = []
        place = reader.track.text()
        if chunk or place != self._place:
            self._publish(Chunk(chunk, place))
        else:
            for subscriber in self._now():
                if subscriber.is_slow:
                    subscriber.check()
        for notice in told(reader.follower.problems):
            for subscriber in self._now():
                subscriber.put([notice], reader.track.text())
        return self.given > before, size >= _PASS

    def _sieve(self) -> Sieve | None:
        """What of the lines anybody who is there now may want."""
        trees = tuple(dict.fromkeys(one.view.tree for one in self._now()))
        if trees != self._trees:
            known = [tree for tree in trees if tree is not None]
            whole = not known or len(known) < len(trees) or len(known) > _TREES
            self._trees, self._wanted = trees, None if whole else Sieve(Either(tuple(known)))
        return self._wanted

    def _take_waiting(self) -> list[_Waiting]:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            return waiting

    def _join(self, waiting: list[_Waiting], track: Track) -> None:
        """Let these have what comes from here on."""
        if not waiting:
            return
        joined = Joined(track.text(), track.reached())
        for one in waiting:
            one.subscriber.begin(joined.cursor)
            with self._lock:
                self._subscribers.append(one.subscriber)
            if not one.joined.set_running_or_notify_cancel():
                self._forget(one.subscriber)
                continue
            one.joined.set_result(joined)

    def _anybody(self) -> bool:
        with self._lock:
            self._subscribers = [one for one in self._subscribers if not one.ended]
            return bool(self._subscribers or self._waiting) and not self._closed

    def _publish(self, chunk: Chunk) -> None:
        self.given += len(chunk.given)
        self._place = chunk.cursor
        for subscriber in self._now():
            subscriber.put(chunk.seen(subscriber.view), chunk.cursor)
        if chunk.given:
            self._room.wait(self._standings)

    def _portion(self) -> int:
        """How many events fit into everybody's buffer."""
        smallest = min((one.room for one in self._now()), default=CHUNK)
        return min(max(smallest // 2, _LEAST), CHUNK)

    def _standings(self) -> list[Standing]:
        return [found for one in self._now() if (found := one.standing())]

    def _now(self) -> list[Subscriber]:
        with self._lock:
            return list(self._subscribers)

    def _forget(self, subscriber: Subscriber) -> None:
        with self._lock, suppress(ValueError):
            self._subscribers.remove(subscriber)
