"""A place in an archive as short text: how far each segment was read, so that reading goes on there and nowhere else.

The law: pure. A cursor says everything itself, so it outlives the server; it names the segments that are partly read, and by
a moment and a digest those before it that were read to their end. What cannot be resumed exactly is said, never skipped.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Final, NamedTuple

from whence.archive.follow import Key, Position
from whence.archive.names import Stem, parse_stem
from whence.archive.tombstone import Tombstone
from whence.errors import DataError
from whence.event.flat import format_time
from whence.serve.live.messages import Notice, missed

_SPAN: Final = 1 << 48
_OVER: Final = "z"
_FEW: Final = 8
"""Segments named in a cursor, up to which it is not worth while to look for a better moment."""
_FORM: Final = re.compile(
    r"(?P<form>[12])\.(?P<until>[0-9a-f]{1,16})\.(?P<digest>[\w-]{8})"
    r"(?P<named>(?:\.[\w-]{8}(?:z|[0-9a-f]{1,16}))*)(?:~(?P<within>[0-9a-f]{1,8}))?",
    re.ASCII,
)
LONGEST: Final = 60_000
"""Characters of a cursor that is read: about 5,000 segments that are partly read."""


class Known(NamedTuple):
    """A segment as cursors know it."""

    mark: str
    """Eight characters: a hash of its name, or of what tells it from others where it is of another writer."""
    begun: int | None
    """Microseconds since the epoch, from its name; None of files by other writers."""


class Until(NamedTuple):
    """How far a segment was read, or is to be read."""

    offset: int
    over: bool
    """To its end, and nothing more will come."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far an archive was read."""

    until: int = 0
    """Microseconds: of the segments begun up to then, those not named were read to their end; later ones not at all."""
    digest: int = 0
    """Over the names of the former."""
    named: Mapping[str, int | None] = field(default_factory=dict)
    """By mark: the plain offset that was reached, None at the end of a finished one."""
    within: tuple[str, int] | None = None
    """A mark, and how many events of the line that begins at its offset were given."""
    whole: bool = False
    """Whether compressed files of other writers that are not named are still to be read."""


def parse_cursor(text: str) -> Cursor:
    """The cursor that `Track.text` wrote. Raises DataError."""
    found = _FORM.fullmatch(text) if len(text) <= LONGEST else None
    if not found:
        raise DataError(
            f"cannot go on at {text[:40]!r}: it is no cursor; give the id of a message as it came, or none to begin now"
        )
    parts = found["named"].split(".")[1:]
    named = {part[:8]: None if part[8:] == _OVER else int(part[8:], 16) for part in parts}
    within = (parts[-1][:8], int(found["within"], 16)) if found["within"] and parts else None
    return Cursor(int(found["until"], 16), _number(found["digest"]), named, within, found["form"] == "2")


def mark_of(name: str) -> str:
    """The eight characters by which a segment of this name is known."""
    return urlsafe_b64encode(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6).digest()).decode()


def known(name: Stem) -> Known:
    """One of our segments."""
    begun = int(datetime.strptime(name.time, "%Y%m%dT%H%M%S.%f%z").timestamp() * 1_000_000)
    return Known(mark_of(name.text), begun)


def _number(mark: str) -> int:
    return int.from_bytes(urlsafe_b64decode(mark))


# --- on the way -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Reached:
    known: Known
    offset: int
    over: bool


