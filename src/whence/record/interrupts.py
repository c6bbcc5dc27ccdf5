"""Signals that wait: what a signal's handler raises on the main thread comes between any two steps, and some belong together.

A Ctrl-C in the middle of an append would leave lines in a file that nobody has counted, or a lock that nobody gives back.

The law: a signal is delayed, never lost, and what the program has set for it is what runs.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any, Final

_SIGNALS: Final = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM") if hasattr(signal, name)
]
"""Those whose handlers are wont to raise. One that the system answers by itself is left to it."""
_NOT_MAIN: Final = nullcontext()

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
