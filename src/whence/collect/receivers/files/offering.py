"""Handing a batch to a pipeline until it takes it, or says that it never will."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from whence.collect.batch import Batch
from whence.collect.component import Consumer, Host
from whence.collect.outcome import Refused
from whence.collect.receivers.files.lines import Line
from whence.collect.receivers.files.settings import Retry
from whence.collect.receivers.files.tailing import Stopped
from whence.collect.seldom import Seldom
from whence.errors import DataError
from whence.otlp.wire import Signal

_MULTIPLIER: Final = 1.5
_TOLD_EVERY: Final = 30.0
SKIPPED: Final = "whence_receiver_file_lines_skipped"
UNPARSED: Final = "whence_receiver_file_lines_unparsed"
T = TypeVar("T")


def pause(retry: Retry, attempt: int, retry_after: float | None) -> float:
    """Seconds to wait after the `attempt`-th refusal, from 1."""
    grown = retry.initial_interval * _MULTIPLIER ** min(attempt - 1, 100)
    return max(min(grown, retry.max_interval), min(retry_after or 0.0, retry.max_interval))


class Offering:
    """One receiver's way to its pipelines."""

    def __init__(self, outputs: Mapping[Signal, Consumer], host: Host, retry: Retry, stopping: threading.Event) -> None:
        self._outputs = outputs
        self._host = host
        self._retry = retry
        self._stopping = stopping
        self._is_to_be_said = Seldom(host.monotonic, _TOLD_EVERY)

    def offer(self, batch: Batch, file: str) -> None:
        """Returns once it was taken. Raises DataError where it never will be, and Stopped."""
        consumer = self._outputs.get(batch.signal)
        if consumer is None:
            self._tell(batch.signal, "%s passes over %s: no pipeline of them has this receiver", batch.signal)
            return
        attempt = 0
        while True:
            try:
                receipt = consumer.consume(batch)
            except Refused as refusal:
                attempt += 1
                wait = pause(self._retry, attempt, refusal.retry_after)
                self._tell("refused", "%s: %s: %s; offered again in %.1f s", file, refusal, wait)
                if self._stopping.wait(wait):
                    raise Stopped from None
                continue
            if receipt.rejected:
                self._tell(
                    "rejected", "%s: %d records of %s were rejected: %s", receipt.rejected, file, receipt.message
                )
            return

    def offer_each(
        self, lines: Sequence[T], batch_of: Callable[[Sequence[T]], Batch], line_of: Callable[[T], Line], file: str
    ) -> None:
        """What was made of lines, all at once; where it cannot be taken so, one by one. Raises Stopped."""
        try:
            self.offer(batch_of(lines), file)
        except DataError as fault:
            if len(lines) > 1:
                for one in lines:
                    self.offer_each([one], batch_of, line_of, file)
            else:
                line = line_of(lines[0])
                self.skip(file, place_of(line.number, line.start), fault)

    def skip(self, file: str, place: str, cause: DataError | str) -> None:
        """A line that cannot be taken: counted and said."""
        self._host.telemetry.count(SKIPPED, receiver=self._host.id)
        self._host.log.warning("%s left out %s, %s: %s", self._host.id, file, place, cause)

    def doubt(self, file: str, place: str, cause: str) -> None:
        """A line that is not what it should be: counted and said, the latter now and then."""
        self._host.telemetry.count(UNPARSED, receiver=self._host.id)
        self._tell("unparsed", "%s: %s, %s: %s", file, place, cause)

    def _tell(self, about: str, words: str, *arguments: object) -> None:
        if self._is_to_be_said(about):
            self._host.log.warning(words, self._host.id, *arguments)


def place_of(number: int | None, start: int) -> str:
    """A line's place in words."""
    return f"line {number} (byte {start})" if number is not None else f"the line at byte {start}"
