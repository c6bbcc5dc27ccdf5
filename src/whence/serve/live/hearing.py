"""One who listens inside the server itself: a thread that is given each event as it comes, and never holds anybody up.

The law: what it cannot keep up with it misses, is told so, and goes on; it is never let go.
"""

import math
import threading
from collections.abc import Callable, Sequence
from typing import Final

from whence.errors import StreamError
from whence.serve.live.feed import Feed
from whence.serve.live.listener import Listener
from whence.serve.live.messages import Message, Notice
from whence.serve.live.past import NOW, Start
from whence.serve.live.subscriber import Terms, View

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
        start: Start = NOW,
    ) -> None:
        """`hear` is called on a thread of its own with what came, in order. Raises StreamError where there is no room."""
        self._hear = hear
        self._listener = Listener(feed, view, start, Terms(buffer, patience=math.inf))
        self._woken = threading.Event()
        self._closed = False
        self.joined = threading.Event()
        """Set once nothing that comes can be missed."""
        self._listener.subscriber.wake = self._woken.set
        self._thread = threading.Thread(target=self._listen, name=f"whence {name}", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            while not self._closed and (found := self._listener.catch_up()) is not None:
                self._hear(found)
        except StreamError:
            return  # the server stops
        self.joined.set()
        while not self._closed:
            self._woken.wait(_WAIT)
            self._woken.clear()
            while not self._closed and (found := self._listener.take()):
                self._hear(found)
                if isinstance(found[-1], Notice) and found[-1].name == "closing":
                    return

    def close(self, seconds: float = 5.0) -> None:
        """Hear no more; wait for what is being heard, for at most so long."""
        self._closed = True
        self._woken.set()
        self._thread.join(seconds)
        self._listener.close()
