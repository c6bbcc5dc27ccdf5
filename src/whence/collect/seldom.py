"""What is said now and then: trouble that every request meets would fill the log."""

import time
from collections.abc import Callable
from typing import Final

_EVERY: Final = 10.0
_MOST: Final = 1000


class Seldom:
    """Whether something is to be said now: the first time, and again once `every` seconds have passed.

    Threads may share one: at worst, two that ask in the same instant both speak.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, every: float = _EVERY) -> None:
        self._monotonic = monotonic
        self._every = every
        self._quiet_until: dict[str, float] = {}

    def __call__(self, about: str = "") -> bool:
        """Whether to speak of this now. Each `about` is for itself; of more than a thousand, all are new again."""
        now = self._monotonic()
        if now < self._quiet_until.get(about, 0.0):
            return False
        if len(self._quiet_until) >= _MOST:
            self._quiet_until.clear()
        self._quiet_until[about] = now + self._every
        return True
