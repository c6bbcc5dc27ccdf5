"""Positions that survive a restart: one small database a receiver, a row a file.

The law: what `put` has returned from is on the device. A damaged database is set aside and said in the log, and never stops a
start.
"""

import logging
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from whence.archive.folder import make_folders
from whence.collect.receivers.files.marks import Mark, Position
from whence.errors import StorageError

MOST: Final = 10_000
"""Positions of files that are gone which are kept: they may come back, under another name or compressed."""
_NAME: Final = "positions.sqlite"
_VERSION: Final = 1
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS positions (
  id INTEGER PRIMARY KEY, device TEXT, inode TEXT, path BLOB, offset INTEGER, lines INTEGER,
  length INTEGER, width INTEGER, head BLOB, tail BLOB, packed INTEGER, over INTEGER)
"""
_COLUMNS: Final = "device, inode, path, offset, lines, length, width, head, tail, packed, over"


class Store:
    """Used by one thread after `open`."""

    def __init__(self, folder: Path | None, log: logging.Logger) -> None:
        """`folder`: None keeps them in memory."""
        self._folder = folder
        self._log = log
        self._base: sqlite3.Connection | None = None
        self.resumed = False
        """Whether this receiver has run before: files that are new have come since."""

    def open(self) -> list[Position]:
        """Claim it and give what it holds. Raises StorageError."""
        try:
            if self._folder is not None:
                make_folders(self._folder)
            return self._load()
        except sqlite3.DatabaseError as cause:
            self.close()
            if isinstance(cause, sqlite3.OperationalError):
                said = "another process uses them; stop that one" if "locked" in str(cause) else str(cause)
                raise StorageError(f"cannot use the positions in {self._folder}: {said}") from None
            return self._anew(cause)
        except OSError as cause:
            raise StorageError(f"cannot use the positions in {self._folder}: {cause.strerror or cause}") from cause

    def put(self, positions: Iterable[Position]) -> list[Position]:
        """Write them down; each gets its id. Raises StorageError, and then nothing of it is written."""
        base = self._open
        done = []
        try:
            with base:
                for one in positions:
                    row = base.execute(
                        f"INSERT OR REPLACE INTO positions (id, {_COLUMNS}) VALUES (?{',?' * 11})",  # noqa: S608
                        (one.id or None, *_row(one)),
                    )
                    done.append(replace(one, id=one.id or int(row.lastrowid or 0)))
        except sqlite3.Error as cause:
            raise StorageError(f"cannot write the positions in {self._folder}: {cause}") from cause
        return done

    def begin(self) -> None:
        """From now on it has run before. Raises StorageError."""
        try:
            with self._open as base:
                base.execute(f"PRAGMA user_version = {_VERSION}")
        except sqlite3.Error as cause:
            raise StorageError(f"cannot write the positions in {self._folder}: {cause}") from cause
        self.resumed = True

    def forget(self, positions: Iterable[Position]) -> None:
        """Remove them. Trouble leaves them where they are."""
        with suppress(sqlite3.Error), self._open as base:
            base.executemany("DELETE FROM positions WHERE id = ?", [(one.id,) for one in positions])

    def close(self) -> None:
        """Let go of it."""
        base, self._base = self._base, None
        if base is not None:
            base.close()

    @property
    def _open(self) -> sqlite3.Connection:
        if self._base is None:
            raise StorageError(f"cannot use the positions in {self._folder}: they are closed")
        return self._base

    def _load(self) -> list[Position]:
        path = ":memory:" if self._folder is None else str(self._folder / _NAME)
        base = self._base = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
        base.execute("PRAGMA locking_mode = EXCLUSIVE")
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = FULL")
        version = int(base.execute("PRAGMA user_version").fetchone()[0])
        if version not in (0, _VERSION):
            raise StorageError(
                f"cannot use the positions in {self._folder}: they are of version {version}; a newer whence wrote them"
            )
        self.resumed = version > 0
        with base:
            base.execute(_TABLE)
        with closing(base.execute(f"SELECT id, {_COLUMNS} FROM positions ORDER BY id")) as rows:  # noqa: S608
            return [_position(row) for row in rows]

    def _anew(self, cause: Exception) -> list[Position]:
        folder = self._folder or Path()
        for name in (_NAME, f"{_NAME}-wal"):
            with suppress(OSError):
                (folder / name).replace(folder / f"{name}.damaged")
        self._log.error(
            "the positions in %s are damaged (%s): set aside as *.damaged; every file is read from its beginning",
            folder, cause,
        )  # fmt: skip
        found = self._load()
        self.begin()  # start_at: end would skip what was not read yet: rather twice than not at all
        return found


def _row(one: Position) -> tuple[Any, ...]:
    mark = one.mark
    told = (mark.length, mark.width, mark.head, mark.tail)
    place = (str(one.device), str(one.inode), one.path.encode("utf-8", "surrogateescape"))
    return *place, one.offset, one.lines, *told, int(one.packed), int(one.over)


def _position(row: tuple[Any, ...]) -> Position:
    id_, device, inode, path, offset, lines, length, width, head, tail, packed, over = row
    return Position(
        int(device), int(inode), path.decode("utf-8", "surrogateescape"), offset, lines,
        Mark(length, width, head, tail), bool(packed), bool(over), id_,
    )  # fmt: skip
