"""Threads that do an event loop's waiting: what they find comes back, there are as many as needed, and an end is an end."""

import asyncio
import threading

import pytest

from waiting import until
from whence.collect.receivers.workers import Workers


def _named(name: str) -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith(name)]


def test_what_is_found_or_raised_comes_back_to_the_loop() -> None:
    """Each to whom it belongs, many at once, with one thread where they come one after the other."""

    async def main() -> None:
        loop, workers = asyncio.get_running_loop(), Workers(4, "found")
        for n in range(20):
            assert await workers.do(loop, lambda n: n * 2, n) == n * 2
        assert len(_named("found")) <= 2  # the first may have handed back before it counted as free
        assert await asyncio.gather(*(workers.do(loop, pow, n, 2) for n in range(200))) == [n * n for n in range(200)]
        assert len(_named("found")) <= 4
        with pytest.raises(ZeroDivisionError):
            await workers.do(loop, divmod, 1, 0)
        assert await workers.do(loop, str, 1) == "1"
        workers.close()

    asyncio.run(main())
    until(lambda: _named("found") == [])


def test_all_threads_work_at_once_and_no_more() -> None:
    """Three wait for each other, a fourth waits for one of them."""

    async def main() -> None:
        loop, workers = asyncio.get_running_loop(), Workers(3, "at once")
        together, inside = threading.Barrier(3), []

        def meet(n: int) -> int:
            inside.append(n)
            return together.wait(60)

        found = await asyncio.gather(*(workers.do(loop, meet, n) for n in range(6)))
        assert sorted(found) == [0, 0, 1, 1, 2, 2]
        assert len(_named("at once")) == 3
        workers.close()

    asyncio.run(main())


def test_who_gives_up_waiting_disturbs_nobody() -> None:
    """A cancelled wait drops what comes of it."""

    async def main() -> None:
        loop, workers, gate = asyncio.get_running_loop(), Workers(1, "given up"), threading.Event()
        waiting = workers.do(loop, gate.wait, 60)
        waiting.cancel()
        gate.set()
        assert await workers.do(loop, int, "7") == 7
        workers.close()

    asyncio.run(main())


def test_at_the_end_nothing_is_begun_any_more() -> None:
    """What waits for a thread is dropped, what a thread works on is finished, also when its loop is gone."""
    gate, entered, done = threading.Event(), threading.Event(), []

    def work(n: int) -> None:
        entered.set()
        assert gate.wait(60)
        done.append(n)

    async def main() -> None:
        loop, workers = asyncio.get_running_loop(), Workers(1, "ended")
        for n in range(3):
            workers.do(loop, work, n)
        assert await asyncio.to_thread(entered.wait, 60)
        workers.close()

    asyncio.run(main())
    gate.set()
    until(lambda: _named("ended") == [])
    assert done == [0]
