"""Between the program and the disk: a bounded queue with one worker that drains it as soon as anything is in it.

The caller's side is short: take a lock, append, wake the worker if it sleeps. When the queue is full the policy decides,
and every record that is not kept is counted by reason, with the times of the first and last.
"""

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from whence.record.otel import ReadWriteLogRecord
from whence.record.sink import Item, Sink

logger = logging.getLogger("whence.record")

CHUNK: Final = 128
"""Records encoded and written at a time: about a millisecond's work, so that nobody waits long for the worker's lock."""
HELP_SECONDS: Final = 0.001
MOST_PATIENCE: Final = 0.1
"""Helping may take a millisecond an event. What earlier events did not use, up to this much, a burst may use at once: so the
average holds, and a worker that the system has put aside for a moment does not cost events."""
REPORT_SECONDS: Final = 1.0
"""Drops are recorded at most this often, so that a storm of drops is not a storm of events about drops."""

Queued = Item | list[ReadWriteLogRecord]

_together: ContextVar[list[ReadWriteLogRecord] | None] = ContextVar("whence-together", default=None)


@contextmanager
def together() -> Iterator[list[ReadWriteLogRecord]]:
    """Log records that would be queued inside are collected instead, to be queued as one atomic batch."""
    collected: list[ReadWriteLogRecord] = []
    token = _together.set(collected)
    try:
        yield collected
    finally:
        _together.reset(token)


class WhenFull(StrEnum):
    """What happens to a record that finds the queue full."""

    HELP = "help"
    """The emitting thread helps to drain, for at most a millisecond an event; only then is the new record dropped."""
    DROP_NEWEST = "drop_newest"
    DROP_OLDEST = "drop_oldest"
    BLOCK = "block"
    """The emitting thread waits for room, however long that takes."""
    UNBOUNDED = "unbounded"


@dataclass(frozen=True, slots=True)
class Drop:
    """Records not kept for one reason: how many, and the wall-clock times (ns) of the first and the last."""

    reason: str
    count: int
    first: int
    last: int


