"""Named checkpoints: how far a replay was, of which events; kept in the archive's directory across restarts."""

from pathlib import Path
from typing import Any, Final

from whence.archive.kept import Kept
from whence.errors import ConfigError
from whence.replay.source import Place

KIND: Final = "replay"


class Checkpoints:
    """The checkpoints of one archive. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        self._kept = Kept(directory, KIND)

    def names(self) -> list[str]:
        """Those there are."""
        return [name for name in self._kept.names() if _place(self._kept.read(name) or {})]

    def place(self, name: str, chosen: str | None = None) -> Place | None:
        """Where it stands; None where there is none of that name.

        `chosen`: what is to be replayed, in words. Raises ConfigError where it was made of something else.
        """
        note = self._kept.read(name) or {}
        found = _place(note)
        if found and chosen is not None and note.get("chosen") != chosen:
            said = f"it was made of {str(note.get('chosen') or 'everything')!r}, and this is {chosen or 'everything'!r}"
            raise ConfigError(f"cannot go on at the checkpoint {name!r}: {said}; choose another name, or delete it")
        return found

    def keep(self, name: str, place: Place, chosen: str) -> None:
        """Note where a replay stands. Raises ConfigError for a name that is none, StorageError where it cannot be kept."""
        self._kept.write(name, {"time": place.time, "id": place.id, "chosen": chosen})

    def remove(self, name: str) -> bool:
        """Whether there was one."""
        return self._kept.remove(name)


def _place(note: dict[str, Any]) -> Place | None:
    time, id = note.get("time"), note.get("id")
    return Place(time, id) if type(time) is int and type(id) is str else None
