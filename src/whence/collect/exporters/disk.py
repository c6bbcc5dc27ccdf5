"""The sending queue on disk: requests in segment files, and beside them what of it is delivered.

The law: a request is on the device before `append` returns, and its bytes stay until it is delivered or given up. A torn end is
cut, damage is set aside, and both are said in the log: neither stops a start.

Those who append at the same time share one write and one sync: the first takes all that wait along with its own.
"""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from whence.archive.folder import make_folders, sync_file, sync_folder_at, write_all
from whence.collect.exporters.disk_records import Gap, Record, packed, packed_numbers, unpacked, unpacked_numbers
from whence.collect.exporters.queue import Entry, Request
from whence.collect.outcome import Refused
from whence.collect.seldom import Seldom
from whence.errors import StorageError

_SEGMENT: Final = 16 << 20
"""Bytes after which the next file is begun."""
_GROUP: Final = 8 << 20
"""Bytes that are written and synced together at most, unless one request is more."""
_SUFFIX: Final = ".queue"
_POSITION: Final = "position"
_DELIVERED: Final = "delivered"
_COMPACT: Final = 64 << 10
"""Bytes of numbers after which they become one position."""
_RETRY: Final = 5.0


class _Place(NamedTuple):
    segment: int
    offset: int
    length: int


class _Offer:
    """A request that somebody waits with until it is on the device."""

    __slots__ = ("entry", "is_over", "request", "time", "trouble")

    def __init__(self, request: Request, time: int) -> None:
        self.request = request
        self.time = time
        self.is_over = False
        self.entry: Entry | None = None
        self.trouble: BaseException | None = None


