"""How one run ended: its last events, and what had begun and not ended.

The law: pure; `summaries.py` asks the columns for the same.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from whence.event.model import Event
from whence.index.histories import still_open, unended_spans


class Ending(NamedTuple):
    """`start`: when it began, in ns since the epoch, as its program measured it, else its first event. `last`: its last events
    by time. `open`: what began and did not end. `spans`: those that never arrived, and how many
    events happened in each."""

    start: int
    last: list[Event]
    open: list[Event]
    spans: list[tuple[str, int]]


def ending_of(events: Iterable[Event], limit: int) -> Ending:
    """The ending of the run of these events (at least one), of which the last `limit` are wanted."""
    ordered = sorted(events, key=lambda event: (event.time, event.id))
    said = [event.time - event.elapsed_ns for event in ordered if event.elapsed_ns is not None]
    start = min(said, default=ordered[0].time)
    return Ending(start, list(deque(ordered, limit)), still_open(ordered), list(unended_spans(ordered)))
