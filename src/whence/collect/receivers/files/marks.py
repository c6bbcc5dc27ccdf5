"""How a file is known again: by its inode and what was read of it, and when it has another one, by what was read alone.

The law: pure. A file of which less than the width was read is never taken for another: rather twice than not at all.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

_DIGEST: Final = 16

Raw = Callable[[int, int], bytes]
"""The bytes of a file as they stand on disk: (how many, from where)."""


class Mark(NamedTuple):
    """The beginning of a file up to `length`, told by digests of its first bytes and of those before `length`."""

    length: int
    width: int
    head: bytes
    tail: bytes

    @property
    def telling(self) -> bool:
        """Whether it is long enough to know a file by it alone."""
        return self.length >= self.width


@dataclass(frozen=True, slots=True)
class Position:
    """How far one file was read."""

    device: int
    inode: int
    path: str
    """Where it was last."""
    offset: int
    """Plain bytes that were handed on, whether it is compressed or not."""
    lines: int | None
    """How many lines that is; None where reading began at the end."""
    mark: Mark
    """Of the bytes on disk: those read, or the whole of a compressed file."""
    packed: bool = False
    over: bool = False
    """A compressed file that was read to its end."""
    id: int = 0
    """In the store; 0 while it is not there."""

    @property
    def key(self) -> tuple[int, int]:
        return self.device, self.inode


def mark_of(raw: Raw, length: int, width: int) -> Mark:
    """The mark of a file's first `length` bytes."""
    some = min(width, length)
    return Mark(length, width, _digest(raw(some, 0)), _digest(raw(some, length - some)))


def is_of(mark: Mark, raw: Raw, size: int) -> bool:
    """Whether a file of this size begins with what the mark is of."""
    return size >= mark.length and mark_of(raw, mark.length, mark.width) == mark


def known_again(positions: Iterable[Position], path: str, inode: int, raw: Raw, size: int) -> Position | None:
    """Of a file whose inode is new: the position of what it is a copy of, the furthest one. None where it is new."""
    heads: dict[int, bytes] = {}
    best: Position | None = None
    for one in positions:
        mark = one.mark
        same = one.inode == inode and one.path == path  # the same disk under another number, after a restart
        same = same or (one.packed and size == mark.length)  # the whole file, its checksum included
        if size < mark.length or not (same or mark.telling) or (best and best.mark.length >= mark.length):
            continue
        some = min(mark.width, mark.length)
        if some not in heads:
            heads[some] = _digest(raw(some, 0))
        if heads[some] == mark.head and is_of(mark, raw, size):
            best = one
    return best


def unpacked_before(positions: Iterable[Position], plain: Callable[[int], bytes]) -> Position | None:
    """Of a compressed file that is new: the position of the plain file that it was made of, the furthest one.

    `plain` gives the next so many bytes of what it holds, fewer at its end.
    """
    wanted = sorted((one for one in positions if not one.packed and one.mark.telling), key=lambda one: one.mark.length)
    if not wanted:
        return None
    width = max(one.mark.width for one in wanted)
    head = plain(width)
    digests = {one.mark.width: _digest(head[: one.mark.width]) for one in wanted}
    best: Position | None = None
    at, end = len(head), head
    for one in wanted:
        if digests[one.mark.width] != one.mark.head:
            continue
        while at < one.mark.length:
            more = plain(min(one.mark.length - at, 1 << 20))
            if not more:
                return best
            at, end = at + len(more), (end + more)[-max(width, len(more)) :]
        if at == one.mark.length and _digest(end[-one.mark.width :]) == one.mark.tail:
            best = one
    return best


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()
