"""One who listens: what was there since the place they ask for, read from the archive, and then what comes.

The law: nothing is missing and nothing given twice where the two meet. Who catches up waits in no buffer.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Final, Protocol

from whence.archive.follow import Key
from whence.errors import StreamError
from whence.serve.live.cursor import Until
from whence.serve.live.feed import Joined
from whence.serve.live.messages import Message
from whence.serve.live.past import NOW, Past, Start
from whence.serve.live.subscriber import Subscriber, Terms, View

_MOMENT: Final = 500_000_000
"""Nanoseconds: when a look at all that came takes less, what comes meanwhile fits into a buffer."""
_DEFAULT: Final = Terms()


class Giving(Protocol):
    """Who gives events to listeners: a feed, or whatever else has some."""

    directory: Path
    clock: Callable[[], int]
    monotonic: Callable[[], float]

    def hold(self) -> None:
        """As of `Feed`."""

    def join(self, subscriber: Subscriber) -> "Future[Joined]":
        """As of `Feed`."""

    def leave(self, subscriber: Subscriber) -> None:
        """As of `Feed`."""


class Listener:
    """A place among a feed's subscribers. `catch_up` until it gives None, then `take` whenever it is woken; at last `close`."""

    def __init__(self, feed: Giving, view: View, start: Start = NOW, terms: Terms = _DEFAULT) -> None:
        """Raises StreamError where there is no room."""
        feed.hold()
        self._feed, self._view, self._start = feed, view, start
        self.subscriber = Subscriber(view, terms, feed.monotonic)
        self._past: Past | None = None
        self._old: Iterator[Sequence[Message]] | None = self._catch_up()
        self._closed = False

    @property
    def place(self) -> str:
        """The cursor behind what was given."""
        return self._past.place if self._past is not None else self.subscriber.place

    def catch_up(self) -> Sequence[Message] | None:
        """Some more of what was there before, perhaps nothing yet; None once all was given. Blocks while it reads."""
        if self._old is not None:
            found = next(self._old, None)
            if found is not None:
                return found
            self._old, self._past = None, None
        return None

    def take(self) -> Sequence[Message]:
        """What came since, without waiting."""
        return self.subscriber.take()

    def close(self) -> None:
        """Leave. Safe to be called again."""
        if not self._closed:
            self._closed, self._old = True, None
            self._feed.leave(self.subscriber)

    def _catch_up(self) -> Iterator[Sequence[Message]]:
        if self._start == NOW:
            self._join()
            return
        past = self._past = Past(self._feed.directory, self._view, self._start, self._feed.clock)
        yield [*past.notices]
        near = False
        while not near and not self.subscriber.ended:
            before = self._feed.clock()
            yield from past.read()
            near = self._feed.clock() - before < _MOMENT
        joined = self._join()
        yield from past.read(joined)
        yield past.left(joined)

    def _join(self) -> dict[Key, Until]:
        try:
            return self._feed.join(self.subscriber).result().until
        except CancelledError:
            raise StreamError("cannot go on: the server is stopping; connect again with the last id") from None
