"""One replay going on: it gives each event when it is due, and can be paused, stepped, moved and stopped from any thread.

The law: it does what `pace.py` decides. An event is given by one thread, one at a time, and its place noted behind it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from whence.errors import WhenceError
from whence.event.model import Event
from whence.replay.pace import Give, Pace, decide, shifted
from whence.replay.source import Place, Source

State = Literal["playing", "paused", "finished", "stopped", "failed"]
_SAVE = 1.0
"""Seconds after which the place is kept, while it moves."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a replay goes."""

    speed: Fraction | None = Fraction(1)
    shift: bool = False
    """Whether events are given the time at which they are due, in place of their own."""
    paused: bool = False
    """Whether it begins standing still."""
    most: int = 1
    """How many events are given at once, where so many are due."""
    stays: bool = False
    """Whether it waits at its end, to be moved back, until it is stopped."""


class Player:
    """One replay. `run` gives the events, in the thread that calls it; all else can be called from any."""

    def __init__(
        self,
        source: Source,
        to: Callable[..., None],
        terms: Terms,
        *,
        place: Place | None = None,
        keep: Callable[[Place], None] = lambda place: None,
        monotonic: Callable[[], int] = time.monotonic_ns,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`to` takes as many events as `most` says; `place`: behind which it begins; `keep`: notes how far it is, once a
        second and whenever it stands still.
        """
        self._source, self._to, self._terms, self._keep = source, to, terms, keep
        self._monotonic, self._clock = monotonic, clock
        self._changed = threading.Condition()
        self._pace = Pace(0, None if terms.paused else monotonic(), terms.speed)
        self._events: Iterator[Event] = iter(())
        self._next: Event | None = None
        self._giving: Place | None = None
        self._steps = 0
        self._stopping = self._ended = False
        self._began = self._first = 0
        self._sought: Place | None = place
        self._seek, self._asked = True, 0
        self._saved = monotonic()
        self.place = place
        """Behind the event given last."""
        self.given = 0
        """Events so far."""
        self.trouble: str | None = None
        """Why it failed, if it did."""
        self.closing: Callable[[], None] = lambda: None
        """Called once `run` gives nothing more."""

    # --- from any thread --------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """How it stands."""
        if self._ended:
            return "failed" if self.trouble else "stopped" if self._stopping else "finished"
        if self._next is None and self._giving is None and not self._seek:
            return "finished"
        return "paused" if self._pace.paused else "playing"

    @property
    def speed(self) -> Fraction | None:
        """How fast; None: as fast as possible."""
        return self._pace.speed

    def pause(self) -> None:
        """Stand still before the next event."""
        self._change(lambda pace, now: pace.pause(now))

    def resume(self) -> None:
        """Go on."""
        self._change(lambda pace, now: pace.resume(now))

    def set_speed(self, speed: Fraction | None) -> None:
        """Go on at another speed."""
        self._change(lambda pace, now: pace.at_speed(speed, now))

    def step(self, events: int = 1) -> None:
        """Give the next events at once; then stand still."""
        with self._changed:
            self._pace = self._pace.pause(self._monotonic())
            self._steps += events
            self._changed.notify_all()

    def seek(self, place: Place | None) -> None:
        """Go on behind a place, before or after; the first event there is due at once. None: from the beginning."""
        with self._changed:
            self._sought, self._seek, self._asked = place, True, self._asked + 1
            self._changed.notify_all()

    def stop(self) -> None:
        """Give nothing more; `run` returns."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _change(self, change: Callable[[Pace, int], Pace]) -> None:
        with self._changed:
            self._pace = change(self._pace, self._monotonic())
            self._changed.notify_all()

    # --- in the thread that runs it ---------------------------------------------------------------------------------

    def run(self) -> int:
        """Give the events until all were given or it is stopped; how many. What `to` raises ends it and is raised here."""
        try:
            while events := self._wait():
                self._to(*events)
                self._note(len(events))
        except WhenceError as cause:
            self.trouble = str(cause)
            raise
        except Exception as cause:
            self.trouble = f"{type(cause).__name__}: {cause}"
            raise
        finally:
            self._ended = True
            self._save()
            self.closing()
        return self.given

    def _wait(self) -> list[Event]:
        """What is to be given next, once it is due; nothing at the end."""
        saved = False
        while True:
            if self._seek:
                self._look()
            with self._changed:
                if self._seek:
                    continue
                if self._stopping:
                    return []
                now = self._monotonic()
                found = decide(self._pace, self._steps, None if self._next is None else self._next.time, now)
                if isinstance(found, Give):
                    return self._due(now)
                if self._next is None and not self._terms.stays:
                    return []
                if saved:
                    self._changed.wait(None if found.ns is None else min(found.ns / 1e9, threading.TIMEOUT_MAX))
                    continue
            self._save()
            saved = True

    def _look(self) -> None:
        """Read from the place that was asked for."""
        with self._changed:
            place, asked = self._sought, self._asked
        events = self._source.behind(place)
        following = next(events, None)
        with self._changed:
            if self._asked != asked:
                return
            self._seek = False
            self._events, self._next, self.place = events, following, place
            now = self._monotonic()
            if following is not None:
                self._pace = self._pace.move(following.time, now)
                self._first, self._began = following.time, self._clock()

    def _due(self, now: int) -> list[Event]:
        """The next event, and those behind it that are due as well, as many as are taken at once."""
        found: list[Event] = []
        while self._next is not None:
            event, self._next = self._next, next(self._events, None)
            self._giving = Place(event.time, event.id)
            self._steps = max(self._steps - 1, 0)
            if self._pace.paused or self._pace.speed is None:
                self._pace = self._pace.move(event.time, now)
            found.append(self._shifted(event) if self._terms.shift else event)
            following = None if self._next is None else self._next.time
            if len(found) >= self._terms.most or not isinstance(decide(self._pace, self._steps, following, now), Give):
                break
        return found

    def _shifted(self, event: Event) -> Event:
        offset = self._clock() - self._monotonic()
        return replace(event, time=shifted(event.time, self._pace, self._first, self._began, offset))

    def _note(self, many: int) -> None:
        """So many were taken: the place behind them counts."""
        with self._changed:
            self.given += many
            if not self._seek:
                self.place = self._giving
            self._giving = None
        if self._monotonic() - self._saved >= _SAVE * 1e9:
            self._save()

    def _save(self) -> None:
        self._saved = self._monotonic()
        if self.place is not None:
            self._keep(self.place)
