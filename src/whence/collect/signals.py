"""Work on a thread of its own, while the main thread does nothing but hear signals.

The law: Python runs a signal's function in the main thread only, and a main thread that waits for a lock is not woken when
the system hands the signal to another thread. So the main thread waits for nothing but the bytes that signals write.
"""

import os
import select
import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType

Heard = Callable[[int, FrameType | None], None]


def attended(work: Callable[[], int], heard: Mapping[signal.Signals, Heard]) -> int:
    """What `work` gives or raises; meanwhile each signal's function runs at once, whatever `work` is waiting for.

    Must be called from the main thread.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.set_blocking(reading, False)
    outcome: list[int | BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as fault:  # noqa: BLE001 - it is raised again, in the main thread
            outcome.append(fault)
        finally:
            os.write(writing, b"\0")

    before_fd = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before = {number: signal.signal(number, function) for number, function in heard.items()}
    try:
        worker = threading.Thread(target=run, name="work", daemon=True)
        worker.start()
        while not outcome:
            select.select([reading], [], [])
            os.read(reading, 4096)
        worker.join()  # the interpreter must not be torn down around a thread that is in it
    finally:
        for number, function in before.items():
            signal.signal(number, function)
        signal.set_wakeup_fd(before_fd)
        os.close(reading)
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]
