"""gRPC calls whose message has not come: a thread waits for each, so none may wait for ever.

The law: a call is given up as CANCELLED, which OTLP's clients send again; nothing of it was taken.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc

_WHOLE: Final = 300.0
"""Seconds that a message may take: the library does not say how much of it has come."""
_CROWDED: Final = 1.0
"""The same where every thread waits, and where the receiver stops."""
_LOOK: Final = 0.25


class Arrivals:
    """Calls that wait for their message, watched from `start` to `stop`."""

    def __init__(self, places: int, name: str) -> None:
        """`places`: threads that can wait."""
        self._places = places
        self._began: dict[grpc.ServicerContext, float] = {}
        self._closing = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=name, daemon=True)

    def start(self) -> None:
        """Watch."""
        self._thread.start()

    def close(self) -> None:
        """No more time for those that still wait."""
        self._closing = True

    def stop(self) -> None:
        """Watch no more."""
        self._ended.set()
        self._thread.join()

    @contextmanager
    def awaited(self, context: grpc.ServicerContext) -> Iterator[None]:
        """While the call's message is waited for."""
        self._began[context] = time.monotonic()
        try:
            yield
        finally:
            del self._began[context]

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK):
            began = self._began.copy()
            patience = _CROWDED if self._closing or len(began) >= self._places else _WHOLE
            latest = time.monotonic() - patience
            for context, since in began.items():
                if since <= latest:
                    context.cancel()
