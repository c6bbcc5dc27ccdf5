"""Between the program and the disk: a bounded queue with one worker that drains it as soon as anything is in it.

The caller's side is short: take a lock, append, wake the worker if it sleeps. When the queue is full the policy decides,
and every record that is not kept is counted by reason, with the times of the first and last.
"""

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Final

from whence.event import names
from whence.record.interrupts import Changes, held
from whence.record.otel import ReadWriteLogRecord
from whence.record.sink import Item, Sink, Stored

logger = logging.getLogger("whence.record")

CHUNK: Final = 128
"""Records encoded and written at a time: about a millisecond's work, so that nobody waits long for room."""
HELP_SECONDS: Final = 0.001
MOST_PATIENCE: Final = 0.1
"""Making room may take a millisecond an event. What earlier events did not use, up to this much, a burst may use at once: so
the average holds, and a worker that the system has put aside for a moment does not cost events."""
REPORT_SECONDS: Final = 1.0
"""Drops are recorded at most this often, so that a storm of drops is not a storm of events about drops."""

MAX_TICKETS: Final = 65_536
"""Chunks whose ticket is known to whoever waits for the disk: some seconds' worth."""
_LOST: Final = -1

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
    """The emitting thread leaves its time to the worker, for at most a millisecond an event; only then is the record dropped."""
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


class _Mine(threading.local):
    """Of each thread: the place in the queue of what it queued last, or `_LOST` where that was dropped; 0 before the first."""

    place = 0


