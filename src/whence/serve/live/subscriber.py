"""A subscriber: what waits for it, what it missed where it is slower than events come, and when it is let go.

The law: `Buffer` is pure, `now` is given. A buffer is bounded; what does not fit pushes out the oldest, which is told exactly:
how many, from when to when, and the place before the first of them.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from whence.event.flat import format_time
from whence.event.model import Event
from whence.filter.tree import Filter
from whence.serve.live.messages import Batch, Given, Message, Notice, missed
from whence.serve.live.room import Standing

BUFFER: Final = 10_000
THRESHOLD: Final = 0.8
PATIENCE: Final = 30.0
BYTES: Final = 64 << 20
"""Of what waits for one subscriber, about: large events are held in smaller numbers."""
AT_ONCE: Final = 500
"""Messages taken at once: what is on its way to a subscriber is not counted as waiting, and is to be little."""
_MANY: Final = 100
"""So many that came together are given on together: their bytes were put together for everybody."""
_LATELY: Final = 2.0
"""Seconds in which something came for a subscriber that counts when it is asked how subscribers stand."""
_STUCK: Final = 5.0
"""Seconds after which a client that has not taken what it is being given does not count there any more."""


class View(NamedTuple):
    """What a subscriber gets of the events: those that match, as they may be shown."""

    key: Hashable
    """The same for views that give the same: then the work is done once for all of them."""
    matches: Callable[[Event], bool | None]
    shown: Callable[[Event], Event] | None = None
    tree: Filter | None = None
    """What holds for whatever matches; None: that is not known."""


ALL: Final = View("all", lambda event: True)


class Terms(NamedTuple):
    """How much waits for a subscriber, how full that may be before it is told to hurry, and how many seconds it may stay so."""

    buffer: int = BUFFER
    threshold: float = THRESHOLD
    patience: float = PATIENCE


@dataclass(slots=True)
class Buffer:
    """What waits for one subscriber."""

    terms: Terms
    place: str = ""
    """The cursor behind what was taken."""
    _waiting: deque[tuple[Sequence[Message], str]] = field(default_factory=deque)
    """Messages, and the cursor behind them."""
    count: int = 0
    """Events that wait."""
    size: int = 0
    """And their bytes."""
    slow_since: float | None = None
    _slow_told: bool = False
    _missed: int = 0
    _first: int = 0
    _last: int = 0
    _behind: str = ""

    @property
    def full(self) -> float:
        """The share of it that is taken up."""
        return max(self.count / self.terms.buffer, self.size / BYTES)

    def put(self, messages: Sequence[Message], cursor: str, now: float) -> None:
        """More to give, and the place behind it; where there is no room for it, the oldest goes."""
        if messages:
            self._waiting.append((messages, cursor))
            self.count += len(messages)
            self.size += _size(messages)
        elif self._waiting:
            self._waiting[-1] = (self._waiting[-1][0], cursor)
        elif self._missed:
            self._behind = cursor
        else:
            self.place = cursor
        while self.count > self.terms.buffer:
            self._drop(self.count - self.terms.buffer)
        while self.size > BYTES:
            self._drop(max(len(self._waiting[0][0]) // 2, 1))
        if self.full < self.terms.threshold:
            self.slow_since = None
        elif self.slow_since is None:
            self.slow_since, self._slow_told = now, False

    def _drop(self, many: int) -> None:
        messages, cursor = self._waiting.popleft()
        gone, left = messages[:many], messages[many:]
        self.count -= len(gone)
        self.size -= _size(gone)
        for one in gone:
            if isinstance(one, Given):
                self._missed += 1
                self._first = min(self._first or one.event.time, one.event.time)
                self._last = max(self._last, one.event.time)
        self._behind = gone[-1].cursor or cursor
        if left:
            self._waiting.appendleft((left, cursor))
        else:
            self._behind = cursor

    def take(self, most: int = AT_ONCE) -> Sequence[Message]:
        """What waits, what was missed said before it; about `most` at once. Many that came at once are given as they came."""
        found: list[Message] = []
        if self._missed:
            found.append(self._told())
        if self.slow_since is not None and not self._slow_told:
            self._slow_told = True
            found.append(_slow(self.count, self.terms))
        while self._waiting and len(found) < most:
            if found and len(self._waiting[0][0]) >= _MANY:
                break
            messages, self.place = self._waiting.popleft()
            self.count -= len(messages)
            self.size -= _size(messages)
            if not found and len(messages) >= _MANY:
                return self._taken(messages)
            found += messages
        return self._taken(found)

    def _taken(self, found: Sequence[Message]) -> Sequence[Message]:
        if self.full < self.terms.threshold:
            self.slow_since = None
        return found

    def _told(self) -> Notice:
        said = missed(
            "slow",
            "events came faster than they were taken, and the oldest made room; resume has them all, or ask for them later",
            count=self._missed,
            first=self._first,
            last=self._last,
            cursor=self.place,
        )
        self.place, self._missed, self._first, self._last = self._behind, 0, 0, 0
        return said._replace(cursor=self.place)

    def is_over(self, now: float) -> bool:
        """Whether the subscriber was slow for longer than it may."""
        return self.slow_since is not None and now - self.slow_since >= self.terms.patience

    def closing(self, reason: str) -> Notice:
        """The last message: what is not given any more, and where to go on."""
        given = [one for messages, _ in self._waiting for one in messages if isinstance(one, Given)]
        times = [one.event.time for one in given] + ([self._first, self._last] if self._missed else [])
        data = {"reason": reason, "missed": len(given) + self._missed, "resume": self.place}
        if times:
            data |= {"from": format_time(min(times)), "to": format_time(max(times))}
        return Notice("closing", data)


def _size(messages: Sequence[Message]) -> int:
    if isinstance(messages, Batch):
        return messages.size
    return sum(one.size for one in messages if isinstance(one, Given))


def _slow(count: int, terms: Terms) -> Notice:
    return Notice(
        "slow",
        {
            "waiting": count,
            "buffer": terms.buffer,
            "seconds": terms.patience,
            "detail": f"the buffer is more than {terms.threshold:.0%} full; whoever stays so slow is let go after that time",
        },
    )


class Subscriber:
    """One subscriber of a feed: the feed's thread puts, one consumer takes."""

    def __init__(self, view: View, terms: Terms, monotonic: Callable[[], float]) -> None:
        self.view = view
        self.wake: Callable[[], None] = lambda: None
        """Called whenever there is something to take, from any thread."""
        self.gone: Callable[[], None] = lambda: None
        """Called once nothing more will come, from any thread."""
        self.written: Callable[[Sequence[Message]], object] | None = None
        """Puts together what is sent of many; called before it is there to take, by whoever gives it."""
        self.is_told = False
        """Whether one of the server's own tellings takes what waits, and says in `busy` how that goes."""
        self.busy: float | None = None
        """Since when its client is being given something, by the monotonic clock."""
        self._came = -math.inf
        self._buffer = Buffer(terms)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._ended: str | None = None

    @property
    def place(self) -> str:
        """The cursor behind what was taken, and behind what came since and is not for this subscriber."""
        return self._buffer.place

    def begin(self, place: str) -> None:
        """Its live events begin behind this place."""
        self._buffer.place = place

    @property
    def room(self) -> int:
        """How many events may wait."""
        return self._buffer.terms.buffer

    @property
    def waiting(self) -> int:
        """Events that wait."""
        return self._buffer.count

    def put(self, messages: Sequence[Message], cursor: str) -> None:
        """From the feed: what matches of the events that came, and the place behind all of them."""
        if self.written is not None and messages and self._ended is None:
            self.written(messages)
        now = self._monotonic()
        with self._lock:
            if self._ended is not None:
                return
            self._buffer.put(messages, cursor, now)
        if messages:
            self._came = now
            self.wake()
        self.check()

    def standing(self) -> Standing | None:
        """How it stands; None where nothing came for it lately, or nothing gets through to its client."""
        now, busy = self._monotonic(), self.busy
        if not self.is_told or self._ended is not None or now - self._came > _LATELY:
            return None
        if busy is not None and now - busy > _STUCK:
            return None
        return Standing(self._buffer.full, busy is not None)

    def take(self) -> Sequence[Message]:
        """What waits; a `closing` alone where it was let go, and then nothing any more."""
        with self._lock:
            return [self._buffer.closing(self._ended)] if self._ended is not None else self._buffer.take()

    def check(self) -> bool:
        """Let it go if it was slow for too long; whether it is let go."""
        with self._lock:
            over = self._ended is None and self._buffer.is_over(self._monotonic())
            if over:
                self._ended = "too slow"
        if over:
            self.wake()
            self.gone()
        return self._ended is not None

    @property
    def is_slow(self) -> bool:
        """Whether it was told to hurry, and its time runs."""
        return self._buffer.slow_since is not None

    def end(self, reason: str) -> None:
        """Nothing more will come."""
        with self._lock:
            self._ended = self._ended or reason
        self.wake()
        self.gone()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._ended is not None
