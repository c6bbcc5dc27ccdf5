"""Small notes kept in the archive's directory by name, such as a subscription's position: whole and durable, or not there.

The law: a note is replaced as one, and on the device before it counts. Nothing else reads it; it may be deleted at any time.
"""

import re
import threading
from pathlib import Path
from typing import Any, Final

import orjson

from whence.archive.folder import make_root, open_root, read_whole, write_whole
from whence.errors import ConfigError, StorageError

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", re.ASCII)


class Kept:
    """The notes of one kind in an archive's directory. Thread-safe within one process."""

    def __init__(self, directory: Path, kind: str) -> None:
        self._directory, self._kind = Path(directory).expanduser(), kind
        self.lock = threading.RLock()
        """For whoever reads a note to write another."""

    def names(self) -> list[str]:
        """Which there are, in order."""
        start = f".{self._kind}-"
        try:
            found = [path.name.removeprefix(start) for path in self._directory.glob(f"{start}*")]
        except OSError:
            return []
        return sorted(name for name in found if not name.endswith(".tmp"))

    def read(self, name: str) -> dict[str, Any] | None:
        """A note; None where there is none, or one that cannot be read."""
        try:
            with open_root(self._directory) as root:
                found = orjson.loads(read_whole(root, self._file(name)))
        except (OSError, StorageError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def write(self, name: str, note: dict[str, Any]) -> None:
        """Replace a note, or make it. Raises ConfigError for a name that is none, StorageError where it cannot be kept."""
        file = self._file(name)
        with self.lock:
            try:
                with open_root(make_root(self._directory)) as root:
                    write_whole(root, file, [orjson.dumps(note)])
            except OSError as cause:
                said = f"cannot keep the {self._kind} {name!r}: {cause.strerror or cause}"
                raise StorageError(f"{said}; make the archive's directory writable") from None

    def remove(self, name: str) -> bool:
        """Whether there was one."""
        with self.lock:
            try:
                (self._directory / self._file(name)).unlink()
            except FileNotFoundError:
                return False
            except OSError as cause:
                said = f"cannot remove the {self._kind} {name!r}: {cause.strerror or cause}"
                raise StorageError(f"{said}; make the archive's directory writable") from None
        return True

    def _file(self, name: str) -> str:
        if not _NAME.fullmatch(name) or name.endswith(".tmp"):
            said = "it is to be up to 100 letters, digits, `-`, `_` and `.`"
            raise ConfigError(f"cannot call a {self._kind} {name[:40]!r}: {said}; choose another name")
        return f".{self._kind}-{name}"