class Queue:
    """The bounded queue in front of a sink, and the thread that empties it.

    `report` is called with the drops since the last report, on the worker's thread, and returns records to store.
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
        self._start()
        _alive.add(self)

    def _start(self) -> None:
        """Fresh locks, an empty queue and no thread: at the beginning, and again in a forked child."""
        self._lock = threading.Lock()
        self._wake: SimpleQueue[None] = SimpleQueue()
        """Anything in it wakes the worker. No Event: where a signal's handler raises inside one, its lock stays taken."""
        self._moved = Changes(self._lock)
        self._mine = _Mine()
        self._items.clear()
        self._in_hand: list[Queued] = []
        """Taken from the queue and not with the writer yet."""
        self._total: dict[str, int] = {}
        self._drops: dict[str, Drop] = {}
        # Counted in places of the queue, in order: let in, taken out, and done with all up to here.
        self._accepted = self._taken = self._done = 0
        self._tickets: deque[tuple[int, int | None]] = deque(maxlen=MAX_TICKETS)
        """The last place of each chunk, and the writer's ticket for it; None where something of it was not taken."""
        self._idle = False
        self._patience = 0.0
        self._helped_at = 0
        self._ending = self._closed = False
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
            if self._has_room() or (not self._closed and _is_vital(item)):
                return self._accept(item)
            if not self._closed and self._when_full is WhenFull.DROP_OLDEST:
                self._count_drop("queue_full", _records(self._take()))
                if not self._in_hand:
                    self._done = self._taken
                return self._accept(item)
            patience = self._patience_now()
        if patience != 0 and self._accept_within(patience, item):
            return True
        with self._lock:
            first = self._closed and "after_shutdown" not in self._total
            self._count_drop("after_shutdown" if self._closed else "queue_full", _records(item))
            self._mine.place = _LOST
        if first:
            logger.warning("whence has ended recording: what is emitted from now on is counted, not recorded")
        return False

    def lose(self, reason: str, records: int = 1) -> None:
        """Count records that did not come through the queue and are lost."""
        with self._lock:
            self._count_drop(reason, records)
            self._mine.place = _LOST

    def _has_room(self) -> bool:
        return not self._closed and (len(self._items) < self._capacity or self._when_full is WhenFull.UNBOUNDED)

    def _accept(self, item: Queued) -> bool:
        self._items.append(item)
        self._accepted += 1
        if self._durable:
            self._mine.place = self._accepted
        if self._idle:
            self._wake.put(None)
            self._idle = False
        elif self._thread is None:
            self._start_worker()
        return True

    def _start_worker(self) -> None:
        with held():  # a worker that is known but not started would drain nothing
            self._thread = threading.Thread(target=_work, args=(weakref.ref(self),), name="whence-queue", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None  # the interpreter is shutting down and starts no threads: `close` drains instead

    def _take(self) -> Queued:
        self._taken += 1
        return self._items.popleft()

    def _patience_now(self) -> float | None:
        """Seconds for which this thread may leave its time to the worker; None for as long as it takes. The lock is held."""
        if self._when_full is WhenFull.BLOCK:
            return None
        if self._when_full is not WhenFull.HELP or self._closed:
            return 0
        earned = (self._accepted - self._helped_at) * HELP_SECONDS
        self._helped_at = self._accepted
        return max(HELP_SECONDS, min(MOST_PATIENCE, self._patience + earned))

    def _accept_within(self, patience: float | None, item: Queued) -> bool:
        """Let the worker have this thread's time until there is room, for as long as the patience lasts; the lock is not held.

        Writing is left to the worker: on a disk that does not answer, whoever writes is stuck.
        """

        def settled() -> bool | None:
            if self._has_room():
                return self._accept(item)
            return False if self._closed or (self._ending and patience is None) else None

        began = time.monotonic()
        accepted = self._moved.wait_for(settled, patience)
        if patience is not None:
            with self._lock:
                self._patience = patience - (time.monotonic() - began)
        return accepted is True

    def _count_drop(self, reason: str, records: int) -> None:
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
        """Until everything queued before this call is with the archive's writer; False where it is not in time."""
        with self._lock:
            target = self._accepted
        return self._done_with(target, timeout)

    def _done_with(self, place: int, timeout: float | None) -> bool:
        return self._moved.wait_for(lambda: True if self._done >= place else None, timeout) is True

    def wait_for_mine(self, timeout: float) -> bool:
        """Until what this thread queued last is on disk; False where it was dropped, or is not there in time.

        For a `durable` queue only. Each waiter waits for the disk itself, so that the worker goes on and many share a sync.
        """
        place = self._mine.place
        if place <= 0:
            return place != _LOST
        until = time.monotonic() + timeout
        if not self._done_with(place, timeout):
            return False
        with self._lock:
            ticket: int | None = None
            for last, of_chunk in reversed(self._tickets):
                if last < place:
                    break
                ticket = of_chunk
        return ticket is not None and self._sink.writer.wait(ticket, max(0.0, until - time.monotonic()))

    def flush(self, timeout: float | None = None) -> bool:
        """Until everything queued before this call is on disk, drops recorded; False on a timeout or disk trouble."""
        until = None if timeout is None else time.monotonic() + timeout
        if not self.wait(timeout):
            return False
        self._record_drops()
        return self._sink.writer.sync(None if until is None else max(0.0, until - time.monotonic()))

    def hurry(self) -> None:
        """The end is near: no emitting thread waits for room as long as it takes any more."""
        with self._lock:
            self._ending = True
            self._moved.tell()

    def close(self, timeout: float) -> int:
        """Take nothing more, drain, stop the thread. Answers how many queued records were not handed to the writer."""
        until = time.monotonic() + timeout
        self.hurry()
        with self._lock:
            self._closed = True
        self._wake.put(None)
        worker = self._thread
        if worker is not None and worker.is_alive() and worker is not threading.current_thread():
            worker.join(timeout)  # not to be helped: whoever writes to a disk that does not answer cannot keep time
        else:
            with held():  # what is taken from the queue must reach the writer
                while self._store_chunk() and time.monotonic() < until:
                    pass
            self._record_drops()
        with self._lock:
            return sum(_records(item) for item in (*self._in_hand, *self._items))

    # --- the worker's side --------------------------------------------------------------------------------------------

    def _store_chunk(self) -> int:
        """Write up to a chunk of queued records in their order; by one thread only. Answers how many places became free."""
        with self._lock:
            more = min(CHUNK - len(self._in_hand), len(self._items))
            self._in_hand += [self._items.popleft() for _ in range(more)]
            self._taken += more
            taken = self._in_hand
            self._moved.tell()  # there is room from now on, however long the disk takes with these
        if not taken:
            return 0
        done: Stored | None = Stored()
        has_batches = list in map(type, taken)  # most chunks have none, and that is asked in one go
        parts = groupby(taken, lambda item: type(item) is list) if has_batches else [(False, iter(taken))]
        for whole, items in parts:
            for group in items if whole else [list(items)]:
                stored = self._store(group, whole)  # type: ignore[arg-type]
                done = done.and_also(stored) if done and stored else None
        with self._lock:
            self._in_hand = []
            self._done = self._taken
            if self._durable:
                safe = done is not None and not done.refused and not done.unencodable
                self._tickets.append((self._done, done.ticket if done and safe else None))
            self._moved.tell()
        return len(taken)

    def _store(self, group: Sequence[Item], whole: bool) -> Stored | None:
        """Write some records, or one atomic batch; None where that met a fault."""
        try:
            stored = self._sink.store_whole(group) if whole else self._sink.store(group)  # type: ignore[arg-type]
        except Exception as fault:  # noqa: BLE001 - whatever it is, it must neither end this thread nor reach a caller
            logger.warning("whence lost %d records to a fault of its own: %r", len(group), fault)
            with self._lock:
                self._count_drop("fault", len(group))
            return None
        with self._lock:
            if stored.refused:
                self._count_drop("storage", stored.refused)
            if stored.unencodable:
                self._count_drop("unencodable", stored.unencodable)
        return stored

    def _record_drops(self) -> None:
        """Drops since the last time as events of the archive. While it is in trouble, they wait."""
        with self._lock:
            drops, self._drops = self._drops, {}
            self._reported = time.monotonic()
        if not drops:
            return
        told = False
        if self._sink.writer.status.state != "holding":
            told = not self._sink.store(self._report(list(drops.values()))).refused
        if told:
            logger.warning(
                "whence dropped %s", ", ".join(f"{drop.count} records ({drop.reason})" for drop in drops.values())
            )
            return
        with self._lock:
            for reason, later in self._drops.items():
                earlier = drops.get(reason)
                first, count = (earlier.first, earlier.count) if earlier else (later.first, 0)
                drops[reason] = Drop(reason, count + later.count, first, later.last)
            self._drops = drops

    def _turn(self) -> bool:
        """One turn of the worker: drain, or sleep until there is something to drain. False when it is over."""
        if self._store_chunk():
            if self._drops and time.monotonic() - self._reported >= REPORT_SECONDS:
                self._record_drops()
            return True
        with self._lock:
            if self._items:
                return True
            over = self._closed
            self._idle = True
            pending = bool(self._drops)
        if over:
            self._record_drops()
            return False
        with suppress(Empty):
            self._wake.get(timeout=REPORT_SECONDS if pending else 60.0)
        if pending:
            self._record_drops()
        return True


def _is_vital(item: Queued) -> bool:
    """Whether it is the beginning or end of a run: a few, without which all the others say less."""
    return isinstance(item, ReadWriteLogRecord) and item.log_record.event_name in (
        names.TYPE_RUN_STARTED,
        names.TYPE_RUN_FINISHED,
    )


def _records(item: Queued) -> int:
    return len(item) if isinstance(item, list) else 1


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


os.register_at_fork(after_in_child=_after_fork)
