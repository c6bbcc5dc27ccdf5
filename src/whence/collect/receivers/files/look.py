"""Which files there are now: what the globs match, each file once, those written longest ago first."""

import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

from wcmatch import glob

_FLAGS = glob.GLOBSTAR | glob.BRACE | glob.DOTGLOB | glob.NODIR | glob.NOUNIQUE


class Seen(NamedTuple):
    """A file as it was found."""

    path: str
    device: int
    inode: int
    size: int
    changed: int
    """When it was written last, in ns since the epoch."""

    @property
    def key(self) -> tuple[int, int]:
        return self.device, self.inode


def look(include: Sequence[str], exclude: Sequence[str], not_before: int) -> list[Seen]:
    """The regular files that match and were written at `not_before` (ns) or later. A file with several names is given once."""
    found: dict[tuple[int, int], Seen] = {}
    for path in sorted(set(glob.glob(list(include), flags=_FLAGS, exclude=list(exclude) or None))):
        try:
            info = os.stat(path)  # noqa: PTH116
        except OSError:
            continue  # gone since, or not ours to see
        if stat.S_ISREG(info.st_mode) and info.st_mtime_ns >= not_before:
            seen = seen_of(path, info)
            found.setdefault(seen.key, seen)
    return sorted(found.values(), key=lambda one: (one.changed, one.path))


def seen_of(path: str, info: os.stat_result) -> Seen:
    """A file of which the system says this."""
    return Seen(path, info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)
