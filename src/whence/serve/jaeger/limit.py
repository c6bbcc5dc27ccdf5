"""The time a question about traces may take: said once by the door that it came through, looked at wherever an answer takes long.

The law: of one question only, which one thread answers from its beginning to its end.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_END: Final[ContextVar[tuple[float, float] | None]] = ContextVar("whence_question_ends", default=None)
"""By the monotonic clock, and the seconds there were."""


@contextmanager
def answered_within(seconds: float, began: float | None = None) -> Iterator[None]:
    """What is asked inside must be answered in so many seconds from `began` on, by the monotonic clock; None: from now."""
    _END.set(((time.monotonic() if began is None else began) + seconds, seconds))
    try:
        yield
    finally:
        _END.set(None)  # a stream may be closed in another context than it began in: that has no former value


def in_time() -> None:
    """Raises TimeoutError where the time of the question that this thread answers is over."""
    end = _END.get()
    if end is not None and time.monotonic() > end[0]:
        raise TimeoutError(f"the time of {end[1]:g} s was over; ask for less, or raise request_timeout")
