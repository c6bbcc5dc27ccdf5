"""Sending to a backend: the queue, the threads that empty it, retries, counts and health; what all exporters that send share.

The law: a request is counted once, as sent, or as given up with its reason in the log; whoever waits is told the same.
"""

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, NamedTuple, Protocol

from whence.collect.batch import ACCEPTED, Batch, Receipt
from whence.collect.component import HEALTHY, Health, Host
from whence.collect.exporters.disk import DiskStore
from whence.collect.exporters.orphans import adopted
from whence.collect.exporters.projecting import Projecting, Projections
from whence.collect.exporters.queue import Entry, Queue, Request
from whence.collect.exporters.retry import GivenUp, PartiallyRejected, Retry, Sent, Verdict, next_wait
from whence.collect.outcome import Refused, Unacceptable
from whence.collect.seldom import Seldom
from whence.collect.settings import RetryOnFailure, SendingQueue
from whence.collect.telemetry import ITEMS
from whence.errors import ConfigError, StorageError

_RETRY: Final = 1.0
_NO_CLOCK: Final = 1_577_836_800_000_000_000
"""Nanoseconds since the epoch, in 2020: a clock that says less was never set."""
_LEAST: Final = 0.05
"""Seconds that even the last attempt before a stop may take."""


class Terms(NamedTuple):
    """How to send: what the settings of exporters that send have in common."""

    timeout: float
    retry: RetryOnFailure
    queue: SendingQueue
    projections: Projections = "none"


def terms_of(timeout: float, retry: RetryOnFailure, queue: SendingQueue, projections: Projections = "none") -> Terms:
    """With the defaults that depend on others: what is on disk is tried for ever. Raises ConfigError."""
    if queue.storage and queue.wait_for_result:
        raise ConfigError(
            "cannot wait for the result of what is queued on disk: set wait_for_result or storage, not both"
        )
    if queue.storage and "max_elapsed_time" not in retry.model_fields_set:
        retry = retry.model_copy(update={"max_elapsed_time": 0.0})
    return Terms(timeout, retry, queue, projections)


class Transport(Protocol):
    """One way to one backend. Thread-safe."""

    def send(self, request: Request, timeout: float) -> Verdict:
        """Send once. Trouble of the network's is a Retry, not an exception."""
        ...

    def close(self) -> None:
        """Let connections go."""
        ...