class Track:
    """How far each segment was read at this moment, and that as the text of a cursor, made from parts that seldom change."""

    def __init__(self, *, whole: bool = False) -> None:
        self._segments: dict[Key, _Reached] = {}
        self._form = "2" if whole else "1"
        self._until = 0
        self._head = ""
        self._named: dict[Key, str] = {}
        self._settled = 0
        self._current: Key | None = None
        self._others = ""
        self._write_head(0)

    def learn(self, key: Key, known: Known, offset: int = 0, *, over: bool = False) -> None:
        """A segment that is there, and how far it was read before."""
        self._segments[key] = _Reached(known, offset, over)
        if offset or over or (known.begun is not None and known.begun <= self._until):
            self._name(key)

    def __contains__(self, key: Key) -> bool:
        return key in self._segments

    def move(self, key: Key, offset: int) -> None:
        """The segment was read up to this offset."""
        self._segments[key].offset = offset
        self._name(key)

    def finish(self, key: Key) -> None:
        """The segment was read to its end, and nothing more will come of it."""
        self._segments[key].over = True
        self._name(key)

    def text(self, key: Key | None = None, start: int = 0, given: int = 0) -> str:
        """The place where everything so far was read; with `given`, so many events of the line of `key` at `start`, too."""
        if key is None or not given:
            return self._head + "".join(self._named.values())
        if key != self._current:
            self._others = self._head + "".join(text for other, text in self._named.items() if other != key)
            self._current = key
        return f"{self._others}.{self._segments[key].known.mark}{start:x}~{given:x}"

    def reached(self) -> dict[Key, Until]:
        """How far each segment was read."""
        return {key: Until(one.offset, one.over) for key, one in self._segments.items()}

    def settle(self, latest: int, *, now: bool = False) -> None:
        """Look for the moment that leaves the fewest segments to be named, not after `latest` (microseconds).

        Segments begun up to then must all be known. `now`: although there may be few.
        """
        if not now and len(self._named) <= max(_FEW, 2 * self._settled):
            return
        ours = sorted(
            ((one.known.begun, one) for one in self._segments.values() if one.known.begun is not None),
            key=lambda pair: pair[0],
        )
        cost = sum(one.over or one.offset > 0 for _, one in ours)
        best, until = cost, 0
        for n, (begun, one) in enumerate(ours):
            if begun > latest:
                break
            cost += -1 if one.over else 0 if one.offset else 1
            if cost <= best and (n + 1 == len(ours) or ours[n + 1][0] != begun):
                best, until = cost, begun
        self._until = until
        self._named = {}
        for key, one in self._segments.items():
            before = one.known.begun is not None and one.known.begun <= until
            if not one.over if before else one.over or one.offset > 0:
                self._name(key)
        digest = sum(_number(one.known.mark) for begun, one in ours if begun <= until and one.over)
        self._settled = len(self._named)
        self._write_head(digest)

    def _name(self, key: Key) -> None:
        one = self._segments[key]
        if key != self._current:
            self._current = None
        self._named[key] = f".{one.known.mark}{_OVER if one.over else format(one.offset, 'x')}"

    def _write_head(self, digest: int) -> None:
        text = urlsafe_b64encode((digest % _SPAN).to_bytes(6)).decode()
        self._head, self._current = f"{self._form}.{self._until:x}.{text}", None


# --- going on ---------------------------------------------------------------------------------------------------------


class Present(NamedTuple):
    """A segment that is there when reading goes on."""

    key: Key
    known: Known
    packed: bool
    """Compressed."""


class Resumed(NamedTuple):
    """Where reading goes on, and what cannot be had any more."""

    positions: dict[Key, Position]
    notices: list[Notice]


def resume(
    cursor: Cursor,
    present: Iterable[Present],
    removed: Iterable[str],
    tombstone_of: Callable[[str], Tombstone | None],
) -> Resumed:
    """The place a cursor means in the archive as it is now. `removed`: the stems of which retention left tombstones."""
    positions: dict[Key, Position] = {}
    notices: list[Notice] = []
    left, digest = dict(cursor.named), 0
    for key, seen, packed in present:
        if seen.mark in left:
            offset = left.pop(seen.mark)
            positions[key] = Position(over=True) if offset is None else Position(offset)
        elif seen.begun is None:
            positions[key] = Position(over=packed and not cursor.whole)
        else:
            before = seen.begun <= cursor.until
            positions[key] = Position(over=before)
            digest += _number(seen.mark) if before else 0
    for stem in removed:
        name = parse_stem(stem)
        seen = known(name) if name else Known("", None)
        if seen.mark in left:
            offset = left.pop(seen.mark)
            if offset is not None:
                notices += _removed(stem, tombstone_of(stem), offset)
        elif seen.begun is not None and seen.begun <= cursor.until:
            digest += _number(seen.mark)
        else:
            notices += _removed(stem, tombstone_of(stem), 0)
    if any(offset is not None for offset in left.values()):
        notices.append(missed("gone", "files that were read in part are gone; what stood in the rest of them is lost"))
    if digest % _SPAN != cursor.digest:
        when = format_time(cursor.until * 1000)
        words = (
            f"files begun before {when} have come or gone since this place was noted; what came late is not given here"
        )
        notices.append(missed("changed", words))
    return Resumed(positions, notices)


def _removed(stem: str, stone: Tombstone | None, offset: int) -> list[Notice]:
    words = f"retention removed {stem} before it was read"
    if stone is None:
        return [missed("removed", words)]
    if stone.bytes <= offset or not stone.records:
        return []
    words += " to its end: the count is of all of it" if offset else ""
    return [missed("removed", words, count=stone.records, first=stone.first_time, last=stone.last_time)]
