"""`projections`: what an exporter to a trace viewer sends in place of log records, so that events are seen there.

The law: what has no place in the viewer is not sent; nothing that is stored elsewhere is changed.
"""

import threading
from collections import OrderedDict
from hashlib import blake2b
from typing import Final, Literal

from whence.collect.batch import Batch
from whence.otlp.decode import Place, decode
from whence.otlp.shown import traces_of_events

Projections = Literal["none", "instants", "events"]
"""`instants`: events that happened in no span, as spans of no duration. `events`: those that happened in one too, below it."""
_KNOWN: Final = 50_000
"""Events of which it is remembered where they are shown, so that links from their effects lead there."""


class Projecting:
    """Turns log records into what trace viewers show. Thread-safe."""

    def __init__(self, kind: Literal["instants", "events"]) -> None:
        self._also_in_spans = kind == "events"
        self._lock = threading.Lock()
        self._ties = KnownTies()

    def __call__(self, batch: Batch) -> Batch | None:
        """Spans in place of log records; None where there is nothing to show. Other signals as they are. Raises DataError."""
        if batch.signal != "logs":
            return batch
        tree = batch.opened().tree or {}
        # Events without an id of their own get one of what they say, the same when they are sent again.
        place = Place(blake2b(batch.protobuf(), digest_size=16).hexdigest(), 0)
        with self._lock:
            traces = traces_of_events(decode(tree, place).events, self._ties, also_in_spans=self._also_in_spans)
        return Batch("traces", tree=traces, transport=batch.transport) if traces else None


class KnownTies(OrderedDict[str, tuple[str, str]]):
    """The newest so many."""

    def __setitem__(self, key: str, value: tuple[str, str]) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > _KNOWN:
            self.popitem(last=False)