class Sender:
    """An exporter that sends: in threads of its own from a queue, or in the caller's."""

    def __init__(self, terms: Terms, host: Host, connect: Callable[[], Transport]) -> None:
        self._terms = terms
        self._host = host
        self._connect = connect
        self._project = Projecting(terms.projections) if terms.projections != "none" else None
        self._transport: Transport | None = None
        self._queue: Queue | None = None
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._until: float | None = None
        """When to stop trying, once it is stopping."""
        self._in_flight = 0
        self._failing: dict[int, str] = {}
        """Why, by thread that cannot deliver what it has."""
        self._given_up: str | None = None
        self._is_to_be_said = Seldom(host.monotonic)
        self._forget: list[Callable[[], None]] = []

    def start(self, host: Host) -> None:
        """Connections are made when they are needed. Raises ConfigError, StorageError."""
        self._transport = self._connect()
        read, labels = host.telemetry.read, {"exporter": host.id}
        self._forget = [read("otelcol_exporter_in_flight_requests", lambda: self._in_flight, **labels)]
        if not self._terms.queue.enabled:
            return
        queue = self._queue = self._opened()
        self._forget += [
            read("otelcol_exporter_queue_size", lambda: queue.size, **labels),
            read("otelcol_exporter_queue_capacity", lambda: queue.capacity, **labels),
        ]
        for number in range(self._terms.queue.num_consumers):
            thread = threading.Thread(target=self._empty, name=f"{host.id} sends {number}", args=(queue,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, deadline: float) -> None:
        """Send what is in memory until then; what is on disk stays there. What is left is logged."""
        with self._changed:
            self._until = self._host.monotonic() if self._terms.queue.storage else deadline
            self._changed.notify_all()
        left: list[Entry] = []
        if self._queue is not None:
            self._queue.close()
            if self._terms.queue.storage:
                self._queue.halt()
            for thread in self._threads:
                thread.join(max(deadline - self._host.monotonic(), 0.0))
            left = self._queue.abandon()
        for forget in self._forget:
            forget()
        if self._transport is not None:
            self._transport.close()
        if left:
            self._tell_left(left)

    def health(self) -> Health:
        """Whether what was sent last arrived."""
        reason = next(iter(self._failing.copy().values()), None) or self._given_up
        if self._transport is None:
            return Health(False, "it is not started")
        return Health(False, reason) if reason else HEALTHY

    def consume(self, batch: Batch) -> Receipt:
        """Queue it, or send it. Raises DataError, Unacceptable, and Refused where the queue is full or the backend down."""
        shown = batch if self._project is None else self._project(batch)
        if shown is None:
            return ACCEPTED
        return self.take(Request(shown.signal, shown.protobuf(), shown.count()))

    def take(self, request: Request) -> Receipt:
        """Queue or send a request in whatever form the transport sends. Raises Unacceptable, Refused as `consume`."""
        if self._queue is None:
            return self._send_now(request)
        result: Future[Receipt] | None = Future() if self._terms.queue.wait_for_result else None
        try:
            self._queue.put(request, result)
        except (Refused, Unacceptable):
            self._count("enqueue_failed", request)
            raise
        return result.result() if result else Receipt()

    def _send_now(self, request: Request) -> Receipt:
        if self._transport is None:
            raise Refused("cannot send the batch: the exporter is not started; send it again", _RETRY)
        verdict = self._deliver(request)
        assert verdict is not None, "what is not queued does not expire"
        self._account(request, verdict)
        return _receipt(verdict)

    def _opened(self) -> Queue:
        queue = self._terms.queue
        if not queue.storage:
            return Queue(queue)
        folder = self._host.folder(queue.storage)
        store = DiskStore(folder, self._host.log, self._host.now)
        found = store.open()
        if not self._host.process:
            found += adopted(store, folder, self._host.processes, self._host.log)
        for entry in found:
            # A queue that was filled before its machine knew the time must not be thrown away for it.
            age = self._host.now() - entry.queued_at if entry.queued_at > _NO_CLOCK else 0
            entry.born = self._host.monotonic() - max(age, 0) / 1e9
        if found:
            items = sum(entry.items for entry in found)
            self._host.log.info("%s: %d requests with %d items were on disk", self._host.id, len(found), items)
        return Queue(queue, store, found)

    # --- in the sending threads ------------------------------------------------------------------------------------------

    def _empty(self, queue: Queue) -> None:
        while entries := queue.take(self._terms.queue.batch):
            try:
                fresh = [entry for entry in entries if not self._is_old(entry)]
                self._expire(queue, [entry for entry in entries if self._is_old(entry)])
                if fresh:
                    self._send(queue, fresh)
            except Exception as trouble:  # the thread must go on, and so must what it had
                self._host.log.exception("%s: trouble of its own", self._host.id)
                _tell(entries, trouble)
                self._wait(_RETRY)
                queue.back(entries)

    def _send(self, queue: Queue, entries: list[Entry]) -> None:
        items = sum(entry.items for entry in entries)
        try:
            # Requests of one signal one after the other are one request: each is a list of resources.
            request = Request(entries[0].signal, b"".join(map(queue.read, entries)), items)
        except StorageError as trouble:
            self._account(Request(entries[0].signal, b"", items), GivenUp(str(trouble)))
            queue.done(entries)
            return
        verdict = self._deliver(request, queue, max(entry.born for entry in entries))
        if verdict is None:
            self._expire(queue, entries)
            return
        if isinstance(verdict, Retry):  # stopping: it stays in the queue
            _tell(entries, Refused(f"cannot send the batch: {verdict.reason}", _RETRY))
            return
        if isinstance(verdict, GivenUp) and verdict.in_parts and len(entries) > 1:
            # One of them must not cost the others, which were put together with it only to be sent.
            half = len(entries) // 2
            self._send(queue, entries[:half])
            self._send(queue, entries[half:])
            return
        self._account(request, verdict)
        queue.done(entries)
        try:
            receipt = _receipt(verdict)
        except (Refused, Unacceptable) as failure:
            _tell(entries, failure)
        else:
            for entry in entries:
                if entry.result:
                    entry.result.set_result(receipt)

    def _deliver(self, request: Request, queue: Queue | None = None, born: float = 0.0) -> Verdict | None:
        """Until it arrives or is given up; None where it has become too old.

        Retry only where the exporter is stopping, or retries are over in the caller.
        """
        begun, failures, me = self._host.monotonic(), 0, threading.get_ident()
        try:
            while True:
                verdict = self._attempt(request)
                if not isinstance(verdict, Retry):
                    return verdict
                failures += 1
                self._failing[me] = verdict.reason
                elapsed = self._host.monotonic() - begun
                wait = next_wait(self._terms.retry, failures, elapsed, verdict.after, random.random())
                if wait is None:
                    return verdict if self._queue is None else GivenUp(f"{verdict.reason}; after {failures} attempts")
                if self._is_to_be_said("retry"):
                    self._host.log.warning("%s sends again in %.1f s: %s", self._host.id, wait, verdict.reason)
                if queue is not None and self._max_age:
                    wait = min(wait, max(born + self._max_age - self._host.monotonic(), 0.0))
                if not self._wait(wait):
                    return verdict
                if queue is not None and self._max_age:
                    self._expire(queue, queue.expired(self._host.monotonic() - self._max_age))
                    if born + self._max_age <= self._host.monotonic():
                        return None
        finally:
            self._failing.pop(me, None)

    @property
    def _max_age(self) -> float:
        return self._terms.queue.max_age

    def _is_old(self, entry: Entry) -> bool:
        return bool(self._max_age) and entry.born + self._max_age <= self._host.monotonic()

    def _expire(self, queue: Queue, entries: list[Entry]) -> None:
        """Give up what is too old: counted, and said once for all of a signal."""
        for signal in dict.fromkeys(entry.signal for entry in entries):
            items = sum(entry.items for entry in entries if entry.signal == signal)
            reason = f"longer than max_age, {self._max_age:g} s, in the queue"
            self._account(Request(signal, b"", items), GivenUp(reason))
            self._host.telemetry.count(f"whence_exporter_expired_{ITEMS[signal]}", items, exporter=self._host.id)
        if entries:
            queue.done(entries)
            _tell(entries, Unacceptable("cannot send the batch: it is too old (max_age)"))

    def _attempt(self, request: Request) -> Verdict:
        if self._transport is None:
            return Retry("the exporter is not started")
        timeout = self._terms.timeout
        if self._until is not None:
            timeout = min(timeout, max(self._until - self._host.monotonic(), _LEAST))
        with self._changed:
            self._in_flight += 1
        try:
            return self._transport.send(request, timeout)
        except Exception as trouble:
            self._host.log.exception("%s cannot send", self._host.id)
            return GivenUp(f"cannot send: {trouble!r}")
        finally:
            with self._changed:
                self._in_flight -= 1

    def _wait(self, seconds: float) -> bool:
        """Whether it may be tried again. A stop ends the wait at once, for one more attempt if there is time."""
        with self._changed:
            stopping = self._until is not None
            until = self._host.monotonic() + seconds
            while (left := until - self._host.monotonic()) > 0:
                if self._until is not None:
                    left = min(left, self._until - self._host.monotonic())
                    if left <= 0 or not stopping:
                        break
                self._changed.wait(left)
            return self._until is None or self._host.monotonic() < self._until

    # --- what became of it -----------------------------------------------------------------------------------------------

    def _account(self, request: Request, verdict: Verdict) -> None:
        rejected = {PartiallyRejected: getattr(verdict, "rejected", 0), Sent: 0}.get(type(verdict), request.items)
        rejected = min(rejected, request.items)
        if not isinstance(verdict, (GivenUp, Retry)):
            self._given_up = None
            self._count("sent", request._replace(items=request.items - rejected))
            observe, labels = self._host.telemetry.observe, {"exporter": self._host.id}
            observe("otelcol_exporter_queue_batch_send_size", request.items, **labels)
            observe("otelcol_exporter_queue_batch_send_size_bytes", len(request.data), **labels)
        if rejected or isinstance(verdict, (GivenUp, Retry)):
            self._count("send_failed", request._replace(items=rejected))
        items = ITEMS[request.signal].replace("_", " ")
        if isinstance(verdict, GivenUp):
            self._given_up = verdict.reason
            self._host.log.error("%s gives up %d %s: %s", self._host.id, request.items, items, verdict.reason)
        elif isinstance(verdict, PartiallyRejected):
            self._host.log.error("%s: the backend rejected %d %s: %s", self._host.id, rejected, items, verdict.message)
        elif isinstance(verdict, Sent) and verdict.message and self._is_to_be_said("warning"):
            self._host.log.warning("%s: the backend warns: %s", self._host.id, verdict.message)

    def _count(self, what: str, request: Request) -> None:
        name = f"otelcol_exporter_{what}_{ITEMS[request.signal]}"
        self._host.telemetry.count(name, request.items, exporter=self._host.id)

    def _tell_left(self, left: list[Entry]) -> None:
        items = sum(entry.items for entry in left)
        if self._terms.queue.storage:
            said = "%s: %d requests with %d items are not sent; they are on disk and are sent after the next start"
            self._host.log.info(said, self._host.id, len(left), items)
            return
        said = "%s: %d requests with %d items are lost: they could not be sent in time%s"
        reason = next(iter(self._failing.copy().values()), None)
        self._host.log.error(said, self._host.id, len(left), items, f": {reason}" if reason else "")
        for entry in left:
            self._count("send_failed", Request(entry.signal, b"", entry.items))
        _tell(left, Refused("cannot send the batch: the exporter is stopping; send it again", _RETRY))


def _receipt(verdict: Verdict) -> Receipt:
    """What the sender of a batch is told. Raises Refused, Unacceptable."""
    if isinstance(verdict, Retry):
        raise Refused(f"cannot send the batch: {verdict.reason}; send it again", max(verdict.after or 0.0, _RETRY))
    if isinstance(verdict, GivenUp):
        raise Unacceptable(f"cannot send the batch: {verdict.reason}")
    return Receipt(verdict.rejected if isinstance(verdict, PartiallyRejected) else 0, verdict.message)


def _tell(entries: list[Entry], failure: Exception) -> None:
    for entry in entries:
        if entry.result and not entry.result.done():
            entry.result.set_exception(failure)
