"""What stays of a segment that retention removed: `<stem>.gone`, which keeps the chain of seals whole and says why it went.

The law: the tombstone is durable before the first file goes, and whatever of the segment is left after a crash goes at the
next start. A tombstone that was changed removes nothing.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from whence.archive import names
from whence.archive.digested import digest_of, parsed, text_of
from whence.archive.folder import names_in, read_whole, write_whole
from whence.errors import DataError

VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """A removed segment: what its seal said of it, when it was removed and why."""

    segment: str
    seal: str
    """The `digest` of its seal, which the next seal of the chain names."""
    previous: str | None
    """The digest that its own seal named."""
    bytes: int
    lines: int
    records: int
    first_time: int
    """Nanoseconds since the epoch, the least record time; 0 where no record had one."""
    last_time: int
    removed: int
    """When, in nanoseconds since the epoch."""
    reason: str
    version: int = VERSION

    @property
    def digest(self) -> str:
        """SHA-256 over every field."""
        return digest_of(self)


def parse_tombstone(data: bytes) -> Tombstone:
    """The tombstone in its file. Raises DataError where one bit is different."""
    return parsed(data, "a tombstone", VERSION, Tombstone)


def read_tombstone(folder: int, stem: str) -> Tombstone | None:
    """The tombstone of a segment, or None where there is none. Raises DataError, OSError."""
    try:
        return parse_tombstone(read_whole(folder, stem + names.REMOVED))
    except FileNotFoundError:
        return None


def write_tombstone(folder: int, tombstone: Tombstone) -> None:
    """Put it on the device. Raises OSError."""
    write_whole(folder, tombstone.segment + names.REMOVED, [text_of(tombstone)])


def tombstones(root: Path) -> Iterator[tuple[str, str, Tombstone | DataError]]:
    """Group, stem and tombstone of every removed segment below a directory, or why the tombstone cannot be read."""
    for path, _, files in os.walk(root):
        group = "" if path == str(root) else Path(path).relative_to(root).as_posix()
        for file in sorted(files):
            stem = file.removesuffix(names.REMOVED)
            if stem == file or names.parse_stem(stem) is None:
                continue
            try:
                found = parse_tombstone((Path(path) / file).read_bytes())
                if found.segment != stem:
                    raise DataError(f"it is the tombstone of {found.segment}")
                yield group, stem, found
            except (DataError, OSError) as fault:
                yield group, stem, fault if isinstance(fault, DataError) else DataError(str(fault))


def remove_files(folder: int, stem: str) -> int:
    """Remove every file of a segment but its tombstone; gives how many. Raises OSError.

    What is made from the events goes before them, so that it never answers for events that are gone, and the seal goes last.
    """
    files = [name for name in names_in(folder) if name.startswith(stem + ".") and name != stem + names.REMOVED]
    for name in sorted(files, key=lambda name: (name.endswith(names.SEALED), not name.startswith(stem + ".index."))):
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
    if files:
        os.fsync(folder)
    return len(files)


def finish_removals(folder: int) -> Iterator[str]:
    """Remove what is left of segments whose removal was begun: each one's stem. Raises OSError."""
    found = names_in(folder)
    for name in found:
        stem = name.removesuffix(names.REMOVED)
        if stem == name or not any(other.startswith(stem + ".") and other != name for other in found):
            continue
        with suppress(DataError):
            tombstone = read_tombstone(folder, stem)
            if tombstone and tombstone.segment == stem and remove_files(folder, stem):
                yield stem
