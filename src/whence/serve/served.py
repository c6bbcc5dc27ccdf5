"""One archive being served: opened once, asked by every door, closed once.

The law: whoever starts something that lives as long as the server puts its end into `closing`.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from whence.collect.telemetry import Telemetry
from whence.index.engine import Engine
from whence.serve.live.feed import Feed
from whence.serve.replay.replays import Replays
from whence.serve.settings import StreamSettings

_STREAM: Final = StreamSettings()


class Served:
    """An archive, its engine and its telemetry. The directory may still be to come; others may be writing it."""

    def __init__(
        self,
        directory: Path,
        stream: StreamSettings = _STREAM,
        *,
        clock: Callable[[], int] = time.time_ns,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`clock`: nanoseconds since the epoch."""
        self.directory = Path(directory).expanduser()
        self.clock = clock
        self.telemetry = telemetry or Telemetry()
        self.engine = Engine(self.directory, awaited=True)
        """Safe to ask from several threads; each question looks anew."""
        self.feed = Feed(self.directory, most=stream.subscribers, patience=stream.slow_timeout, clock=clock)
        """What comes, for whoever subscribes."""
        self.replays = Replays(self.directory, self.engine, clock)
        """What of it is being given again."""
        self.works: dict[str, Callable[[], str | None]] = {}
        """What works beside the doors, by name: says why it does not, if so."""
        self.closing: list[Callable[[], None]] = [self.feed.close, self.replays.close]
        """What is called, the last one first, when serving ends."""

    def close(self) -> None:
        """End what was started for serving. Safe to be called again."""
        while self.closing:
            with suppress(Exception):  # one that cannot end must not keep the others from it
                self.closing.pop()()
