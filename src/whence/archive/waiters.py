"""Threads that wait until everything up to some ticket is settled: each is woken once, when its own is.

The law: nothing is locked. A signal handler may come in anywhere, and wait here itself.
"""

import threading


class Waiters:
    """Who waits, and for which ticket."""

    def __init__(self) -> None:
        self._told = 0.0
        self._waiting: dict[threading.Lock, int] = {}

    def wait(self, ticket: int, seconds: float | None) -> None:
        """Until `tell` tells of this ticket or a later one, or the time is over."""
        own = threading.Lock()
        own.acquire()
        self._waiting[own] = ticket  # first this, then the look: who tells does it the other way round
        try:
            if self._told < ticket:
                own.acquire(timeout=-1 if seconds is None else max(0.0, seconds))
        finally:
            self._waiting.pop(own, None)

    def tell(self, upto: float) -> None:
        """Everything up to this ticket is settled; infinity: nobody will hear more."""
        self._told = max(self._told, upto)
        for own, ticket in self._waiting.copy().items():
            if ticket <= upto and self._waiting.pop(own, None) is not None:
                own.release()
