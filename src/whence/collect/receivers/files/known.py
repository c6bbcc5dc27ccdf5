"""The files that are followed: which they are, how far each was read, and which of them is which after a rotation.

The law: positions change in memory only when the store has them, or has said that it cannot.
"""

import os
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from whence.archive.source import line_start
from whence.collect.receivers.files.lines import DAMAGE, is_packed, unpacked
from whence.collect.receivers.files.look import Seen, seen_of
from whence.collect.receivers.files.marks import Position, Raw, is_of, known_again, mark_of, unpacked_before
from whence.collect.receivers.files.store import MOST, Store
from whence.errors import StorageError

_OPEN: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(slots=True)
class Followed:
    """One file."""

    seen: Seen
    position: Position
    fd: int = -1
    still_since: float = 0.0
    """On the monotonic clock: when it was found changed last."""
    done: tuple[int, int] | None = None
    """Its size and time when there was nothing more to take from it."""
    rest: bool = False
    """Whether a line without an end stood there then."""
    rest_asked: bool = False
    """Whether that was looked at after a while, and left."""
    gone: bool = False
    """Its name is gone, or matches no more; it is read on as long as it is open."""
    unsaved: bool = False

    @property
    def state(self) -> tuple[int, int]:
        return self.seen.size, self.seen.changed

    @property
    def unread(self) -> int:
        """Bytes on disk that may hold something new."""
        if self.position.packed:
            return 0 if self.position.over else self.seen.size
        return max(0, self.seen.size - self.position.offset)


