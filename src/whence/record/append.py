"""Appending to a run: each event gets its id, its number and its causes, and goes into OpenTelemetry, in one order.

One lock a run holds number, id and hand-over together, so that the order of sequence numbers, of ids and of the records in
the queue is the same order, whatever threads emit.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, get_current_span

from whence.errors import ConflictError, EventError, StorageError
from whence.event import names
from whence.event.kinds import Kind, Severity
from whence.event.model import Event
from whence.record.bus import Bus
from whence.record.causes import Cause, EventRef, remember_span
from whence.record.identity import ulids
from whence.record.otel import ApiLogRecord, Logger, SeverityNumber, emit_plain
from whence.record.processors import link_cause
from whence.record.queue import Queue, together

logger = logging.getLogger("whence.record")

MAX_KEYS: Final = 100_000
"""Idempotency keys a run remembers; beyond, the oldest are forgotten."""
DURABLE_SECONDS: Final = 5.0
"""How long a durable append waits for a disk in trouble before it says so."""

_NUMBERS: Final = {number.value: number for number in SeverityNumber}
_NAMES: Final = {severity.value: severity.name for severity in Severity}


@dataclass(slots=True)
class Draft:
    """An event about to be appended. `common` holds the fields every event may have, by field name."""

    type: str
    kind: Kind
    common: Mapping[str, Any]
    payload: Mapping[str, Any]
    causes: tuple[Cause, ...]
    ctx: Context
    severity: Severity | None
    description: str | None
    attributes: dict[str, Any]
    idempotency_key: str | None = None
    expected_seq: int | None = None
    ref: EventRef | None = None


class Appender:
    """Numbers a run's events and hands them to OpenTelemetry. Safe under any number of threads and tasks."""

    def __init__(
        self,
        run: str,
        logger: Logger,
        *,
        queue: Queue | None,
        durable: bool,
        bus: Bus,
        last_seq: int,
        known_keys: Callable[[], Mapping[str, EventRef]],
    ) -> None:
        """`known_keys` gives the idempotency keys that earlier processes used in this run; called once, if ever."""
        self.run = run
        self.bus = bus
        self.last_seq = last_seq
        self._logger = logger
        self._queue = queue
        self._durable = durable and queue is not None
        self._started = time.monotonic_ns()
        self._load_keys = known_keys
        self._keys: dict[str, EventRef] | None = None
        self._batch: ContextVar[list[Draft] | None] = ContextVar("whence-batch", default=None)
        self.reset_lock()

    def reset_lock(self) -> None:
        """A fresh lock, for a forked child in which the old one may be held by a thread that is not there.

        What a batch has collected before the fork is the parent's to record.
        """
        self._lock = threading.RLock()
        pending = self._batch.get()
        if pending:
            pending.clear()

    def append(self, draft: Draft, *, waits: bool = True) -> EventRef:
        """Append one event, at once or, inside a batch, when the batch ends; a durable one `waits` until it is on disk.

        Raises ConflictError for another `expected_seq`, and StorageError where a durable append did not reach the disk.
        """
        pending = self._batch.get()
        if pending is not None:
            if draft.expected_seq is not None:
                raise EventError("cannot expect a sequence number inside a batch: give it to the batch itself")
            draft.ref = EventRef(ulids.next(), draft.type, self.run, None, _span_of(draft))
            pending.append(draft)
            return draft.ref
        with self._lock:
            if draft.idempotency_key is not None:
                known = self._known(draft.idempotency_key)
                if known is not None:
                    return known
            self._expect(draft.expected_seq, draft.type)
            now = self._send(draft)
        ref = draft.ref
        assert ref is not None
        self._afterwards(draft, ref, now)
        if waits:
            self._await_disk()
        return ref

    @contextmanager
    def batch(self, expected_seq: int | None) -> Iterator[None]:
        """Everything appended inside is recorded together or, where the block raises, not at all."""
        if self._batch.get() is not None:
            raise EventError("cannot begin a batch inside a batch: the outer one is already atomic")
        drafts: list[Draft] = []
        token = self._batch.set(drafts)
        try:
            yield
        finally:
            self._batch.reset(token)
        if drafts:
            self._commit(drafts, expected_seq)

    def _commit(self, drafts: Sequence[Draft], expected_seq: int | None) -> None:
        sent: list[tuple[Draft, EventRef, int]] = []
        with self._lock:
            self._expect(expected_seq, "a batch")
            with together() as records:
                for draft in drafts:
                    if draft.idempotency_key is not None and self._known(draft.idempotency_key) is not None:
                        continue
                    now = self._send(draft)
                    if draft.ref is not None:
                        sent.append((draft, draft.ref, now))
            if records and self._queue is not None:
                self._queue.put(records)
        for draft, ref, now in sent:
            self._afterwards(draft, ref, now)
        self._await_disk()

    # --- one event, under the lock ----------------------------------------------------------------------------------------

    def _expect(self, expected_seq: int | None, what: str) -> None:
        if expected_seq is not None and expected_seq != self.last_seq:
            raise ConflictError(
                f"cannot append {what} to run {self.run!r}: its last sequence number was expected to be {expected_seq} and is "
                f"{self.last_seq}; read what happened since, and decide anew"
            )

    def _send(self, draft: Draft) -> int:
        self.last_seq += 1
        if draft.ref is None:
            draft.ref = EventRef(ulids.next(), draft.type, self.run, self.last_seq, _span_of(draft))
        else:
            draft.ref.seq = self.last_seq
        now = time.time_ns()
        attributes = draft.attributes
        attributes[names.ID] = draft.ref.id
        attributes[names.SEQ] = self.last_seq
        attributes[names.ELAPSED] = time.monotonic_ns() - self._started
        if draft.idempotency_key is not None:
            self._remember(draft.idempotency_key, draft.ref)
        try:
            self._emit(draft, now)
        except Exception:  # whatever other people's processors raise
            logger.exception("another log processor raised at %r", draft.type)
        return now

    def _emit(self, draft: Draft, now: int) -> None:
        severity = draft.severity
        record = ApiLogRecord(
            timestamp=now,
            observed_timestamp=now,
            context=draft.ctx,
            severity_number=None if severity is None else _NUMBERS[severity],
            severity_text=None if severity is None else _NAMES[severity],
            body=draft.description,
            attributes=draft.attributes,
            event_name=draft.type,
        )
        emit_plain(self._logger, record)

    # --- afterwards, outside the lock -------------------------------------------------------------------------------------

    def _afterwards(self, draft: Draft, ref: EventRef, now: int) -> None:
        if ref.span_context is not None:
            remember_span(ref.id, ref.span_context)
            if draft.causes:
                span = get_current_span(draft.ctx)
                if span.is_recording():
                    for cause in draft.causes:
                        link_cause(span, cause, ref.id)
        handlers = self.bus.handlers(draft.type)
        if handlers:
            self.bus.publish(_event_of(draft, ref, now), handlers)

    def _await_disk(self) -> None:
        if self._durable and self._queue is not None and not self._queue.wait_for_mine(DURABLE_SECONDS):
            raise StorageError(
                f"an event of run {self.run!r} did not reach the disk within {DURABLE_SECONDS:g} s; if memory has room for it, "
                "it is written when the disk recovers: see the log, or `whence doctor`"
            )

    # --- idempotency keys -------------------------------------------------------------------------------------------------

    def _known(self, key: str) -> EventRef | None:
        if self._keys is None:
            self._keys = dict(self._load_keys())
        return self._keys.get(key)

    def _remember(self, key: str, ref: EventRef) -> None:
        keys = self._keys if self._keys is not None else {}
        keys[key] = ref
        if len(keys) > MAX_KEYS:
            del keys[next(iter(keys))]


def _span_of(draft: Draft) -> SpanContext | None:
    if not draft.ctx:
        return None
    span = get_current_span(draft.ctx).get_span_context()
    return span if span.is_valid else None


def _event_of(draft: Draft, ref: EventRef, now: int) -> Event:
    """The event as a reader will see it, for handlers in this process."""
    span = ref.span_context
    return Event(
        id=ref.id,
        type=draft.type,
        time=now,
        kind=draft.kind.value,
        source=draft.attributes.get(names.SOURCE),
        run=ref.run,
        seq=ref.seq,
        elapsed_ns=draft.attributes[names.ELAPSED],
        severity=draft.severity,
        description=draft.description,
        caused_by=tuple(cause.id for cause in draft.causes),
        payload=draft.payload,
        schema=draft.attributes.get(names.SCHEMA),
        trace_id=f"{span.trace_id:032x}" if span else None,
        span_id=f"{span.span_id:016x}" if span else None,
        **{field: value for field, value in draft.common.items() if value is not None},
    )
