"""Named subscriptions: which events, for whom, and up to which place they were acknowledged; kept across restarts.

The law: the position moves when it is acknowledged and is on the device before that is said. At least once: what was given and
not acknowledged is given again.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from whence.archive.kept import Kept
from whence.errors import ConflictError, DataError, NotFoundError
from whence.serve.live.cursor import parse_cursor

KIND: Final = "subscription"


@dataclass(frozen=True, slots=True)
class Subscription:
    """One named subscription."""

    name: str
    owner: str
    """Who made it: theirs, and of whoever administers, it is to use."""
    filter: str
    cursor: str
    """Everything before this place was acknowledged."""
    created: int
    """Nanoseconds since the epoch."""
    acknowledged: int | None = None
    """When, nanoseconds since the epoch."""


class Subscriptions:
    """The subscriptions to one archive. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        self._kept = Kept(directory, KIND)

    def all(self) -> list[Subscription]:
        """Every one that can be read, by name."""
        return [found for name in self._kept.names() if (found := _read(name, self._kept.read(name)))]

    def get(self, name: str) -> Subscription:
        """Raises NotFoundError."""
        found = _read(name, self._kept.read(name))
        if found is None:
            raise NotFoundError(
                f"cannot find the subscription {name!r}: there is none of that name; see /api/subscriptions"
            )
        return found

    def create(self, wanted: Subscription) -> bool:
        """Make it; whether it is new: one of the same owner and filter is left as it is. Raises ConflictError for another."""
        with self._kept.lock:
            there = _read(wanted.name, self._kept.read(wanted.name))
            if there is None:
                self._kept.write(wanted.name, asdict(wanted))
                return True
        if (there.owner, there.filter) != (wanted.owner, wanted.filter):
            raise ConflictError(
                f"cannot make the subscription {wanted.name!r}: there is another of that name; delete it, or choose another name"
            )
        return False

    def acknowledge(self, name: str, cursor: str, now: int) -> Subscription:
        """Move its position. Raises NotFoundError, DataError for what is no cursor, StorageError."""
        parse_cursor(cursor)
        with self._kept.lock:
            found = replace(self.get(name), cursor=cursor, acknowledged=now)
            self._kept.write(name, asdict(found))
        return found

    def remove(self, name: str) -> None:
        """Raises NotFoundError."""
        if not self._kept.remove(name):
            self.get(name)


def _read(name: str, note: dict[str, Any] | None) -> Subscription | None:
    """A note that has become damaged is none."""
    try:
        found = Subscription(**note) if note else None
        if found is not None:
            parse_cursor(found.cursor)
    except (TypeError, DataError):
        return None
    return found if found and found.name == name else None
