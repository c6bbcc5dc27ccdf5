"""The sending queue on disk: requests in segment files, and the position of what is delivered.

The law: a request is on the device before `append` returns, and its bytes stay until it is delivered or given up. A torn end is
cut, damage is set aside, and both are said in the log: neither stops a start.
"""

import fcntl
import logging
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from whence.archive.folder import make_folders, sync_file, sync_folder_at, write_all
from whence.collect.exporters.queue import Entry, Request
from whence.collect.outcome import Refused
from whence.errors import StorageError
from whence.otlp.wire import Signal

_HEAD: Final = struct.Struct("<IIBI")
"""Bytes of the request, CRC-32 of all that follows it, signal, items."""
_UNSUMMED: Final = 8
_SIGNALS: Final[tuple[Signal, ...]] = ("logs", "traces", "metrics")
_SEGMENT: Final = 16 << 20
"""Bytes after which the next file is begun."""
_SUFFIX: Final = ".queue"
_POSITION: Final = "position"
_RETRY: Final = 5.0


class _Place(NamedTuple):
    segment: int
    offset: int
    length: int


class DiskStore:
    """One folder, used by one process. Thread-safe."""

    def __init__(self, folder: Path, log: logging.Logger) -> None:
        self._folder = folder
        self._log = log
        self._lock = threading.Lock()
        self._claim: int | None = None
        self._places: dict[int, _Place] = {}
        """What is not delivered, by number, in their order."""
        self._done: set[int] = set()
        """What is delivered although something before it is not."""
        self._segments: dict[int, int] = {}
        """Requests not delivered, by the number that a file begins with."""
        self._next = 0
        self._current: tuple[int, int, int] | None = None
        """The file that is written: its number, descriptor and length."""

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

    def append(self, request: Request) -> Entry:
        """On the device when it returns. Raises Refused, and then it is not there."""
        tail = (
            _HEAD.pack(len(request.data), 0, _SIGNALS.index(request.signal), request.items)[_UNSUMMED:] + request.data
        )
        head = _HEAD.pack(len(request.data), zlib.crc32(tail), 0, 0)[:_UNSUMMED]
        with self._lock:
            if self._claim is None:
                raise Refused("cannot queue the batch: the exporter is stopping; send it again", _RETRY)
            number, self._next = self._next, self._next + 1
            try:
                place = self._write(number, head + tail)
            except OSError as trouble:
                self._leave_segment(trouble)
                said = trouble.strerror or trouble
                raise Refused(f"cannot queue the batch in {self._folder}: {said}; send it again", _RETRY) from trouble
            self._places[number] = place
            self._segments[place.segment] += 1
        return Entry(request.signal, request.items, len(request.data), number=number)

    def read(self, entry: Entry) -> bytes:
        """The request's bytes. Raises StorageError where they are not what was written."""
        with self._lock:
            place = self._places[entry.number]
        path = self._path(place.segment)
        try:
            with path.open("rb") as file:
                file.seek(place.offset)
                found = next(_records(file.read(place.length)), None)
        except OSError as cause:
            raise StorageError(f"cannot read {path}: {cause.strerror or cause}") from cause
        if found is None:
            raise StorageError(f"cannot read a request in {path}: its checksum is wrong")
        return found.data

    def done(self, entries: Sequence[Entry]) -> None:
        """Move the position. Where it cannot be written, they are sent again after a restart."""
        with self._lock:
            if self._claim is None:
                return
            for entry in entries:
                place = self._places.pop(entry.number)
                self._done.add(entry.number)
                self._segments[place.segment] -= 1
            first = next(iter(self._places), self._next)
            self._done = {number for number in self._done if number > first}
            try:
                # Without a sync: an older position after a power cut means sending again, never losing.
                temporary = self._folder / f"{_POSITION}.new"
                temporary.write_bytes(orjson.dumps({"next": first, "done": sorted(self._done)}))
                temporary.replace(self._folder / _POSITION)
                self._remove_delivered()
            except OSError as trouble:
                self._log.error("cannot write the position of the queue in %s: %s", self._folder, trouble.strerror)

    def close(self) -> None:
        """What is not delivered stays for the next start."""
        with self._lock:
            if self._current is not None:
                os.close(self._current[1])
                self._current = None
            self._unclaim()

    # --- writing ---------------------------------------------------------------------------------------------------------

    def _write(self, number: int, record: bytes) -> _Place:
        if self._current is not None and self._current[2] >= _SEGMENT:
            os.close(self._current[1])
            self._current = None
        if self._current is None:
            fd = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._current = number, fd, 0
            self._segments[number] = 0
            sync_folder_at(self._folder)
        segment, fd, length = self._current
        _, trouble = write_all(fd, record)
        if trouble is not None:
            raise trouble
        sync_file(fd)
        self._current = segment, fd, length + len(record)
        return _Place(segment, length, len(record))

    def _leave_segment(self, trouble: OSError) -> None:
        """After trouble: cut what was refused, and never write or sync that file again."""
        self._log.error("cannot write the queue in %s: %s", self._folder, trouble.strerror or trouble)
        if self._current is None:
            return
        _, fd, length = self._current
        self._current = None
        with suppress(OSError):
            os.ftruncate(fd, length)
        with suppress(OSError):
            os.close(fd)
        with suppress(OSError):
            self._remove_delivered()

    def _remove_delivered(self) -> None:
        """Files of which everything is delivered, but for the one that is written."""
        writing = self._current[0] if self._current else None
        for segment in [one for one, left in self._segments.items() if not left and one != writing]:
            self._path(segment).unlink(missing_ok=True)
            del self._segments[segment]

    # --- the start -------------------------------------------------------------------------------------------------------

    def _recover(self) -> list[Entry]:
        first, done = self._position()
        self._next, self._done = first, done
        found: list[Entry] = []
        paths = sorted(path for path in self._folder.glob(f"*{_SUFFIX}") if path.stem.isdigit())
        for path in paths:
            segment = number = int(path.stem)
            data, offset = path.read_bytes(), 0
            self._segments[segment] = 0
            for record in _records(data):
                length = _HEAD.size + len(record.data)
                if number >= first and number not in done:
                    self._places[number] = _Place(segment, offset, length)
                    self._segments[segment] += 1
                    found.append(Entry(record.signal, record.items, len(record.data), number=number))
                offset, number = offset + length, number + 1
            if offset < len(data):
                self._mend(path, offset, data[offset:], last=path == paths[-1])
            self._next = max(self._next, number + 1)  # a number that was torn is not used again
        self._remove_delivered()
        return found

    def _mend(self, path: Path, offset: int, rest: bytes, *, last: bool) -> None:
        """A request that was never acknowledged is cut; what may have been is kept beside."""
        whole = len(rest) >= _HEAD.size and len(rest) >= _HEAD.size + _HEAD.unpack_from(rest)[0]
        if last and (not whole or not any(rest)):
            self._log.warning("cut a torn end of %d bytes from the queue %s: it was not acknowledged", len(rest), path)
        else:
            aside = path.with_suffix(".damaged")
            aside.write_bytes(rest)
            self._log.error("set %d damaged bytes of the queue %s aside as %s", len(rest), path, aside.name)
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(fd, offset)
            os.fsync(fd)
        finally:
            os.close(fd)

    def _position(self) -> tuple[int, set[int]]:
        """The first number not delivered, and what is delivered after it. Unreadable: everything is sent again."""
        path = self._folder / _POSITION
        try:
            found = orjson.loads(path.read_bytes())
            return int(found["next"]), set(map(int, found["done"]))
        except FileNotFoundError:
            return 0, set()
        except (ValueError, KeyError, TypeError):
            self._log.error("cannot read the position %s: everything that is still in the queue is sent again", path)
            return 0, set()

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:020d}{_SUFFIX}"

    def _unclaim(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None


def _records(data: bytes) -> Iterator[Request]:
    """Every whole request from the start on; ends at the first that is none."""
    offset = 0
    while offset + _HEAD.size <= len(data):
        length, crc, signal, items = _HEAD.unpack_from(data, offset)
        end = offset + _HEAD.size + length
        if end > len(data) or signal >= len(_SIGNALS) or zlib.crc32(data[offset + _UNSUMMED : end]) != crc:
            return
        yield Request(_SIGNALS[signal], data[offset + _HEAD.size : end], items)
        offset = end
