"""The roll of a folder's seals: a line for each, so that the newest file of a writer cannot go missing without being missed.

The law: a line is written once its seal is durable, and is never needed: a roll that is damaged, cut or gone knows less and
disturbs nothing.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from whence.archive import names

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LINE: Final = re.compile(r"(\S+) ([0-9a-f]{64})")


def enrol(folder: int, stem: str, digest: str) -> None:
    """Put a seal's digest on the roll of its folder; where the disk does not take it, it is not there."""
    with suppress(OSError):
        fd = os.open(names.ROLL, _FLAGS, names.FILE_MODE, dir_fd=folder)
        try:
            os.write(fd, f"\n{stem} {digest}".encode())  # a line cut off by a crash does not spoil the next one
        finally:
            os.close(fd)


def rolls(root: Path) -> Iterator[tuple[str, str, str]]:
    """Group, stem and digest of the last seal of each segment that was ever sealed below a directory, as far as is known."""
    for path, _, files in os.walk(root):
        if names.ROLL not in files:
            continue
        group = "" if path == str(root) else Path(path).relative_to(root).as_posix()
        found = {}
        with suppress(OSError):
            for line in (Path(path) / names.ROLL).read_text("ascii", "replace").splitlines():
                parts = _LINE.fullmatch(line)
                if parts and names.parse_stem(parts[1]):
                    found[parts[1]] = parts[2]
        for stem, digest in found.items():
            yield group, stem, digest