class DiskStore:
    """One folder, used by one process. Thread-safe."""

    def __init__(self, folder: Path, log: logging.Logger, now: Callable[[], int] = time.time_ns) -> None:
        self._folder = folder
        self._log = log
        self._now = now
        self._turn = threading.Condition()
        """Holds all that is below; waited on by those whose request another one writes."""
        self._claim: int | None = None
        self._places: dict[int, _Place] = {}
        """What is not delivered, by number."""
        self._segments: dict[int, int] = {}
        """Requests not delivered, by the number that a file is named after."""
        self._first = 0
        """No number before it is undelivered."""
        self._next = 0
        self._offers: list[_Offer] = []
        self._is_writing = False
        self._current: tuple[int, int, int] | None = None
        """The file that is written: its number, descriptor and length. Only who writes changes it."""
        self._numbers: int | None = None
        """The file of delivered numbers, and its length."""
        self._numbers_length = 0
        self._is_to_be_said = Seldom()

    def open(self) -> list[Entry]:
        """Claim the folder, mend what is torn, and give what is not delivered. Raises StorageError."""
        try:
            make_folders(self._folder)
            self._claim = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._recover()
        except BlockingIOError:
            self._unclaim()
            raise StorageError(
                f"cannot use the queue in {self._folder}: another process uses it; stop that one"
            ) from None
        except OSError as cause:
            self._unclaim()
            raise StorageError(f"cannot use the queue in {self._folder}: {cause.strerror or cause}") from cause

    def append(self, request: Request, queued_at: int | None = None) -> Entry:
        """On the device when it returns. Raises Refused, and then it is not there. `queued_at`: now, or when it first was."""
        mine = _Offer(request, self._now() if queued_at is None else queued_at)
        with self._turn:
            if self._claim is None:
                raise Refused("cannot queue the batch: the exporter is stopping; send it again", _RETRY)
            self._offers.append(mine)
            while self._is_writing and not mine.is_over:
                self._turn.wait()
            if not mine.is_over:
                if self._claim is None:
                    self._offers.remove(mine)
                    raise Refused("cannot queue the batch: the exporter is stopping; send it again", _RETRY)
                self._is_writing = True
                group = self._group(mine)
        if not mine.is_over:
            self._write(group)
        if mine.entry is None:
            said = getattr(mine.trouble, "strerror", None) or mine.trouble
            raise Refused(f"cannot queue the batch in {self._folder}: {said}; send it again", _RETRY) from mine.trouble
        return mine.entry

    def read(self, entry: Entry) -> bytes:
        """The request's bytes. Raises StorageError where they are not what was written."""
        with self._turn:
            place = self._places[entry.number]
        path = self._path(place.segment)
        try:
            with path.open("rb") as file:
                file.seek(place.offset)
                found = next(unpacked(file.read(place.length)), None)
        except OSError as cause:
            raise StorageError(f"cannot read {path}: {cause.strerror or cause}") from cause
        if not isinstance(found, Record) or found.number != entry.number:
            raise StorageError(f"cannot read a request in {path}: its checksum is wrong")
        return found.request.data

    def done(self, entries: Sequence[Entry]) -> None:
        """Note what is delivered. Where it cannot be written, they are sent again after a restart."""
        with self._turn:
            if self._claim is None:
                return
            for entry in entries:
                self._segments[self._places.pop(entry.number).segment] -= 1
            while self._first < self._next and self._first not in self._places:
                self._first += 1
            try:
                self._note([entry.number for entry in entries])
                self._remove_delivered()
            except OSError as trouble:
                self._tell("cannot note in %s what is delivered: %s", trouble)

    def close(self) -> None:
        """What is not delivered stays for the next start."""
        with self._turn:
            while self._is_writing:
                self._turn.wait()
            if self._claim is None:
                return
            with suppress(OSError):
                self._compact()
            for fd in (self._current and self._current[1], self._numbers):
                if fd is not None:
                    os.close(fd)
            self._current = self._numbers = None
            self._unclaim()

    # --- writing ---------------------------------------------------------------------------------------------------------

    def _group(self, mine: _Offer) -> list[_Offer]:
        """Who is written together, `mine` among them; the others are for the next to write."""
        self._offers.remove(mine)
        group, size = [mine], len(mine.request.data)
        for offer in self._offers:
            size += len(offer.request.data)
            if size > _GROUP:
                break
            group.append(offer)
        del self._offers[: len(group) - 1]
        return group

    def _write(self, group: list[_Offer]) -> None:
        """Put them on the device, all or none, and tell those who wait."""
        places: list[_Place] = []
        trouble: BaseException | None = None
        skipped = 0
        try:
            places = self._put([packed(self._next + n, one.time, one.request) for n, one in enumerate(group)])
        except BaseException as failure:
            trouble = failure
            skipped = self._leave_segment(len(group))
            if not isinstance(failure, OSError):
                raise
        finally:
            with self._turn:
                for offer, place in zip(group, places, strict=False):
                    request = offer.request
                    self._places[self._next] = place
                    self._segments[place.segment] = self._segments.get(place.segment, 0) + 1
                    length = len(request.data)
                    offer.entry = Entry(request.signal, request.items, length, number=self._next, queued_at=offer.time)
                    self._next += 1
                self._next += skipped
                for offer in group:
                    offer.is_over, offer.trouble = True, trouble
                self._is_writing = False
                self._turn.notify_all()
                if isinstance(trouble, OSError):
                    self._tell("cannot write the queue in %s: %s", trouble)
                    with suppress(OSError):
                        self._remove_delivered()

    def _put(self, records: list[bytes]) -> list[_Place]:
        if self._current is not None and self._current[2] >= _SEGMENT:
            os.close(self._current[1])
            self._current = None
        if self._current is None:
            path = self._path(self._next)
            path.unlink(missing_ok=True)  # of a write that failed: nothing with this number was acknowledged
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._current = self._next, fd, 0
            sync_folder_at(self._folder)
        segment, fd, length = self._current
        _, trouble = write_all(fd, records[0] if len(records) == 1 else b"".join(records))
        if trouble is not None:
            raise trouble
        sync_file(fd)
        places = []
        for record in records:
            places.append(_Place(segment, length, len(record)))
            length += len(record)
        self._current = segment, fd, length
        return places

    def _leave_segment(self, count: int) -> int:
        """After trouble: cut what was refused, and never write or sync that file again. The numbers that are not used again."""
        if self._current is None:
            return 0
        _, fd, length = self._current
        self._current = None
        skipped = 0
        try:
            os.ftruncate(fd, length)
        except OSError:
            skipped = count  # whole requests with these numbers may stand there
        with suppress(OSError):
            os.close(fd)
        return skipped

    # --- what is delivered -----------------------------------------------------------------------------------------------

    def _note(self, numbers: Sequence[int]) -> None:
        # Without a sync: a power cut that takes these back means sending again, never losing.
        if self._numbers is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._numbers = os.open(self._folder / _DELIVERED, flags, 0o600)
        data = packed_numbers(numbers)
        self._numbers_length += len(data)
        trouble = write_all(self._numbers, data)[1]
        if trouble is not None or self._numbers_length > _COMPACT:
            self._compact()

    def _compact(self) -> None:
        """One position of all the numbers. Cut off anywhere, it says the same or less."""
        done = [number for number in range(self._first, self._next) if number not in self._places]
        temporary = self._folder / f"{_POSITION}.new"
        temporary.write_bytes(orjson.dumps({"next": self._first, "done": done}))
        temporary.replace(self._folder / _POSITION)
        if self._numbers is not None:
            os.ftruncate(self._numbers, 0)
        self._numbers_length = 0

    def _remove_delivered(self) -> None:
        """Files of which everything is delivered, but for the one that is written."""
        writing = self._current[0] if self._current else None
        for segment in [one for one, left in self._segments.items() if not left and one != writing]:
            self._path(segment).unlink(missing_ok=True)
            del self._segments[segment]

    # --- the start -------------------------------------------------------------------------------------------------------

    def _recover(self) -> list[Entry]:
        first, done = self._delivered()
        self._next = first
        found: list[Entry] = []
        paths = sorted(path for path in self._folder.glob(f"*{_SUFFIX}") if path.stem.isdigit())
        for path in paths:
            segment, data = int(path.stem), path.read_bytes()
            self._segments[segment] = 0
            for one in unpacked(data):
                if isinstance(one, Gap):
                    self._mend(path, data, one, is_last=path == paths[-1])
                    continue
                self._next = max(self._next, one.number + 1)
                if one.number >= first and one.number not in done and one.number not in self._places:
                    self._places[one.number] = _Place(segment, one.offset, one.length)
                    self._segments[segment] += 1
                    of = one.request
                    entry = Entry(of.signal, of.items, len(of.data), number=one.number, queued_at=one.time)
                    found.append(entry)
        # No number that is said to be delivered, and no name of a file that is there, is given again.
        self._next = max([self._next, *(number + 1 for number in done), *(int(path.stem) + 1 for path in paths)])
        self._first = min(self._places, default=self._next)
        self._remove_delivered()
        with suppress(OSError):  # a torn number at the end would make those behind it unreadable
            self._compact()
            (self._folder / _DELIVERED).unlink(missing_ok=True)
        return found

    def _mend(self, path: Path, data: bytes, gap: Gap, *, is_last: bool) -> None:
        """Cut a request that was never acknowledged; keep beside what may have been. What follows damage stays where it is."""
        rest = data[gap.offset : gap.offset + gap.length]
        if is_last and gap.is_torn:
            self._log.warning("cut a torn end of %d bytes from the queue %s: it was not acknowledged", len(rest), path)
        else:
            aside = path.with_suffix(f".{gap.offset}.damaged")
            if not aside.exists():
                aside.write_bytes(rest)
            said = "set %d damaged bytes of the queue %s aside as %s"
            self._log.error(said, len(rest), path, aside.name)
        if gap.offset + gap.length == len(data):
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.ftruncate(fd, gap.offset)
                os.fsync(fd)
            finally:
                os.close(fd)

    def _delivered(self) -> tuple[int, set[int]]:
        """The first number that may not be delivered, and what is delivered from it on. Unreadable: all is sent again."""
        first, done = 0, set[int]()
        path = self._folder / _POSITION
        try:
            found = orjson.loads(path.read_bytes())
            first, done = int(found["next"]), set(map(int, found["done"]))
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError):
            self._log.error("cannot read the position %s: everything that is still in the queue is sent again", path)
        with suppress(FileNotFoundError):
            done.update(unpacked_numbers((self._folder / _DELIVERED).read_bytes()))
        return first, done

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:020d}{_SUFFIX}"

    def _tell(self, said: str, trouble: OSError) -> None:
        """Now and then: every request meets the same trouble."""
        if self._is_to_be_said():
            self._log.error(said, self._folder, trouble.strerror or trouble)

    def _unclaim(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None
