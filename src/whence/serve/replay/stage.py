"""A stage: what one replay gives, to everybody who listens, with the buffers and notices of live streams.

The law: who comes late hears what comes from then on; the place of a message is its number and leads nowhere else.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from whence.errors import StreamError
from whence.event.model import Event
from whence.serve.live.feed import MOST, Chunk, Joined
from whence.serve.live.messages import Given
from whence.serve.live.subscriber import Subscriber


class Stage:
    """Those who listen to one replay. Thread-safe."""

    def __init__(self, directory: Path, clock: Callable[[], int]) -> None:
        self.directory, self.clock, self.monotonic = directory, clock, time.monotonic
        self._lock = threading.Lock()
        self._subscribers: list[Subscriber] = []
        self._held = self._given = 0
        self._closed: str | None = None

    @property
    def subscribers(self) -> int:
        """How many listen."""
        return self._held

    def hold(self) -> None:
        """Take a place. Raises StreamError where there is none."""
        with self._lock:
            if self._closed:
                raise StreamError(f"cannot listen: {self._closed}; begin another replay")
            if self._held >= MOST:
                raise StreamError(f"cannot listen: {MOST} do already; try again later")
            self._held += 1

    def join(self, subscriber: Subscriber) -> "Future[Joined]":
        """Give it what comes from now on."""
        joined: Future[Joined] = Future()
        with self._lock:
            subscriber.begin(str(self._given))
            self._subscribers.append(subscriber)
            joined.set_result(Joined(str(self._given), {}))
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
        """Give events to all who listen."""
        with self._lock:
            given = [Given(event, str(self._given + n)) for n, event in enumerate(events, 1)]
            self._given += len(given)
            chunk = Chunk(given, str(self._given))
            for subscriber in self._subscribers:
                subscriber.put(chunk.seen(subscriber.view), chunk.cursor)

    def close(self, reason: str) -> None:
        """Let all go."""
        with self._lock:
            self._closed = reason
            for subscriber in self._subscribers:
                subscriber.end(reason)
