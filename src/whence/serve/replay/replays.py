"""The replays of one server: each a thread that gives events to its stage, and to an OTLP endpoint where it has one."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from whence.errors import NotFoundError, StreamError, WhenceError
from whence.event.model import Event
from whence.index.engine import Engine
from whence.otlp.service import OtlpProtocol
from whence.replay.over_otlp import OverOTLP
from whence.replay.player import Player, Terms
from whence.replay.start import Chosen, begin
from whence.serve.replay.stage import Stage

MOST: Final = 20
"""Replays at once: each takes a thread, and reads the archive."""


@dataclass(frozen=True, slots=True)
class Going:
    """One replay."""

    id: str
    owner: str
    chosen: Chosen
    player: Player
    stage: Stage
    checkpoint: str | None
    otlp: str | None
    thread: threading.Thread


class Replays:
    """Those that were begun and not ended. Thread-safe."""

    def __init__(self, directory: Path, engine: Engine, clock: Callable[[], int]) -> None:
        self._directory, self._engine, self._clock = directory, engine, clock
        self._lock = threading.Lock()
        self._going: dict[str, Going] = {}

    def all(self) -> list[Going]:
        """In the order in which they were begun."""
        return list(self._going.values())

    def get(self, id: str) -> Going:
        """Raises NotFoundError."""
        found = self._going.get(id)
        if found is None:
            raise NotFoundError(f"cannot find the replay {id!r}: there is none of that id; see /api/replays")
        return found

    def begin(
        self,
        owner: str,
        chosen: Chosen,
        terms: Terms,
        *,
        may_see: Callable[[Event], bool],
        checkpoint: str | None,
        otlp: str | None,
        protocol: OtlpProtocol | None,
    ) -> Going:
        """Begin one. Raises FilterError, ConfigError, StorageError, or StreamError where there are too many."""
        id = secrets.token_hex(6)
        stage = Stage(id, self._directory, self._clock)
        sending = OverOTLP(otlp, protocol=protocol) if otlp else None

        def give(*events: Event) -> None:
            if sending is not None:
                sending(*events)
            stage.publish(*events)

        begun = begin(self._directory, self._engine, chosen, give, terms, checkpoint=checkpoint, may_see=may_see)

        def run() -> None:
            try:
                begun.player.run()
            except Exception as cause:  # noqa: BLE001 - who listens is told, and its state says so
                said = str(cause) if isinstance(cause, WhenceError) else "a fault of the server's own"
                stage.close(f"the replay failed: {said}")
            finally:
                stage.close("the replay has ended")
                if sending is not None:
                    sending.close()

        thread = threading.Thread(target=run, name="whence replay", daemon=True)
        going = Going(id, owner, chosen, begun.player, stage, checkpoint, otlp, thread)
        with self._lock:
            if len(self._going) >= MOST:
                raise StreamError(f"cannot begin a replay: there are {MOST} already; end one first")
            self._going[going.id] = going
        thread.start()
        return going

    def end(self, id: str) -> None:
        """End one. Raises NotFoundError."""
        going = self.get(id)
        going.player.stop()
        going.stage.close("the replay has ended")
        with self._lock:
            self._going.pop(id, None)

    def close(self) -> None:
        """End all."""
        for going in self.all():
            going.player.stop()
            going.stage.close("the server is stopping")
        for going in self.all():
            going.thread.join(5.0)
