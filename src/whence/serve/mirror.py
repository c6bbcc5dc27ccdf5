"""The console mirror of the server: each event that is written, by whomever, as a log line tagged `[events]`."""

import logging
from collections.abc import Sequence
from typing import Final

from whence.export import console
from whence.serve.access.mask import Mask
from whence.serve.live.hearing import Hearing
from whence.serve.live.messages import Given, Message
from whence.serve.live.subscriber import View
from whence.serve.served import Served
from whence.serve.settings import ServeSettings

_LOG: Final = logging.getLogger("whence.serve")


def start_mirror(served: Served, settings: ServeSettings) -> Hearing | None:
    """Begin, where the settings say so. What `masks.admin` hides is hidden here too."""
    if not settings.console:
        return None
    console.prepare()
    masked = settings.masks.get("admin")
    view = View("console", lambda event: True, Mask(masked).event if masked else None)
    hearing = Hearing(served.feed, view, show, name="console", buffer=settings.stream.buffer)
    served.closing.append(hearing.close)
    return hearing


def show(messages: Sequence[Message]) -> None:
    """Log what came."""
    for message in messages:
        if isinstance(message, Given):
            console.mirror(message.event)
        elif message.name == "missed":
            _LOG.warning("events are not shown: %s", message.data.get("detail"))
