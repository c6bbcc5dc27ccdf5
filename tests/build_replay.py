"""Builders for replays: archives whose events are some time apart, and players that are run in threads."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from build import START, Built, an_event, append
from build_live import a_writer
from whence.event.model import Event
from whence.replay.player import Player

SECOND = 1_000_000_000


def an_archive(directory: Path, events: list[Built]) -> Path:
    """An archive of these events, closed."""
    with a_writer(directory) as writer:
        for event in events:
            append(writer, [event])
    return directory


def events_apart(count: int, gap: int = SECOND, run: str = "run-1") -> list[Built]:
    """So many events, each so many nanoseconds behind the one before."""
    return [an_event("step", id=f"{run}-{n:04d}", run=run, time=START + n * gap) for n in range(count)]


class Heard:
    """What a replay gave."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def ids(self) -> list[str]:
        """In the order in which they came."""
        return [event.id for event in self.events]


@contextmanager
def going(player: Player) -> Iterator[Player]:
    """A replay that is run by a thread, and stopped at the end."""
    thread = threading.Thread(target=player.run, daemon=True)
    thread.start()
    try:
        yield player
    finally:
        player.stop()
        thread.join(60)
        assert not thread.is_alive()
