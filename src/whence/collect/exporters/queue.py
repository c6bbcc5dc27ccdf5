"""The sending queue: what waits between a pipeline and a backend, bounded in number, bytes and age, in memory or on disk.

The law: what is in it counts until it is delivered or given up, so that its bound is a bound on everything undelivered.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from whence.collect.batch import Receipt
from whence.collect.outcome import Refused, Unacceptable
from whence.collect.settings import QueueBatch, SendingQueue
from whence.otlp.wire import Signal

_RETRY: Final = 1.0
_HELD: Final = 32 << 20
"""Bytes of what is on disk that are kept in memory too, so that they need not be read again to be sent."""


class Request(NamedTuple):
    """One request as it is sent: an Export*ServiceRequest, and how many items are in it."""

    signal: Signal
    data: bytes
    items: int


@dataclass(slots=True, eq=False)
class Entry:
    """A request's place in the queue. On disk its bytes are read again when it is sent."""

    signal: Signal
    items: int
    length: int
    data: bytes | None = None
    number: int = 0
    """Its number on disk."""
    queued_at: int = 0
    """Nanoseconds since the epoch, where it is on disk."""
    born: float = 0.0
    """When it was queued, on the monotonic clock."""
    result: "Future[Receipt] | None" = None
    """Where somebody waits for what becomes of it."""


class Store(Protocol):
    """Where entries survive a restart."""

    def append(self, request: Request) -> Entry:
        """On the device when it returns. Raises Refused."""
        ...

    def read(self, entry: Entry) -> bytes:
        """The request's bytes. Raises StorageError."""
        ...

    def done(self, entries: Sequence[Entry]) -> None:
        """Never needed again. Never raises."""
        ...

    def close(self) -> None:
        """Nothing more comes. Never raises."""
        ...


class Queue:
    """Entries in the order they came, for several takers. Thread-safe."""

    def __init__(self, settings: SendingQueue, store: Store | None = None, found: Sequence[Entry] = ()) -> None:
        """`found`: what the store has from before, with its `born` set."""
        self.capacity = settings.queue_size
        self._settings = settings
        self._store = store
        self._changed = threading.Condition()
        self._waiting: deque[Entry] = deque(found)
        self._undone: set[Entry] = set(found)
        self._size = sum(map(self._measure, found))
        self._bytes = sum(entry.length for entry in found)
        self._held = 0
        """Bytes in memory of what is on disk."""
        self._closed = False
        self._abandoned = False

    @property
    def size(self) -> int:
        """What is not delivered yet, in the queue's unit."""
        return self._size

    def put(self, request: Request, result: "Future[Receipt] | None" = None) -> None:
        """Take responsibility for a request. Raises Refused where it is full, Unacceptable where it can never fit."""
        entry = Entry(request.signal, request.items, len(request.data), request.data, result=result)
        need = self._measure(entry)
        if need > self.capacity:
            raise Unacceptable(
                f"cannot queue {need} {self._settings.sizer} in one request: the queue holds {self.capacity}; "
                "send smaller requests, or raise sending_queue.queue_size"
            )
        if self._settings.max_bytes and entry.length > self._settings.max_bytes:
            raise Unacceptable(
                f"cannot queue {entry.length} bytes in one request: the queue holds {self._settings.max_bytes}; "
                "send smaller requests, or raise sending_queue.max_bytes"
            )
        self._reserve(need, entry.length)
        try:
            if self._store is not None:
                entry = self._store.append(request)
        except BaseException:
            self._release(need, entry.length)
            raise
        entry.born = time.monotonic()
        with self._changed:
            if self._store is not None and self._held + entry.length <= _HELD:
                entry.data = request.data
                self._held += entry.length
            self._waiting.append(entry)
            self._undone.add(entry)
            self._changed.notify_all()

    def take(self, batch: QueueBatch | None = None) -> list[Entry]:
        """The next, with `batch` several of one signal, as soon as they are there; none where the queue has ended."""
        with self._changed:
            while not self._waiting or self._abandoned:
                if self._closed:
                    return []
                self._changed.wait()
            taken = [self._waiting.popleft()]
            if batch is not None:
                self._gather(taken, batch)
            return taken

    def expired(self, before: float) -> list[Entry]:
        """What waits since before this time of the monotonic clock; it is the caller's now, as if taken."""
        with self._changed:
            old = []
            while self._waiting and self._waiting[0].born < before:
                old.append(self._waiting.popleft())
            return old

    def read(self, entry: Entry) -> bytes:
        """Its bytes. Raises StorageError."""
        if entry.data is not None or self._store is None:
            return entry.data or b""
        return self._store.read(entry)

    def back(self, entries: Sequence[Entry]) -> None:
        """Taken, and neither delivered nor given up: those that are not done come first again."""
        with self._changed:
            self._waiting.extendleft(entry for entry in reversed(entries) if entry in self._undone)
            self._changed.notify_all()

    def done(self, entries: Sequence[Entry]) -> None:
        """Delivered, or given up for good."""
        if self._store is not None:
            self._store.done(entries)
        with self._changed:
            self._undone.difference_update(entries)
            if self._store is not None:
                self._held -= sum(entry.length for entry in entries if entry.data is not None)
        self._release(sum(map(self._measure, entries)), sum(entry.length for entry in entries))

    def close(self) -> None:
        """Take nothing more in; what is there can still be taken out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def halt(self) -> None:
        """Give nothing more out either."""
        with self._changed:
            self._closed = self._abandoned = True
            self._changed.notify_all()

    def abandon(self) -> list[Entry]:
        """The end: what was not delivered. On disk it stays for the next start."""
        self.halt()
        with self._changed:
            left = list(self._undone)
        if self._store is not None:
            self._store.close()
        return left

    def _gather(self, taken: list[Entry], batch: QueueBatch) -> None:
        """More of the same signal, until they are enough or the time is over. The lock is held."""
        until = time.monotonic() + batch.flush_timeout
        total = _size_in(batch.sizer, taken[0])
        while total < batch.min_size:
            most = batch.max_size - total if batch.max_size else float("inf")
            same = [one for one in self._waiting if one.signal == taken[0].signal]
            more = next((one for one in same if _size_in(batch.sizer, one) <= most), None)
            if more is not None:
                self._waiting.remove(more)
                taken.append(more)
                total += _size_in(batch.sizer, more)
                continue
            left = until - time.monotonic()
            if left <= 0 or same or self._closed:
                return
            self._changed.wait(left)

    def _reserve(self, need: int, length: int) -> None:
        with self._changed:
            while self._is_full(need, length) and self._settings.block_on_overflow and not self._closed:
                self._changed.wait()
            if self._closed:
                raise Refused("cannot queue the batch: the exporter is stopping; send it again", _RETRY)
            if self._is_full(need, length):
                raise Refused("cannot queue the batch: the sending queue is full; send it again later", _RETRY)
            self._size += need
            self._bytes += length

    def _is_full(self, need: int, length: int) -> bool:
        most = self._settings.max_bytes
        return self._size + need > self.capacity or bool(most and self._bytes + length > most)

    def _release(self, size: int, length: int) -> None:
        with self._changed:
            self._size -= size
            self._bytes -= length
            self._changed.notify_all()

    def _measure(self, entry: Entry) -> int:
        return _size_in(self._settings.sizer, entry)


def _size_in(sizer: str, entry: Entry) -> int:
    return {"items": entry.items, "bytes": entry.length}.get(sizer, 1)
