"""Webhooks of the server: events that match are posted as they come, signed, in their order, by whomever they were written.

The law: the archive is the queue. A place in it is kept, and moves when what is before it arrived or was given up; so nothing
waits in memory, nothing is lost across restarts, and nobody but the webhook's own thread ever waits.
"""

import logging
import random
import threading
import time
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final

from whence.archive.kept import Kept
from whence.collect.exporters.queue import Request
from whence.collect.exporters.retry import GivenUp, PartiallyRejected, Retry, Verdict, next_wait
from whence.collect.exporters.webhook import Poster
from whence.collect.exporters.webhook_request import packed
from whence.collect.records.events import always, asked
from whence.collect.seldom import Seldom
from whence.errors import DataError, StorageError
from whence.event.model import Event
from whence.filter.match import matcher
from whence.serve.access.caller import NO_AUDIT
from whence.serve.access.mask import Mask
from whence.serve.live.cursor import parse_cursor
from whence.serve.live.hearing import Hearing
from whence.serve.live.messages import Given, Message
from whence.serve.live.past import NOW, Past
from whence.serve.live.subscriber import View
from whence.serve.served import Served
from whence.serve.settings import ServeSettings, WebhookSettings

_LOG: Final = logging.getLogger("whence.serve")
_KIND: Final = "webhook"
_TIMEOUT: Final = 30.0
_KEPT_EVERY: Final = 1.0
_STOP: Final = 3.0
"""Seconds that all webhooks together may take to stop."""
_AROUND: Final = 16
"""Bytes of a body beside its only event."""
_NONCE: Final = 16


def start_webhooks(served: Served, settings: ServeSettings) -> list["Webhook"]:
    """Begin those of the settings. Raises ConfigError, StreamError."""
    found: list[Webhook] = []

    def close() -> None:
        until = time.monotonic() + _STOP
        for one in found:
            one.halt()
        for one in found:
            one.close(max(until - time.monotonic(), 0.0))

    served.closing.append(close)
    for name, wanted in settings.webhooks.items():
        found.append(Webhook(name, wanted, settings, served))
    return found


