"""A stage: what one replay gives, to everybody who listens, with the buffers and notices of live streams.

The law: who comes late hears what comes from then on, who comes back what came meanwhile. The place of a message names the
replay and the message's number in it, whichever way the replay was moved.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Final

from whence.errors import DataError, StreamError
from whence.event.model import Event
from whence.serve.live.feed import MOST, Chunk, Joined
from whence.serve.live.messages import Given, missed
from whence.serve.live.room import Room, Standing
from whence.serve.live.subscriber import Subscriber

KEPT: Final = 5_000
"""Events that are kept for listeners who come back."""
_BYTES: Final = 16 << 20
"""Of them, as JSON."""


class Stage:
    """Those who listen to one replay. Thread-safe."""

    def __init__(self, name: str, directory: Path, clock: Callable[[], int]) -> None:
        self.name, self.directory, self.clock, self.monotonic = name, directory, clock, time.monotonic
        self._lock = threading.Lock()
        self._room = Room(self.monotonic, inf)
        self._subscribers: list[Subscriber] = []
        self._held = self._given = 0
        self._kept: deque[Given] = deque()
        self._size = 0
        self._heard = False
        """Whether anybody ever listened, who may come back."""
        self._closed: str | None = None

    @property
    def subscribers(self) -> int:
        """How many listen."""
        return self._held

    def behind(self, place: str) -> "Behind":
        """The stage for one who comes back. Raises DataError for what is no place of this replay."""
        name, _, number = place.rpartition(".")
        if name != self.name or not (number.isascii() and number.isdigit()) or int(number) > self._given:
            raise DataError(
                f"cannot go on at {place[:40]!r}: it is no place of the replay {self.name}; give the id of one of its messages,"
                " or none to hear what comes"
            )
        return Behind(self, int(number))

    def hold(self) -> None:
        """Take a place. Raises StreamError where there is none."""
        with self._lock:
            if self._closed:
                raise StreamError(f"cannot listen: {self._closed}; begin another replay")
            if self._held >= MOST:
                raise StreamError(f"cannot listen: {MOST} do already; try again later")
            self._held += 1

    def join(self, subscriber: Subscriber, behind: int | None = None) -> "Future[Joined]":
        """Give it what comes from now on; `behind` the message of that number also what came since, as far as it is kept."""
        joined: Future[Joined] = Future()
        with self._lock:
            self._heard = True
            number = self._given if behind is None else behind
            subscriber.begin(self._place(number))
            self._repeat(subscriber, number)
            self._subscribers.append(subscriber)
            joined.set_result(Joined(self._place(number), {}))
            if self._closed:
                subscriber.end(self._closed)
        return joined

    def leave(self, subscriber: Subscriber) -> None:
        """Give it nothing more."""
        subscriber.end("left")
        with self._lock:
            self._held -= 1
            with suppress(ValueError):
                self._subscribers.remove(subscriber)

    def publish(self, *events: Event) -> None:
        """Give events to all who listen, and wait for those whom the server has not got round to."""
        with self._lock:
            given = [Given(event, self._place(self._given + n)) for n, event in enumerate(events, 1)]
            self._given += len(given)
            if self._heard:
                self._keep(given)
            chunk = Chunk(given, self._place(self._given))
            for subscriber in self._subscribers:
                subscriber.put(chunk.seen(subscriber.view), chunk.cursor)
        self._room.wait(self._standings)

    def close(self, reason: str) -> None:
        """Let all go."""
        self._room.close()
        with self._lock:
            self._closed = self._closed or reason
            for subscriber in self._subscribers:
                subscriber.end(reason)

    def _place(self, number: int) -> str:
        return f"{self.name}.{number}"

    def _keep(self, given: list[Given]) -> None:
        for one in given:
            one.size = len(one.json)
            self._kept.append(one)
            self._size += one.size
        while len(self._kept) > KEPT or self._size > _BYTES:
            self._size -= self._kept.popleft().size

    def _repeat(self, subscriber: Subscriber, number: int) -> None:
        """What came behind this message, said first where some of it is not kept any more."""
        came = self._given - number
        if came > len(self._kept):
            gone = self._given - len(self._kept)
            words = "the replay has gone on too far: only the last events are kept; move it back for the others"
            subscriber.put(
                [missed("gone", words, count=gone - number)._replace(cursor=self._place(gone))], self._place(gone)
            )
        if came and self._kept:
            chunk = Chunk([*self._kept][-came:], self._place(self._given))
            subscriber.put(chunk.seen(subscriber.view), chunk.cursor)

    def _standings(self) -> list[Standing]:
        with self._lock:
            return [found for one in self._subscribers if (found := one.standing())]


class Behind:
    """A stage for one listener who comes back."""

    def __init__(self, stage: Stage, number: int) -> None:
        self._stage, self._number = stage, number
        self.directory, self.clock, self.monotonic = stage.directory, stage.clock, stage.monotonic
        self.hold, self.leave = stage.hold, stage.leave

    def join(self, subscriber: Subscriber) -> "Future[Joined]":
        """Give it what came since, and what comes."""
        return self._stage.join(subscriber, self._number)
