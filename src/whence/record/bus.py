"""Handlers inside the program: `on(type pattern, handler)`, called for each event as it is emitted.

The law: a handler that raises is logged and counted, and disturbs neither the emitter nor the other handlers.
"""

import logging
from collections.abc import Callable
from fnmatch import fnmatchcase

from whence.event.model import Event

logger = logging.getLogger("whence.record")

Handler = Callable[[Event], object]


class Bus:
    """Who wants to hear of which event types. Handlers run on the emitting thread, in the order they were added."""

    def __init__(self) -> None:
        self._subscribed: tuple[tuple[str, Handler], ...] = ()
        self._by_type: dict[str, tuple[Handler, ...]] = {}
        self.failures = 0
        """Handler calls that raised."""

    def on(self, pattern: str, handler: Handler) -> Callable[[], None]:
        """Call `handler(event)` for each event whose type matches (`*` any run, `?` any one); gives the way to stop it."""
        entry = (pattern, handler)
        self._subscribed = (*self._subscribed, entry)
        self._by_type = {}

        def off() -> None:
            self._subscribed = tuple(other for other in self._subscribed if other is not entry)
            self._by_type = {}

        return off

    def handlers(self, type: str) -> tuple[Handler, ...]:
        """The handlers for one type; remembered, since types are few and events many."""
        if not self._subscribed:
            return ()
        found = self._by_type.get(type)
        if found is None:
            found = tuple(handler for pattern, handler in self._subscribed if fnmatchcase(type, pattern))
            if len(self._by_type) < 10_000:  # a program that makes up types without end must not fill memory
                self._by_type[type] = found
        return found

    def publish(self, event: Event, handlers: tuple[Handler, ...]) -> None:
        for handler in handlers:
            try:
                handler(event)
            except Exception:
                self.failures += 1
                logger.exception("a handler for %r raised; the event is recorded all the same", event.type)
