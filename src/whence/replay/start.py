"""`whence.play`: a replay of what is chosen, into a function; and what every door to replays has in common."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from whence.event.model import Event
from whence.filter.parse import parse
from whence.filter.printer import to_text
from whence.filter.selection import joined, selection
from whence.filter.tree import Filter
from whence.index.engine import Engine
from whence.otlp.service import OtlpProtocol
from whence.replay.checkpoints import Checkpoints
from whence.replay.over_otlp import MOST, OverOTLP
from whence.replay.pace import parse_speed
from whence.replay.player import Player, Terms
from whence.replay.source import Matching, Place, Related


class Chosen(NamedTuple):
    """What is replayed."""

    tree: Filter
    related: bool = False
    """With all that led to these events and came of them."""

    def __str__(self) -> str:
        return to_text(self.tree) + (" (with related events)" if self.related else "")


class Begun(NamedTuple):
    """A replay that can be run."""

    player: Player
    went_on: bool
    """Whether it goes on at its checkpoint."""


def begin(
    directory: Path,
    engine: Engine,
    chosen: Chosen,
    to: Callable[..., None],
    terms: Terms,
    *,
    checkpoint: str | None = None,
    may_see: Callable[[Event], bool] = lambda event: True,
) -> Begun:
    """A replay that begins at its checkpoint, or with the first event. Raises FilterError, ConfigError or StorageError."""
    place, keep = None, _nowhere
    if checkpoint is not None:
        kept, what = Checkpoints(directory), str(chosen)
        place = kept.place(checkpoint, what)

        def keep(place: Place) -> None:
            kept.keep(checkpoint, place, what)

    related = Related(engine, chosen.tree, may_see) if chosen.related else None
    source = related or Matching(engine, chosen.tree)
    return Begun(Player(source, to, terms, place=place, keep=keep), place is not None)


def play(
    archive: str | Path,
    to: Callable[[Event], None] | str,
    filter: str | None = None,
    *,
    run: str | None = None,
    correlation: str | None = None,
    related: bool = False,
    since: str | None = None,
    until: str | None = None,
    speed: float | str = 1.0,
    now: bool = False,
    checkpoint: str | None = None,
    protocol: OtlpProtocol | None = None,
    headers: Mapping[str, str] | None = None,
) -> Player:
    """A replay of an archive's events into a function, or to an OTLP endpoint; `.run()` gives them, and returns how many.

    `filter`, `run`, `correlation`, `since` and `until` choose; all must hold. `related`: with all that led to those events and
    came of them. `speed`: 0.1 to 1000, or "max". `now`: events get the time at which they are due. `checkpoint`: a name under
    which the place is kept in the archive's directory, and from which it goes on next time. `to` as text is an endpoint, as
    `http://localhost:4318` or `grpc://localhost:4317`; `protocol`: "grpc" also for an `http` URL; `headers` go with it. From
    other threads: `pause`, `resume`, `step`, `seek`, `set_speed` and `stop`. What `to` raises ends it. Raises FilterError,
    ConfigError, NotFoundError.
    """
    chosen = [correlation] if correlation is not None else None
    tree = selection(run=run, correlation=chosen, since=since, until=until, now=time.time_ns())
    given = [tree] if filter is None else [tree, parse(filter, now=time.time_ns())]
    directory = Path(archive).expanduser()
    sending = OverOTLP(to, headers, protocol=protocol) if isinstance(to, str) else None
    take: Callable[..., None] = sending or to  # type: ignore[assignment]
    terms = Terms(parse_speed(speed), now, most=MOST if sending else 1)
    chose = Chosen(joined(given), related)
    player = begin(directory, Engine(directory), chose, take, terms, checkpoint=checkpoint).player
    player.closing = sending.close if sending else player.closing
    return player


def _nowhere(place: Place) -> None:
    """Nothing is kept."""
