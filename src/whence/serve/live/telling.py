"""What one subscriber is told, portion after portion: that it is connected, what was, what comes, signs of life, the end.

The law: a place is told only behind what was given. Nothing waits here: whoever is told sets the pace.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from whence.errors import StreamError
from whence.event.flat import format_time
from whence.serve.live.listener import Listener
from whence.serve.live.messages import Message, Notice
from whence.serve.live.subscriber import Subscriber

_LOOK, _SELDOM = 0.5, 5.0
"""Seconds between two looks at whether a subscriber is to be let go: one that is slow, and one that is not."""
_FAREWELL: Final = 2.0
"""Seconds in which somebody who was let go may still take what is on its way, and the last message."""
_READERS: Final = ThreadPoolExecutor(8, "whence reads what was")
"""Those who catch up: a few at once, however many there are, and never in the way of other answers."""

T = TypeVar("T")


class Terms(NamedTuple):
    """How a subscriber is told."""

    heartbeat: float
    """Seconds after which a sign of life is given where nothing else was."""
    refused: Callable[[], str | None]
    """Why it may not be told any more, if so; asked as often as there could be heartbeats."""
    clock: Callable[[], int]
    """Nanoseconds since the epoch."""


class Telling:
    """One subscriber being told."""

    def __init__(self, listener: Listener, terms: Terms, written: Callable[[Sequence[Message]], object]) -> None:
        """`written` gives what is sent of messages, and remembers that of a `Batch`."""
        self._listener, self._terms = listener, terms
        listener.subscriber.written = written
        self._bell = _Bell(asyncio.get_running_loop())
        listener.subscriber.wake = self._bell.ring
        self._place = ""
        self._told = self._asked = time.monotonic()

    async def portions(self) -> AsyncIterator[Sequence[Message]]:
        """All that is told. Raises StreamError where it cannot begin; what goes wrong later is told."""
        listener = self._listener
        found = await in_reader(listener.catch_up)
        self._place = listener.place
        yield [Notice("connected", {"time": self._time(), "heartbeat": self._terms.heartbeat}, self._place)]
        try:
            while found is not None:
                if said := found or self._sign():
                    yield said
                    self._told = time.monotonic()
                self._place = listener.place
                if why := self._refused():
                    yield [self._closing(why)]
                    return
                found = await in_reader(listener.catch_up)
        except StreamError as cause:
            yield [self._closing(str(cause))]
            return
        async for portion in self._live():
            yield portion

    async def _live(self) -> AsyncIterator[Sequence[Message]]:
        subscriber = self._listener.subscriber
        subscriber.is_told = True
        while True:
            over = subscriber.ended
            if found := self._listener.take():
                subscriber.busy = time.monotonic()
                yield found
                subscriber.busy = None
                self._told = time.monotonic()
                if over:
                    return
                continue
            self._place = subscriber.place
            if why := self._refused():
                subscriber.end(why)
            elif sign := self._sign():
                yield sign
                self._told = time.monotonic()
            else:
                await self._bell.rung(max(self._terms.heartbeat - (time.monotonic() - self._told), 0.001))

    def _sign(self) -> list[Message]:
        """A heartbeat, where it is time for one."""
        if time.monotonic() - self._told < self._terms.heartbeat:
            return []
        return [Notice("heartbeat", {"time": self._time()}, self._place)]

    def _refused(self) -> str | None:
        now = time.monotonic()
        if now - self._asked < self._terms.heartbeat:
            return None
        self._asked = now
        return self._terms.refused()

    def _closing(self, reason: str) -> Notice:
        return Notice("closing", {"reason": reason, "resume": self._place}, self._place)

    def _time(self) -> str:
        return format_time(self._terms.clock())


async def in_reader(work: Callable[[], T]) -> T:
    """Reading that blocks, on a thread of the few that are for it."""
    return await asyncio.get_running_loop().run_in_executor(_READERS, work)


class _Bell:
    """Wakes a task from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._rung = loop, asyncio.Event()

    def ring(self) -> None:
        if not self._rung.is_set():
            with suppress(RuntimeError):  # the loop is closed, and nobody listens any more
                self._loop.call_soon_threadsafe(self._rung.set)

    async def rung(self, seconds: float) -> None:
        """Wait until it rings, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        self._rung.clear()


async def until_gone(
    subscriber: Subscriber, telling: Callable[[], Awaitable[Any]], leaving: Callable[[], Awaitable[Any]]
) -> None:
    """Tell somebody until all is said, or they left, or were let go and take nothing any more.

    `telling` tells them and raises what goes wrong; `leaving` is over when they left.
    """
    tasks = [asyncio.ensure_future(work()) for work in (telling, leaving, partial(_forsaken, subscriber))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            await tasks[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _forsaken(subscriber: Subscriber) -> None:
    """Is over a while after the subscriber was let go: who is still being told then does not listen."""
    bell = _Bell(asyncio.get_running_loop())
    subscriber.gone = bell.ring
    while not subscriber.check():
        await bell.rung(_LOOK if subscriber.is_slow else _SELDOM)
    await asyncio.sleep(_FAREWELL)
