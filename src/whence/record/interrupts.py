"""What a signal's handler raises on the main thread comes between any two steps: signals that wait where some belong together,
and waiting for a change in a way that may be left anywhere.

A Ctrl-C in the middle of an append would leave lines in a file that nobody has counted; inside a Condition or an Event, a lock
that nobody gives back.

The law: a signal is delayed, never lost, and what the program has set for it is what runs.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any, Final, TypeVar

_SIGNALS: Final = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM") if hasattr(signal, name)
]
"""Those whose handlers are wont to raise. One that the system answers by itself is left to it."""
_NOT_MAIN: Final = nullcontext()

T = TypeVar("T")

_handlers: dict[int, Any] = {}
_waiting: list[int] = []
_depth = 0


def held() -> AbstractContextManager[None]:
    """Inside, no signal's handler runs on this thread; those that came meanwhile run at the end. Keep it short."""
    return _NOT_MAIN if threading.current_thread() is not threading.main_thread() else _held()


@contextmanager
def _held() -> Iterator[None]:
    global _depth
    if _depth:
        yield
        return
    try:
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler) and handler is not _wait:
                _handlers[number] = handler
                signal.signal(number, _wait)
        _depth = 1
        yield
    finally:
        _depth = 0
        for number, handler in _handlers.items():
            if signal.getsignal(number) is _wait:
                signal.signal(number, handler)
        while _waiting:
            signal.raise_signal(_waiting.pop(0))


def _wait(number: int, frame: FrameType | None) -> None:
    if _depth:
        _waiting.append(number)
    else:  # between two steps of the block's beginning or end
        _handlers[number](number, frame)


class Changes:
    """What a Condition is for, with a lock that is as it should be wherever a signal's handler raises.

    Only the lock's own `with` takes it, which is one step; whoever waits holds nothing but a gate of their own.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._gates: list[threading.Lock] = []

    def wait_for(self, settled: Callable[[], T | None], timeout: float | None = None) -> T | None:
        """What `settled`, called with the lock held after every change, gives first; None where `timeout` seconds pass before.

        The lock must not be held by the caller.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                found = settled()
                if found is not None:
                    return found
                gate = threading.Lock()
                gate.acquire()
                self._gates.append(gate)
            if not gate.acquire(timeout=-1 if until is None else max(0.0, until - time.monotonic())):
                with self._lock:
                    if gate in self._gates:
                        self._gates.remove(gate)
                    return settled()

    def tell(self) -> None:
        """Something has changed; the lock is held."""
        while self._gates:
            self._gates.pop().release()
