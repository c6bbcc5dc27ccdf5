"""An archive's lines as OTLP requests to one backend, one after the other, each until it is taken or refused.

The law: a request holds whole lines, as many as fit into a bound; of what cannot arrive every record is counted. Trouble that
sending again cannot mend ends it.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import orjson

from whence.archive.reader import StoredLine, signal_of_line
from whence.collect.exporters.projecting import KnownTies, Projections
from whence.collect.exporters.queue import Request
from whence.collect.exporters.retry import GivenUp, PartiallyRejected, Retry, Sent, next_wait
from whence.collect.exporters.sending import Transport
from whence.collect.settings import MIB, RetryOnFailure
from whence.errors import DataError, StreamError
from whence.event.model import Event
from whence.export.records import wanted_part
from whence.otlp import wire
from whence.otlp.decode import decode
from whence.otlp.shown import traces_of_events
from whence.otlp.wire import Signal

BYTES: Final = MIB
"""Of the lines in one request; a line that alone is longer goes alone."""
LINES: Final = 1_000
"""In one request."""
_SHOWN: Final = 5
"""Reasons that are kept."""
Wanted = Callable[[Event], bool]
Signals = Collection[Signal]


class Part(NamedTuple):
    """A line that is to be sent: its signal, and the JSON."""

    signal: Signal
    data: bytes


@dataclass(slots=True)
class Pushed:
    """What became of it."""

    sent: Counter[Signal] = field(default_factory=Counter)
    """Spans, log records and data points that were taken, by signal."""
    refused: Counter[Signal] = field(default_factory=Counter)
    """Those that were not, for what they are."""
    unreadable: int = 0
    """Lines that are no OTLP."""
    reasons: list[str] = field(default_factory=list)
    """Why, in the backend's words; each once, the first few."""

    def because(self, reason: str) -> None:
        """Keep a reason."""
        if reason and reason not in self.reasons and len(self.reasons) < _SHOWN:
            self.reasons.append(reason)


def parts_of(lines: Iterable[StoredLine], signals: Signals, wanted: Wanted | None, pushed: Pushed) -> Iterator[Part]:
    """The lines of these signals as they are stored; with `wanted`, only their wanted records, and no metrics."""
    for line in lines:
        signal = signal_of_line(line.data)
        if signal is None:
            pushed.unreadable += 1
        elif signal in signals and (data := line.data if wanted is None else wanted_part(line, wanted)) is not None:
            yield Part(signal, data)


def shown_parts(
    lines: Iterable[StoredLine],
    signals: Signals,
    wanted: Wanted | None,
    pushed: Pushed,
    kind: Literal["instants", "events"],
) -> Iterator[Part]:
    """The same for a trace viewer: events as spans in place of log records, as `projections` of the exporters has it."""
    ties = KnownTies()

    def others(found: Iterable[StoredLine]) -> Iterator[Part]:
        return parts_of(found, signals, wanted, pushed)

    for line in lines:
        if signal_of_line(line.data) != "logs":
            yield from others([line])
        elif "logs" in signals:
            try:
                events = decode(line.data, line.place).events
            except DataError:
                pushed.unreadable += 1
                continue
            chosen = [event for event in events if wanted is None or wanted(event)]
            tree = traces_of_events(chosen, ties, also_in_spans=kind == "events")
            if tree is not None:
                yield Part("traces", orjson.dumps(tree))


def chosen_parts(
    lines: Iterable[StoredLine], signals: Signals, wanted: Wanted | None, pushed: Pushed, projections: Projections
) -> Iterator[Part]:
    """What is to be sent of an archive's lines, in their order."""
    if projections == "none":
        return parts_of(lines, signals, wanted, pushed)
    return shown_parts(lines, signals, wanted, pushed, projections)


class Pushing:
    """Sends lines by one transport; for one thread."""

    def __init__(
        self,
        transport: Transport,
        retry: RetryOnFailure,
        timeout: float,
        pushed: Pushed,
        *,
        tell: Callable[[str], None] = lambda said: None,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """`timeout`: seconds for one attempt. `pushed` is added to as it goes. `tell` hears why something is sent again."""
        self._transport, self._retry, self._timeout, self._pushed = transport, retry, timeout, pushed
        self._tell, self._monotonic, self._wait = tell, monotonic, wait

    def push(self, parts: Iterable[Part]) -> None:
        """Send all of it. Raises StreamError where the backend cannot be reached, or takes none of a signal."""
        waiting: dict[Signal, list[bytes]] = {}
        sizes: Counter[Signal] = Counter()
        for signal, data in parts:
            if waiting.get(signal) and (sizes[signal] + len(data) > BYTES or len(waiting[signal]) >= LINES):
                self._send(signal, waiting.pop(signal))
                sizes[signal] = 0
            waiting.setdefault(signal, []).append(data)
            sizes[signal] += len(data)
        for signal, lines in waiting.items():
            self._send(signal, lines)

    def _send(self, signal: Signal, lines: list[bytes]) -> None:
        try:
            data = wire.protobuf_of_lines(signal, lines)
        except DataError as cause:
            if len(lines) == 1:
                self._pushed.unreadable += 1
                self._pushed.because(str(cause))
                return
            self._send_halves(signal, lines)
            return
        items = wire.count_of(signal, data, "protobuf")
        verdict = self._deliver(Request(signal, data, items))
        if isinstance(verdict, GivenUp):
            if not verdict.in_parts:
                raise StreamError(f"cannot send {signal}: {verdict.reason}")
            if len(lines) > 1:
                self._send_halves(signal, lines)
                return
            self._pushed.refused[signal] += items
            self._pushed.because(verdict.reason)
            return
        rejected = min(verdict.rejected, items) if isinstance(verdict, PartiallyRejected) else 0
        self._pushed.sent[signal] += items - rejected
        self._pushed.refused[signal] += rejected
        self._pushed.because(verdict.message)

    def _send_halves(self, signal: Signal, lines: list[bytes]) -> None:
        """What is bad in a request keeps back only its own line."""
        middle = len(lines) // 2
        self._send(signal, lines[:middle])
        self._send(signal, lines[middle:])

    def _deliver(self, request: Request) -> Sent | PartiallyRejected | GivenUp:
        """One request, sent again as OTLP says. Raises StreamError where its time is over."""
        begun, failures = self._monotonic(), 0
        while isinstance(verdict := self._transport.send(request, self._timeout), Retry):
            failures += 1
            elapsed = self._monotonic() - begun
            pause = next_wait(self._retry, failures, elapsed, verdict.after, random.random())
            if pause is None:
                raise StreamError(f"cannot send {request.signal}: {verdict.reason}; tried for {elapsed:.0f} s")
            self._tell(verdict.reason)
            self._wait(pause)
        return verdict
