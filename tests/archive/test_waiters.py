"""Who waits for a ticket hears of it once, at its time."""

import math
import threading
import time

from whence.archive.waiters import Waiters


def test_each_is_woken_by_its_own_ticket_and_by_none_before() -> None:
    """Told of the first half, the first half goes on, and the others still wait."""
    waiters, gone = Waiters(), [threading.Event() for _ in range(8)]

    def wait(n: int) -> None:
        waiters.wait(n + 1, 60)
        gone[n].set()

    threads = [threading.Thread(target=wait, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    waiters.tell(4)
    assert all(event.wait(90) for event in gone[:4])
    assert not any(event.is_set() for event in gone[4:])
    waiters.tell(math.inf)
    for thread in threads:
        thread.join(90)
        assert not thread.is_alive()


def test_who_comes_after_the_telling_does_not_wait() -> None:
    """Nor once nobody will hear more."""
    waiters = Waiters()
    waiters.tell(3)
    waiters.wait(3, None)
    waiters.tell(math.inf)
    waiters.wait(9, None)


def test_nobody_is_missed_who_comes_while_others_are_told() -> None:
    """Threads that wait again and again, while tickets are told as fast as they are given out."""
    waiters, given, told = Waiters(), iter(range(1, 1_000_000)), threading.Event()
    asked: list[int] = []

    def ask() -> None:
        for _ in range(300):
            ticket = next(given)
            asked.append(ticket)
            told.set()
            waiters.wait(ticket, None)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 60
    while any(thread.is_alive() for thread in threads):
        assert time.monotonic() < until, "somebody was told and did not hear"
        told.wait(0.01)
        told.clear()
        waiters.tell(max(asked, default=0))
