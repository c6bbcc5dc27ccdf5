"""Following an archive while it is written: every complete line once, across processes, rotation, sealing and compression.

The law: reading only. A place in a segment is a plain offset, which stays the same whatever form the file takes.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from whence.archive.reader import Segment, StoredLine, list_segments
from whence.archive.scan import Problem
from whence.archive.source import line_start
from whence.errors import DataError

_HEAD: Final = 512
"""How many first bytes tell a file by another writer from one that took its inode number."""

Key = str | tuple[int, int]


@dataclass(slots=True)
class Position:
    """How far a segment was read."""

    offset: int = 0
    size: int = -1
    """The file's size when it was last looked at: nothing is read again while it stays."""
    head: bytes = b""
    over: bool = False
    """Nothing more will come: it is sealed and was read to its end."""


def follow(
    directory: Path, *, from_start: bool = False, stop: threading.Event, poll_seconds: float = 0.1
) -> Iterator[StoredLine]:
    """Every line as it becomes complete, of every process and group, until `stop` is set; `from_start`: the old ones first.

    Lines of one writer, group and signal come in their order. What was there when `stop` was set is still given. A
    directory that does not exist yet is waited for. A line is given twice only where a failed sync made its writer
    write it anew; its events then have the same ids.
    """
    root = Path(directory).expanduser()
    positions: dict[Key, Position] = {}
    if not from_start:
        for segment in list_segments(root):
            _skip(segment, positions)
    while True:
        last = stop.is_set()
        for segment in list_segments(root):
            yield from _advance(segment, positions, from_start)
        if last:
            return
        stop.wait(poll_seconds)


def _skip(segment: Segment, positions: dict[Key, Position]) -> None:
    """Begin behind the last whole line that is there now."""
    with suppress(OSError):
        fd, form = segment.open()
        try:
            info = os.fstat(fd)
            position = Position(over=bool(form))
            if not form:
                position.offset = line_start(fd, info.st_size)
                position.head = os.pread(fd, _HEAD, 0)
            positions[_key(segment, info)] = position
        finally:
            os.close(fd)


def _key(segment: Segment, info: os.stat_result) -> Key:
    """Our segments are known by their unique names; other files by their inode, because other writers rename on rotation."""
    return segment.stem if segment.name else (info.st_dev, info.st_ino)


def _advance(segment: Segment, positions: dict[Key, Position], from_start: bool) -> Iterator[StoredLine]:
    if segment.name and (known := positions.get(segment.stem)) and known.over:
        return
    try:
        seal = segment.read_seal()
    except (DataError, OSError):
        seal = None
    try:
        fd, form = segment.open()
    except OSError:
        return  # gone with its directory, or not ours to read
    try:
        info = os.fstat(fd)
        head = b"" if segment.name or form else os.pread(fd, _HEAD, 0)
    finally:
        os.close(fd)
    fresh = Position(over=bool(form) and segment.name is None and not from_start)
    position = positions.setdefault(_key(segment, info), fresh)
    if segment.name is None and not form:
        if info.st_size < position.offset or not head.startswith(position.head):
            position.offset = 0  # cut and begun again, or another file with this inode number
        position.head = head
    if position.over or (info.st_size == position.size and not seal and not form):
        return
    problems: list[Problem] = []
    for line in segment.lines(problems, start=position.offset):
        if segment.name is None and not _ends_line(segment, line):
            break  # the last line of another writer's file, perhaps still being written
        position.offset = line.place.offset + len(line.data) + 1
        yield line
    for problem in problems:
        if problem.kind == "bad line":
            position.offset = max(position.offset, problem.offset + problem.length + 1)
    position.size = info.st_size
    position.over = seal is not None or bool(form)


def _ends_line(segment: Segment, line: StoredLine) -> bool:
    with suppress(OSError):
        fd, form = segment.open()
        try:
            return bool(form) or os.pread(fd, 1, line.place.offset + len(line.data)) == b"\n"
        finally:
            os.close(fd)
    return True
