"""Who an event is: ULIDs in strict order within this process, and names for runs."""

import os
import threading
import time
from random import Random, SystemRandom

from whence.event.ids import ENTROPY_BITS, TAIL_BITS, TAIL_DIGITS, TAIL_MASK, next_ulid, tail_text, ulid_text


class Ulids:
    """A source of ULID texts, unique and strictly ascending within the process, under any number of threads.

    A forked child goes on with entropy of its own, so that parent and child never give out the same id.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        # Unguessable numbers are not the point, numbers nobody else has are: the system's randomness is asked once.
        self._random = Random(os.urandom(32))
        self._last = 0
        self._millisecond = 0
        self._head = -1
        self._head_text = ""

    def next(self) -> str:
        with self._lock:
            now = time.time_ns() // 1_000_000
            if now <= self._millisecond:
                self._last += 1  # the same millisecond, or a clock that jumped back: order before time
            else:
                self._millisecond = now
                self._last = next_ulid(self._last, now, self._random.getrandbits(ENTROPY_BITS))
            # Within a millisecond only the last digits change: spell just those anew.
            head, tail = self._last >> TAIL_BITS, self._last & TAIL_MASK
            if head != self._head:
                self._head, self._head_text = head, ulid_text(self._last)[:-TAIL_DIGITS]
            return self._head_text + tail_text(tail)


ulids = Ulids()
os.register_at_fork(after_in_child=ulids._reset)


def new_run_id() -> str:
    """A name for a run nobody named: the UTC second it began, for people, and a random part, for uniqueness."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{SystemRandom().getrandbits(32):08x}"