class Queue:
    """The bounded queue in front of a sink, and the thread that empties it.

    `report` is called with the drops since the last report, on the worker's thread, and returns a record to store.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        capacity: int,
        when_full: WhenFull,
        durable: bool,
        report: Callable[[Sequence[Drop]], Sequence[Item]],
    ) -> None:
        self._sink = sink
        self._capacity = capacity
        self._when_full = when_full
        self._durable = durable
        self._report = report
        self._items: deque[Queued] = deque()
        self._total: dict[str, int] = {}
        self._start()
        _alive.add(self)

    def _start(self) -> None:
        """Fresh locks, an empty queue and no thread: at the beginning, and again in a forked child."""
        self._lock = threading.Lock()
        self._drain_lock = threading.Lock()
        self._wake = threading.Event()
        self._moved = threading.Condition(self._lock)
        self._items.clear()
        self._drops: dict[str, Drop] = {}
        self._accepted = self._done = 0
        self._idle = False
        self._waiting = 0
        self._patience = 0.0
        self._helped_at = 0
        self._closed = False
        self._on_disk = True
        self._reported = time.monotonic()
        self._thread: threading.Thread | None = None

    # --- the caller's side --------------------------------------------------------------------------------------------

    def put_log(self, record: ReadWriteLogRecord) -> bool:
        """Queue a log record, or add it to the atomic batch that is being collected."""
        collecting = _together.get()
        if collecting is not None:
            collecting.append(record)
            return True
        return self.put(record)

    def put(self, item: Queued) -> bool:
        """Queue one record, or one atomic batch; False where it was dropped instead (and counted)."""
        with self._lock:
            if self._closed:
                self._count_drop("after_shutdown", item)
                return False
            if len(self._items) < self._capacity or self._when_full is WhenFull.UNBOUNDED:
                return self._accept(item)
            if self._when_full is WhenFull.DROP_OLDEST:
                self._count_drop("queue_full", self._items.popleft())
                self._done += 1
                return self._accept(item)
            if self._when_full is WhenFull.BLOCK:
                self._waiting += 1
                self._moved.wait_for(lambda: len(self._items) < self._capacity or self._closed)
                self._waiting -= 1
                if not self._closed:
                    return self._accept(item)
        if self._when_full is WhenFull.HELP:
            self._help()
        with self._lock:
            if len(self._items) < self._capacity and not self._closed:
                return self._accept(item)
            self._count_drop("queue_full", item)
            return False

    def _accept(self, item: Queued) -> bool:
        self._items.append(item)
        self._accepted += 1
        if self._idle:
            self._idle = False
            self._wake.set()
        elif self._thread is None:
            self._thread = threading.Thread(target=_work, args=(weakref.ref(self),), name="whence-queue", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None  # the interpreter is shutting down and starts no threads: `close` drains instead
        return True

    def _help(self) -> None:
        """Drain on the caller's thread, for as long as its patience lasts, waiting for the worker's turn included."""
        began = time.monotonic()
        earned = (self._accepted - self._helped_at) * HELP_SECONDS
        patience = max(HELP_SECONDS, min(MOST_PATIENCE, self._patience + earned))
        self._helped_at = self._accepted
        self._waiting += 1
        got = self._drain_lock.acquire(timeout=patience)
        self._waiting -= 1
        if got:
            try:
                self._drain_chunk(CHUNK)
            finally:
                self._drain_lock.release()
        self._patience = patience - (time.monotonic() - began)

    def _count_drop(self, reason: str, item: Queued) -> None:
        records = len(item) if isinstance(item, list) else 1
        now = time.time_ns()
        known = self._drops.get(reason)
        self._drops[reason] = (
            Drop(reason, known.count + records, known.first, now) if known else Drop(reason, records, now, now)
        )
        self._total[reason] = self._total.get(reason, 0) + records

    @property
    def dropped(self) -> dict[str, int]:
        """Records dropped so far, by reason."""
        return dict(self._total)

    @property
    def size(self) -> int:
        return len(self._items)

    def wait(self, timeout: float | None = None) -> bool:
        """Until everything queued before this call is written (with `durable`: is on disk); False where it is not."""
        with self._lock:
            target = self._accepted
            return self._moved.wait_for(lambda: self._done >= target, timeout) and self._on_disk

    def flush(self, timeout: float | None = None) -> bool:
        """Until everything queued before this call is on disk, drops recorded; False on a timeout or disk trouble."""
        until = None if timeout is None else time.monotonic() + timeout
        if not self.wait(timeout):
            return False
        self._record_drops()
        return self._sink.writer.sync(None if until is None else max(0.0, until - time.monotonic()))

    def close(self, timeout: float) -> int:
        """Take nothing more, drain, stop the thread. Answers how many queued records are left unwritten."""
        until = time.monotonic() + timeout
        with self._lock:
            self._closed = True
            self._moved.notify_all()
        while self._items and self._drain_lock.acquire(timeout=max(0.0, until - time.monotonic())):
            try:
                self._drain_chunk(CHUNK)
            finally:
                self._drain_lock.release()
        if self._drain_lock.acquire(timeout=max(0.0, until - time.monotonic())):  # what the worker took is written
            self._drain_lock.release()
            self._record_drops()
        self._wake.set()
        return self._accepted - self._done

    # --- the worker's side --------------------------------------------------------------------------------------------

    def _drain_chunk(self, most: int) -> int:
        """Write up to `most` queued records; the drain lock must be held. Answers how many queue places became free."""
        chunk: list[Item] = []
        batches: list[list[ReadWriteLogRecord]] = []
        taken = 0
        with self._lock:
            while self._items and taken < most:
                item = self._items.popleft()
                taken += 1
                if isinstance(item, list):
                    batches.append(item)
                else:
                    chunk.append(item)
        if not taken:
            return 0
        try:
            ticket = self._sink.store(chunk) if chunk else 0
            for batch in batches:
                ticket = self._sink.store_whole(batch)
            if self._durable:
                self._on_disk = self._sink.writer.wait(ticket)
        except Exception as fault:  # noqa: BLE001 - whatever it is, it must neither end this thread nor reach a caller
            logger.warning("whence lost %d records to a fault of its own: %r", taken, fault)
            with self._lock:
                for item in (*chunk, *batches):
                    self._count_drop("fault", item)
        finally:
            with self._lock:
                self._done += taken
                self._moved.notify_all()
        return taken

    def _record_drops(self) -> None:
        with self._lock:
            drops, self._drops = list(self._drops.values()), {}
            self._reported = time.monotonic()
        if drops:
            logger.warning("whence dropped %s", ", ".join(f"{drop.count} records ({drop.reason})" for drop in drops))
            with self._drain_lock:
                self._sink.store(self._report(drops))

    def _turn(self) -> bool:
        """One turn of the worker: drain, or sleep until there is something to drain. False when it is over."""
        with self._drain_lock:
            taken = self._drain_chunk(CHUNK)
        if taken:
            if self._drops and time.monotonic() - self._reported >= REPORT_SECONDS:
                self._record_drops()
            if self._waiting:
                time.sleep(0)  # locks are not fair: let a helper have its turn
            return True
        with self._lock:
            if self._items:
                return True
            if self._closed:
                return False
            self._idle = True
            self._wake.clear()
            pending = bool(self._drops)
        self._wake.wait(REPORT_SECONDS if pending else 60.0)
        if pending:
            self._record_drops()
        return True


def _work(queue: "weakref.ref[Queue]") -> None:
    """The worker's life. It holds its queue weakly between turns, so that a forgotten recorder can be collected."""
    while True:
        alive = queue()
        if alive is None or not alive._turn():
            return
        del alive


_alive: "weakref.WeakSet[Queue]" = weakref.WeakSet()


def _after_fork() -> None:
    for queue in list(_alive):
        queue._start()