class Files:
    """Used by one thread, but for `followed`, which others may copy."""

    def __init__(self, store: Store, width: int, most_open: int, unit: int) -> None:
        """`width`: of marks; `unit`: bytes of which every character is a multiple."""
        self._store = store
        self._unit = unit
        self._width = width
        self._most_open = most_open
        self._known: dict[int, Position] = {}
        """All that the store holds, by id."""
        self._ids: dict[tuple[int, int], int] = {}
        self.followed: dict[tuple[int, int], Followed] = {}
        self._open: OrderedDict[tuple[int, int], Followed] = OrderedDict()

    def load(self) -> None:
        """Open the store. Raises StorageError."""
        for one in self._store.open():
            self._known[one.id] = one
            self._ids[one.key] = one.id

    def note(self, one: Followed, now: float) -> None:
        """See whether a file that is followed has changed, by its descriptor where that is open. Raises OSError."""
        before = one.state
        if one.fd >= 0:
            one.seen = seen_of(one.seen.path, os.fstat(one.fd))
        if one.state != before:
            one.still_since, one.rest_asked = now, False

    # --- beginning --------------------------------------------------------------------------------------------------------

    def begin(self, seen: Seen, at_end: bool, now: float) -> Followed | None:
        """Follow a file. None where that is too early: it changed, or it is a copy of one that is not read through yet.

        Raises OSError, StorageError.
        """
        fd = os.open(seen.path, _OPEN)
        try:
            seen = seen_of(seen.path, os.fstat(fd))
            position = self._position(seen, fd, at_end)
        except BaseException:
            os.close(fd)
            raise
        if position is None:
            os.close(fd)
            return None
        one = self.followed[seen.key] = Followed(seen, position, still_since=now)
        if position.packed:
            os.close(fd)
        else:
            self._hold(one, fd)
        return one

    def _position(self, seen: Seen, fd: int, at_end: bool) -> Position | None:
        def raw(count: int, at: int) -> bytes:
            return os.pread(fd, count, at)

        packed = is_packed(raw(4, 0))
        known = self._known.get(self._ids.get(seen.key, 0))
        if known is not None:
            if known.packed == packed and is_of(known.mark, raw, seen.size):
                return self._same(replace(known, path=seen.path), raw, seen)
            self.detach(known)
            at_end = False
        candidates = (one for one in self._known.values() if one.packed == packed)
        twin = known_again(candidates, seen.path, seen.inode, raw, seen.size)
        if twin is None and packed:
            twin = self._unpacked(seen)
        if twin is not None:
            of = self.followed.get(twin.key)
            if of is not None and of.unread and of.position.packed == twin.packed and not of.rest:
                return None
            return self._copy(twin, seen, raw, packed)
        if at_end:
            return self.save(self._at_end(seen, fd, raw, packed))
        return self._fresh(seen, raw, packed)

    def _unpacked(self, seen: Seen) -> Position | None:
        try:
            with open(seen.path, "rb") as file, unpacked(file) as plain:  # noqa: PTH123
                return unpacked_before(self._known.values(), plain.read)
        except DAMAGE:
            return None

    def _same(self, known: Position, raw: Raw, seen: Seen) -> Position:
        """Of a compressed file that has grown, the mark is of all of it again."""
        if not known.packed or known.mark.length == seen.size:
            return known
        return replace(known, mark=mark_of(raw, seen.size, self._width), over=False)

    def _copy(self, twin: Position, seen: Seen, raw: Raw, packed: bool) -> Position:
        found = replace(twin, device=seen.device, inode=seen.inode, path=seen.path, packed=packed, id=0)
        if packed and not twin.packed:
            found = replace(found, mark=mark_of(raw, seen.size, self._width), over=False)
        return self.save(self._same(found, raw, seen))

    def _fresh(self, seen: Seen, raw: Raw, packed: bool) -> Position:
        mark = mark_of(raw, seen.size if packed else 0, self._width)
        return Position(seen.device, seen.inode, seen.path, 0, 0, mark, packed)

    def _at_end(self, seen: Seen, fd: int, raw: Raw, packed: bool) -> Position:
        offset = 0 if packed else line_start(fd, seen.size)
        offset = min(offset + offset % self._unit, seen.size - seen.size % self._unit)
        mark = mark_of(raw, seen.size if packed else offset, self._width)
        return Position(seen.device, seen.inode, seen.path, offset, None, mark, packed, over=packed)

    # --- going on ---------------------------------------------------------------------------------------------------------

    def descriptor(self, one: Followed) -> int:
        """An open descriptor of a plain file. Raises OSError; FileNotFoundError where its name stands for another file now."""
        if one.fd < 0:
            fd = os.open(one.seen.path, _OPEN)
            info = os.fstat(fd)
            if (info.st_dev, info.st_ino) != one.seen.key:
                os.close(fd)
                raise FileNotFoundError(2, "another file has its name", one.seen.path)
            self._hold(one, fd)
        self._open.move_to_end(one.seen.key)
        return one.fd

    def _hold(self, one: Followed, fd: int) -> None:
        """Keep it open, instead of the one unused longest where there are too many."""
        one.fd = fd
        self._open[one.seen.key] = one
        if len(self._open) > self._most_open:
            self.shut(next(iter(self._open.values())))

    def restart(self, one: Followed) -> None:
        """Its bytes are not those that were read: it was cut, or is another file with the same inode. It is begun anew."""
        self.detach(one.position)
        self.leave(one)

    def move(self, one: Followed, position: Position) -> str | None:
        """Everything before this was handed on. What was wrong with writing it down; it is then tried again."""
        one.position = position
        try:
            one.position = self.save(position)
        except StorageError as trouble:
            one.unsaved = True
            return str(trouble)
        one.unsaved = False
        return None

    def save(self, position: Position) -> Position:
        """In the store, and known. Raises StorageError."""
        (saved,) = self._store.put([position])
        self._known[saved.id] = saved
        if saved.inode:
            self._ids[saved.key] = saved.id
        if len(self._known) > MOST + len(self.followed):
            self._drop_oldest()
        return saved

    def _drop_oldest(self) -> None:
        used = {one.position.id for one in self.followed.values()}
        old = [id_ for id_ in self._known if id_ not in used][: MOST // 10]
        self._store.forget([self._known[id_] for id_ in old])
        for id_ in old:
            one = self._known.pop(id_)
            if self._ids.get(one.key) == id_:
                del self._ids[one.key]

    def detach(self, position: Position) -> None:
        """What was read there is kept, for a copy of it may turn up; it is not this file's any more. Raises StorageError."""
        if not position.id:
            return
        self._ids.pop(position.key, None)
        self.save(replace(position, device=0, inode=0))

    # --- leaving ----------------------------------------------------------------------------------------------------------

    def shut(self, one: Followed) -> None:
        """Close its descriptor."""
        fd, one.fd = one.fd, -1
        if fd >= 0:
            del self._open[one.seen.key]
            os.close(fd)

    def leave(self, one: Followed, *, forget: bool = False) -> None:
        """Follow it no more; `forget`: it is read to its end and removed."""
        self.shut(one)
        self.followed.pop(one.seen.key, None)
        if forget and one.position.id:
            self._store.forget([one.position])
            self._known.pop(one.position.id, None)
            self._ids.pop(one.position.key, None)

    def leave_all(self) -> None:
        """Close everything."""
        for one in list(self.followed.values()):
            self.leave(one)

    def forget_all(self) -> None:
        """As if nothing had ever been read."""
        self.leave_all()
        self._store.forget(self._known.values())
        self._known.clear()
        self._ids.clear()