class Webhook:
    """One webhook, from when it is made until `close`."""

    def __init__(self, name: str, settings: WebhookSettings, serve: ServeSettings, served: Served) -> None:
        """Raises ConfigError, StreamError."""
        self.name = f"webhooks/{name}"
        self._settings, self._served = settings, served
        self._poster = Poster(settings, None, served.clock)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._failing: str | None = None
        self._is_to_be_said = Seldom()
        self._notes, self._note = Kept(served.directory, _KIND), name
        view = view_of(name, settings, serve, served)
        self._kept = self._read()
        self._place = self._kept or Past(served.directory, view, NOW, served.clock).place
        self._keep_next = 0.0
        self._left = self._closed = False
        """Whether something that was heard is left for the next start; whether nothing is kept any more."""
        self._keep()
        served.works[self.name] = self.trouble
        self.hearing = Hearing(
            served.feed, view, self.hear, name=self.name, buffer=serve.stream.buffer, place=self._place,
            reached=self.reach,
        )  # fmt: skip

    def trouble(self) -> str | None:
        """Why what was posted last did not arrive, if so."""
        return self._failing

    def hear(self, messages: Sequence[Message]) -> None:
        """Post what came; returns once all of it arrived or was given up, or the server stops."""
        for some in _parted(messages, self._settings.max_events):
            if self._left or self._stop.is_set():
                self._left = True
                return
            given = [one for one in some if isinstance(one, Given)]
            for one in some:
                if not isinstance(one, Given) and one.name == "missed":
                    self._miss(one.data.get("count") or 0, str(one.data.get("detail")))
            if not given:
                continue
            if self._deliver([one.event for one in given]):
                self.reach(given[-1].cursor)
            else:
                self._left = True

    def reach(self, place: str) -> None:
        """Everything before this place arrived, or was given up."""
        if self._left:
            return
        self._place = place
        if time.monotonic() >= self._keep_next:
            self._keep()

    def halt(self) -> None:
        """Post nothing more."""
        self._stop.set()
        self._poster.close()

    def close(self, seconds: float) -> None:
        """Wait for what is being posted, for at most so long; keep the place. What is not posted is after the next start."""
        self.halt()
        self.hearing.close(seconds)
        self._keep()
        with self._lock:
            self._closed = True
        self._served.works.pop(self.name, None)

    # --- posting ----------------------------------------------------------------------------------------------------------

    def _deliver(self, events: Sequence[Event]) -> bool:
        """Until it arrived or was given up; false where the server stops before."""
        most = self._settings.max_body_size - _AROUND
        data = b"".join(packed([event], _nonce(event), most) for event in events)
        request, begun, failures = Request("logs", data, len(events)), time.monotonic(), 0
        while isinstance(verdict := self._attempt(request), Retry):
            failures += 1
            self._failing = verdict.reason
            elapsed = time.monotonic() - begun
            wait = next_wait(self._settings.retry, failures, elapsed, verdict.after, random.random())
            if wait is None:
                verdict = GivenUp(f"{verdict.reason}; after {failures} attempts")
                break
            self._tell(logging.WARNING, "%s posts again in %.1f s: %s", self.name, wait, verdict.reason)
            if self._stop.wait(wait):
                return False
        self._account(len(events), verdict)
        return True

    def _attempt(self, request: Request) -> Verdict:
        try:
            return self._poster.send(request, self._settings.timeout or _TIMEOUT)
        except Exception as trouble:  # noqa: BLE001 - the thread must go on
            _LOG.exception("%s cannot post", self.name)
            return GivenUp(f"cannot post: {trouble!r}")

    def _account(self, events: int, verdict: Verdict) -> None:
        lost = events if isinstance(verdict, GivenUp) else 0
        if isinstance(verdict, PartiallyRejected):
            lost = verdict.rejected
        self._failing = verdict.reason if isinstance(verdict, GivenUp) else None
        if events > lost:
            self._count("sent", events - lost)
        if lost:
            reason = verdict.message if isinstance(verdict, PartiallyRejected) else self._failing
            self._count("send_failed", lost)
            _LOG.error("%s gives up %d events: %s", self.name, lost, reason)

    def _miss(self, events: int, detail: str) -> None:
        self._count("enqueue_failed", events)
        _LOG.error("%s misses events: %s", self.name, detail)

    def _count(self, what: str, events: int) -> None:
        self._served.telemetry.count(f"otelcol_exporter_{what}_log_records", events, exporter=self.name)

    def _tell(self, level: int, said: str, *about: object) -> None:
        """Now and then: the next attempt meets the same trouble."""
        if self._is_to_be_said():
            _LOG.log(level, said, *about)

    # --- the place --------------------------------------------------------------------------------------------------------

    def _read(self) -> str | None:
        """The place that was kept; a note that has become damaged is none."""
        found = (self._notes.read(self._note) or {}).get("cursor")
        try:
            parse_cursor(str(found))
        except DataError:
            return None
        return str(found)

    def _keep(self) -> None:
        """Where it has changed and there is an archive to keep it in."""
        with self._lock:
            if self._closed or self._place == self._kept or not self._served.directory.exists():
                return
            self._keep_next = time.monotonic() + _KEPT_EVERY
            try:
                self._notes.write(self._note, {"cursor": self._place})
                self._kept = self._place
            except StorageError as trouble:
                self._tell(logging.WARNING, "%s would post again after a restart: %s", self.name, trouble)


def view_of(name: str, settings: WebhookSettings, serve: ServeSettings, served: Served) -> View:
    """What a webhook is given, as whoever has its role would see it."""
    test, masked = asked(settings.filter, served.clock), serve.masks.get(settings.role)
    seen = matcher(NO_AUDIT) if settings.role != "admin" else None

    def matches(event: Event) -> bool:
        return test()(event) is True and (seen is None or seen(event) is True)

    return View((_KIND, name), matches, Mask(masked).event if masked else None, always(settings.filter))


def _parted(messages: Sequence[Message], most: int) -> Iterator[Sequence[Message]]:
    for at in range(0, len(messages), most):
        yield messages[at : at + most]


def _nonce(event: Event) -> bytes:
    """The same for the same event, so that what is posted again, also after a restart, has the id it had."""
    return blake2b(event.id.encode("utf-8", "surrogatepass"), digest_size=_NONCE).digest()
