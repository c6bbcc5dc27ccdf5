"""How a batch gets from one component to the next: entries, links, steps, and the ways that part.

The law: synchronous. A `consume` that returns means that everybody below has taken responsibility.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from whence.collect.batch import ACCEPTED, Batch, Receipt
from whence.collect.component import Consumer
from whence.collect.outcome import Refused, together
from whence.collect.seldom import Seldom
from whence.collect.telemetry import ITEMS, Telemetry
from whence.errors import DataError

_WAIT: Final = 20.0
"""Seconds that a request waits while the pipelines behind its receiver are being changed; then its sender keeps it."""
_RETRY: Final = 1.0


class Link:
    """What stands between two components, so that what is behind it can be changed while it runs."""

    __slots__ = ("target",)

    def __init__(self, target: Consumer | None = None) -> None:
        self.target = target

    def consume(self, batch: Batch) -> Receipt:
        """On to whatever is behind now."""
        if self.target is None:
            raise Refused("cannot take the batch: nothing is behind it yet; send it again", _RETRY)
        return self.target.consume(batch)


class FanOut:
    """To several; each gets the batch, whatever becomes of it with the others."""

    __slots__ = ("_targets",)

    def __init__(self, targets: Sequence[Consumer]) -> None:
        self._targets = tuple(targets)

    def consume(self, batch: Batch) -> Receipt:
        """One after the other. Raises what `outcome.together` finds worst."""
        receipts: list[Receipt] = []
        failures: list[Exception] = []
        for target in self._targets:
            try:
                receipts.append(target.consume(batch))
            except Exception as failure:  # noqa: BLE001 - the others must get it, whatever this one does
                failures.append(failure)
        return together(receipts, failures)


def fanned(targets: Sequence[Consumer]) -> Consumer:
    """To all of these; to the one there is without a way round."""
    return targets[0] if len(targets) == 1 else FanOut(targets)


class Step:
    """A processor that is just a function, and what is behind it."""

    __slots__ = ("_after", "_count", "_observe", "_process")

    def __init__(
        self,
        process: Callable[[Batch], Batch | None],
        after: Consumer,
        count: Callable[[Batch, str], None],
        observe: Callable[[float], None],
    ) -> None:
        self._process = process
        self._after = after
        self._count = count
        self._observe = observe

    def consume(self, batch: Batch) -> Receipt:
        """Changed, or dropped on purpose."""
        begun = time.perf_counter()
        changed = self._process(batch)
        self._observe(time.perf_counter() - begun)
        receipt = ACCEPTED
        if changed is not None:
            receipt = self._after.consume(changed)
            self._count(changed, "otelcol_processor_outgoing_items")
        self._count(batch, "otelcol_processor_incoming_items")
        return receipt


class Counted:
    """Counts what passes it; afterwards, because by then somebody below may have counted already."""

    __slots__ = ("_after", "_count", "_name")

    def __init__(self, after: Consumer, count: Callable[[Batch, str], None], name: str) -> None:
        self._after = after
        self._count = count
        self._name = name

    def consume(self, batch: Batch) -> Receipt:
        """On, then count."""
        receipt = self._after.consume(batch)
        self._count(batch, self._name)
        return receipt


def counting(telemetry: Telemetry, processor: str) -> Callable[[Batch, str], None]:
    """The function that counts a batch's items for one processor."""

    def count(batch: Batch, name: str) -> None:
        telemetry.count(name, batch.count(), processor=processor)

    return count


def timing(telemetry: Telemetry, processor: str) -> Callable[[float], None]:
    """The function that is told how long one batch was in a processor, in seconds."""
    return lambda seconds: telemetry.observe("otelcol_processor_internal_duration", seconds, processor=processor)


class Gate:
    """Lets requests in, and can be closed until everything inside is through."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._closed = False
        self.inside = 0

    def enter(self) -> None:
        """Waits while it is closed. Raises Refused where that takes too long."""
        with self._changed:
            if self._closed and not self._changed.wait_for(lambda: not self._closed, _WAIT):
                raise Refused("cannot take the batch: the configuration is being changed; send it again", _RETRY)
            self.inside += 1

    def leave(self) -> None:
        """One that had entered is through."""
        with self._changed:
            self.inside -= 1
            if not self.inside:
                self._changed.notify_all()

    def empty(self, seconds: float) -> bool:
        """Wait until everybody is through; whether they are. Who comes meanwhile is let in."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.inside, max(0.0, seconds))

    def close(self, seconds: float) -> bool:
        """Let nobody in, and wait until everybody is through; whether they are."""
        with self._changed:
            self._closed = True
            return self._changed.wait_for(lambda: not self.inside, seconds)

    def open(self) -> None:
        """Let them in again."""
        with self._changed:
            self._closed = False
            self._changed.notify_all()


class Entry:
    """Where a receiver hands in batches of one signal: the gate, the count, and the outcome in the sender's terms."""

    def __init__(self, receiver: str, gate: Gate, telemetry: Telemetry, log: logging.Logger) -> None:
        self.link = Link()
        self._receiver = receiver
        self._gate = gate
        self._telemetry = telemetry
        self._log = log
        self._is_to_be_said = Seldom()

    def consume(self, batch: Batch) -> Receipt:
        """Raises Refused or DataError, and nothing else: trouble of our own is logged, and refused."""
        try:
            self._gate.enter()
        except Refused:
            self._count(batch, "refused")
            raise
        try:
            receipt = self.link.consume(batch)
        except (Refused, DataError):
            self._count(batch, "refused")
            raise
        except Exception as trouble:
            self._count(batch, "failed")
            self._complain(trouble)
            raise Refused(
                f"cannot take the batch: {type(trouble).__name__} inside; see the collector's log", _RETRY
            ) from trouble
        finally:
            self._gate.leave()
        self._count(batch, "accepted", -receipt.rejected)
        if receipt.rejected:
            self._tell("refused", batch, receipt.rejected)
        return receipt

    def _count(self, batch: Batch, what: str, more: int = 0) -> None:
        try:
            self._tell(what, batch, batch.count() + more)
        except DataError:
            pass  # what cannot be read has no items

    def _tell(self, what: str, batch: Batch, items: int) -> None:
        self._telemetry.count(
            f"otelcol_receiver_{what}_{ITEMS[batch.signal]}", items, receiver=self._receiver, transport=batch.transport
        )

    def _complain(self, trouble: Exception) -> None:
        """Once in a while in full: a fault that every request meets would fill the log."""
        if self._is_to_be_said():
            self._log.error("cannot process a batch of %s: %r", self._receiver, trouble, exc_info=trouble)
