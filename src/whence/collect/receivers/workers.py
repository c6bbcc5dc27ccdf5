"""Threads that do the waiting of an event loop's requests: what they find comes back to the loop as an awaitable.

`concurrent.futures` does the same with two futures, a chain of callbacks and a thread more for each request.
"""

import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

Found = TypeVar("Found")
_Job = tuple[AbstractEventLoop, "Future[Any]", Callable[..., Any], tuple[Any, ...]]


class Workers:
    """As many threads as there is work for, up to a number; a thread that is idle is used before another is started."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._free = 0
        """Threads less jobs that wait."""

    def do(self, loop: AbstractEventLoop, work: Callable[..., Found], *given: Any) -> "Future[Found]":
        """Have it done by a thread; awaiting it gives what it returns, or raises what it raises. Called on the loop's thread."""
        found: Future[Found] = loop.create_future()
        with self._lock:
            self._free -= 1
            if self._free < 0 and self._threads < self._most:
                self._free += 1
                self._threads += 1
                threading.Thread(target=self._serve, name=f"{self._name}_{self._threads}", daemon=True).start()
        self._jobs.put((loop, found, work, given))
        return found

    def close(self) -> None:
        """What has not begun is not begun any more; no thread stays when its work is done."""
        with suppress(Empty):
            while True:
                self._jobs.get_nowait()
        for _ in range(self._threads):
            self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop, found, work, given = job
            outcome, fault = None, None
            try:
                outcome = work(*given)
            except Exception as cause:  # noqa: BLE001 - it is raised where the work is awaited
                fault = cause
            with self._lock:
                self._free += 1
            try:
                loop.call_soon_threadsafe(_settle, found, outcome, fault)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more
            del job, found, work, given, outcome, fault  # a request's bytes must not live until the next one


def _settle(found: "Future[Any]", outcome: Any, fault: Exception | None) -> None:
    if found.done():
        return  # who waited has given up
    if fault is None:
        found.set_result(outcome)
    else:
        found.set_exception(fault)
