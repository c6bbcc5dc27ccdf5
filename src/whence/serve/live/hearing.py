"""One who listens inside the server itself: a thread that is given each event as it comes, and never holds anybody up.

The law: it is never let go. What it cannot keep up with it misses, is told so, and goes on; where it began behind a place, it
misses nothing and reads that from the archive instead.
"""

import logging
import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from whence.errors import StreamError, WhenceError
from whence.serve.live.cursor import parse_cursor
from whence.serve.live.feed import Feed
from whence.serve.live.listener import Listener
from whence.serve.live.messages import Message, Notice
from whence.serve.live.past import NOW, Start
from whence.serve.live.subscriber import Terms, View

_LOG: Final = logging.getLogger("whence.serve")
_WAIT: Final = 0.5


class Hearing:
    """From when it is made until `close`."""

    def __init__(
        self,
        feed: Feed,
        view: View,
        hear: Callable[[Sequence[Message]], None],
        *,
        name: str,
        buffer: int,
        place: str | None = None,
        reached: Callable[[str], None] = lambda place: None,
    ) -> None:
        """`hear` is called on a thread of its own with what came, in order; it may take its time.

        `place`: a cursor behind which to begin and miss nothing, else with what comes. `reached` is called on that thread with
        the place behind all that was heard, now and then. Raises StreamError where there is no room.
        """
        self._feed, self._view, self._hear, self._reached = feed, view, hear, reached
        self._name, self._terms = name, Terms(buffer, patience=math.inf)
        self._place = place
        """Behind what was heard; None where nothing has to be had again."""
        self._woken, self._over = threading.Event(), threading.Event()
        self.joined = threading.Event()
        """Set once nothing that comes can be missed."""
        self._listener = self._begin()
        self._thread = threading.Thread(target=self._listen, name=f"whence {name}", daemon=True)
        self._thread.start()

    def _begin(self) -> Listener:
        start = NOW if self._place is None else Start(parse_cursor(self._place))
        listener = Listener(self._feed, self._view, start, self._terms)
        listener.subscriber.wake = self._woken.set
        return listener

    def _listen(self) -> None:
        if self._place is None:
            with suppress(StreamError):  # the server stops
                self._hear_on()
            return
        while not self._over.is_set():
            try:
                self._hear_on()
            except StreamError:
                pass  # let go: it goes on where it was, or the server stops
            except (WhenceError, OSError) as trouble:
                _LOG.warning("%s goes on later: %s", self._name, trouble)
            self._listener.close()
            while not self._over.wait(_WAIT):
                with suppress(StreamError):
                    self._listener = self._begin()
                    break

    def _hear_on(self) -> None:
        """Until it is over, it is let go, or something is to be had again."""
        while not self._over.is_set() and (found := self._listener.catch_up()) is not None:
            self._take(found)
        self.joined.set()
        while not self._over.is_set():
            self._woken.wait(_WAIT)
            self._woken.clear()
            while not self._over.is_set() and (found := self._listener.take()):
                last = found[-1]
                is_lost = self._place is not None and any(map(_is_slow, found))
                is_end = isinstance(last, Notice) and last.name == "closing"
                if is_lost or (is_end and self._place is not None):
                    return
                self._take(found)
                if is_end:
                    return
            self._tell()

    def _take(self, found: Sequence[Message]) -> None:
        self._hear(found)
        self._tell()

    def _tell(self) -> None:
        """Say how far it was heard."""
        place = self._listener.place
        if self._place is not None and place and not self._over.is_set():
            self._place = place
            self._reached(place)

    def close(self, seconds: float = 5.0) -> None:
        """Hear no more; wait for what is being heard, for at most so long."""
        self._over.set()
        self._woken.set()
        self._thread.join(seconds)
        self._listener.close()


def _is_slow(message: Message) -> bool:
    return isinstance(message, Notice) and message.name == "missed" and message.data["reason"] == "slow"
