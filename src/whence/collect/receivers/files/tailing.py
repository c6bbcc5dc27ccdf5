"""The thread that looks at files, reads what is new in them, and hands it on, a part at a time.

The law: one part is handed on, then its position written down, then the next part is read. What cannot be read is said and
left; nothing ends the thread but `stop`.
"""

import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import IO, Final, NamedTuple

from whence.collect.component import HEALTHY, Health, Host
from whence.collect.receivers.files.known import Files, Followed
from whence.collect.receivers.files.lines import DAMAGE, Line, is_packed, unpacked
from whence.collect.receivers.files.look import Seen, look, seen_of
from whence.collect.receivers.files.marks import Position, is_of, mark_of
from whence.collect.receivers.files.ordering import ordered
from whence.collect.receivers.files.settings import FileSettings
from whence.collect.receivers.files.splitting import Splitting
from whence.collect.receivers.files.store import Store
from whence.collect.seldom import Seldom
from whence.errors import StorageError

PART_BYTES: Final = 1 << 20
"""What is handed on at once, and handed on again where the process is killed before that was written down."""
_TURN: Final = 8
"""Parts of one file before it is another's turn."""
_GONE_SECONDS: Final = 60.0
"""How long a file without its name may stand still before it is closed: programs go on writing for a while."""
_SETTLED: Final = 1_000_000_000
"""Nanoseconds that a compressed file must have stood still before it is begun."""
_TOLD_EVERY: Final = 30.0
_OPEN_SHARE: Final = 2
"""At most half of the files that this process may have open."""


class Stopped(Exception):
    """The receiver stops; what is in hand was not taken."""


class Part(NamedTuple):
    """Lines of one file, in their order."""

    file: Seen
    lines: list[Line]


class Taking(NamedTuple):
    """What a receiver does with lines."""

    take: Callable[[Part], None]
    """Returns once every line is taken or passed over. Raises Stopped."""
    is_whole: Callable[[bytes], bool]
    """Whether a line that has no end yet, in a file that stands still, is one."""
    quiet: float
    """Seconds that it must have stood still before that is asked."""
    splitting: Splitting


class Tailing:
    """What both receivers of files are made of."""

    def __init__(self, settings: FileSettings, host: Host, taking: Taking, *, replay: bool = False) -> None:
        self._settings = settings
        self._host = host
        self._taking = taking
        self._replay = replay
        self._first = True
        self._packed: dict[tuple[int, int], tuple[int, int]] = {}
        """Files not begun yet, as they were in the last look."""
        self._trouble: str | None = None
        self._is_to_be_said = Seldom(host.monotonic, _TOLD_EVERY)
        self._thread: threading.Thread | None = None
        self._ends: list[Callable[[], None]] = []
        self.stopping = threading.Event()
        self.looks = 0
        """How many times everything was looked at."""

    # --- life -------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Claim the positions and begin. Raises ConfigError, StorageError."""
        folder = None if self._replay else self._host.folder(self._settings.storage)
        self._store = Store(folder, self._host.log)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _OPEN_SHARE
        most = min(self._settings.max_concurrent_files, max(2, limit))
        self._files = Files(self._store, self._settings.fingerprint_size, most, self._taking.splitting.unit)
        self._files.load()
        self._watch()
        self._thread = threading.Thread(target=self._run, name=f"files of {self._host.id}", daemon=True)
        self._thread.start()

    def stop(self, deadline: float) -> None:
        """Read no more; what is being handed on is waited for."""
        self.stopping.set()
        for end in self._ends:
            end()
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - self._host.monotonic()))
            if self._thread.is_alive():
                self._host.log.warning("%s: lines in hand were not taken in time; they are read again", self._host.id)

    def health(self) -> Health:
        """Whether positions can be written down."""
        if self._thread is None or not self._thread.is_alive():
            return Health(False, "it does not read")
        return Health(False, self._trouble) if self._trouble else HEALTHY

    def _watch(self) -> None:
        telemetry, id_ = self._host.telemetry, self._host.id
        reads: dict[str, Callable[[], float]] = {
            "otelcol_fileconsumer_open_files": lambda: sum(one.fd >= 0 for one in self._all()),
            "otelcol_fileconsumer_reading_files": lambda: sum(bool(one.unread) for one in self._all()),
            "whence_receiver_file_unread_bytes": lambda: sum(one.unread for one in self._all()),
        }
        self._ends = [telemetry.read(name, read, receiver=id_) for name, read in reads.items()]

    def _all(self) -> list[Followed]:
        return list(self._files.followed.values())

    # --- rounds -----------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self.stopping.is_set():
                more = self._round()
                self.looks += 1
                if not more:
                    self.stopping.wait(self._settings.poll_interval)
        except Stopped:
            pass
        finally:
            self._files.leave_all()
            self._store.close()

    def _round(self) -> bool:
        """Look at every file once; whether there is more to read already."""
        more = False
        try:
            found = self._look()
            self._follow(found)
            for one in self._all():
                more |= self._guarded(one, self._turn)
            new = [seen for seen in found if seen.key not in self._files.followed]
            for seen in new:
                more |= self._began(seen)
            self._packed = {seen.key: (seen.size, seen.changed) for seen in new}
            if self._first and not self._store.resumed:
                self._store.begin()
            self._first = False
            for one in self._all():
                self._guarded(one, self._finish)
        except StorageError as trouble:
            self._trouble = str(trouble)
            self._tell("storage", "%s: %s", self._host.id, trouble)
            return False
        if self._replay and not more and not any(one.unread for one in self._all()):
            self._files.forget_all()
        return more

    def _look(self) -> list[Seen]:
        age = self._settings.exclude_older_than
        not_before = 0 if age is None else self._host.now() - int(age * 1e9)
        found = look(self._settings.include, self._settings.exclude, not_before)
        criteria = self._settings.ordering_criteria
        return found if criteria is None else ordered(found, criteria)

    def _follow(self, found: list[Seen]) -> None:
        """Note what became of the files that are followed."""
        now = self._host.monotonic()
        there = {seen.key: seen for seen in found}
        for one in self._all():
            seen = there.get(one.seen.key)
            if seen is not None:
                changed = (seen.size, seen.changed) != one.state
                one.seen, one.gone = seen, False
                if changed:
                    one.still_since, one.rest_asked = now, False
            elif one.fd < 0:
                self._files.leave(one)
            else:
                one.gone = True
                with suppress(OSError):
                    self._files.note(one, now)

    def _guarded(self, one: Followed, do: Callable[[Followed], bool]) -> bool:
        """Do it; trouble with one file is said, and the others go on. Raises Stopped, StorageError."""
        if self.stopping.is_set():
            raise Stopped
        try:
            return do(one)
        except FileNotFoundError:
            self._files.leave(one)  # renamed or removed since it was looked at
        except DAMAGE as trouble:
            one.done = one.state
            self._unreadable(one.seen.path, trouble)
        return False

    def _unreadable(self, path: str, trouble: Exception) -> None:
        said = (trouble.strerror if isinstance(trouble, OSError) else None) or trouble
        self._tell(path, "%s: cannot read %s: %s; the rest of it is left until it changes", self._host.id, path, said)

    def _began(self, seen: Seen) -> bool:
        """Begin with a file that was not followed; whether there is something to read."""
        at_end = self._first and not self._store.resumed and not self._replay and self._settings.start_at == "end"
        if not at_end and self._is_unsettled(seen):
            return False
        try:
            one = self._files.begin(seen, at_end, self._host.monotonic())
        except FileNotFoundError:
            return False
        except DAMAGE as trouble:
            self._unreadable(seen.path, trouble)
            return False
        return one is not None and bool(one.unread)

    def _is_unsettled(self, seen: Seen) -> bool:
        """Whether it is compressed, and still being written: only a whole one tells of which file it is the copy."""
        try:
            with open(seen.path, "rb", 0) as file:  # noqa: PTH123
                if not is_packed(file.read(4)):
                    return False
        except OSError:
            return False
        age = self._host.now() - seen.changed
        return self._packed.get(seen.key) != (seen.size, seen.changed) or 0 <= age < _SETTLED

    # --- one file ---------------------------------------------------------------------------------------------------------

    def _turn(self, one: Followed) -> bool:
        """Read some of it; whether there is more."""
        if one.unsaved:
            self._move(one, one.position)
        return self._turn_packed(one) if one.position.packed else self._turn_plain(one)

    def _turn_plain(self, one: Followed) -> bool:
        still = self._host.monotonic() - one.still_since
        asks = one.rest and not one.rest_asked and still >= self._taking.quiet
        if one.done == one.state and not asks:
            return False
        fd = self._files.descriptor(one)
        info = os.fstat(fd)
        one.seen = seen_of(one.seen.path, info)
        if not one.position.offset and is_packed(os.pread(fd, 4, 0)):
            self._files.leave(one)  # it was empty when it was looked at first
            return False
        if not is_of(one.position.mark, lambda count, at: os.pread(fd, count, at), info.st_size):
            self._files.restart(one)
            return False
        with open(fd, "rb", closefd=False) as file:
            file.seek(one.position.offset)
            lines = self._taking.splitting.records(file, one.position.offset, one.position.lines)
            for _ in range(_TURN):
                part, rest, trouble = _gathered(lines)
                if rest is not None and asks:
                    one.rest_asked = True
                    if self._taking.is_whole(rest.data):
                        part, rest = [*part, rest], None
                if part:
                    self._hand_on(one, part, part[-1].end)
                if trouble is not None:
                    raise trouble
                if not part or rest is not None:
                    one.done, one.rest = one.state, rest is not None
                    return False
        return True

    def _turn_packed(self, one: Followed) -> bool:
        if one.done == one.state or (one.position.over and one.seen.size == one.position.mark.length):
            return False
        with open(one.seen.path, "rb") as raw:  # noqa: PTH123
            info = os.fstat(raw.fileno())
            if (info.st_dev, info.st_ino) != one.seen.key:
                raise FileNotFoundError
            if info.st_size != one.position.mark.length or one.state != (info.st_size, info.st_mtime_ns):
                self._files.leave(one)  # it has changed: it is looked at anew once it stands still
                return False
            with unpacked(raw) as plain:
                return self._read_packed(one, plain)

    def _read_packed(self, one: Followed, plain: IO[bytes]) -> bool:
        left = one.position.offset
        while left and (passed := plain.read(min(left, PART_BYTES))):
            left -= len(passed)
        if left:
            raise EOFError("it holds less than was read of it")
        lines = self._taking.splitting.records(plain, one.position.offset, one.position.lines)
        while True:
            part, rest, trouble = _gathered(lines)
            part += [] if rest is None else [rest]
            if part:
                self._hand_on(one, part, part[-1].end)
            if trouble is not None:
                raise trouble
            if not part:
                self._move(one, replace(one.position, over=True))
                return False

    def _hand_on(self, one: Followed, part: list[Line], end: int) -> None:
        """Returns once it was taken and that was written down. Raises Stopped."""
        before = one.position
        lines = None if before.lines is None else before.lines + len(part)
        mark = before.mark
        if not before.packed:  # now: until it is taken, the file may be cut
            fd = one.fd
            mark = mark_of(lambda count, at: os.pread(fd, count, at), end, self._settings.fingerprint_size)
        self._taking.take(Part(one.seen, part))
        self._move(one, replace(before, path=one.seen.path, offset=end, lines=lines, mark=mark))
        if self.stopping.is_set():
            raise Stopped

    def _move(self, one: Followed, position: Position) -> None:
        self._trouble = self._files.move(one, position)
        if self._trouble:
            self._tell(
                "storage", "%s: %s; what is read now is read again after a restart", self._host.id, self._trouble
            )

    # --- the end of a file ------------------------------------------------------------------------------------------------

    def _finish(self, one: Followed) -> bool:
        """Remove it where it is read through and that is wanted; close it where it is gone and stands still."""
        still = self._host.monotonic() - one.still_since
        if one.gone and not one.unread and (still >= _GONE_SECONDS or one.position.packed):
            self._files.leave(one)
        elif one.gone and still >= _GONE_SECONDS and one.done == one.state:
            self._tell(one.seen.path, "%s: %s is gone and ended within a line: %d bytes were left",
                       self._host.id, one.seen.path, one.unread)  # fmt: skip
            self._files.leave(one)
        elif self._settings.delete_after_read and not one.gone and not one.unsaved:
            self._remove(one, still)
        return False

    def _remove(self, one: Followed, still: float) -> None:
        if one.unread or not one.position.offset or still < self._settings.poll_interval:
            return
        info = os.stat(one.seen.path)  # noqa: PTH116
        if (info.st_dev, info.st_ino) != one.seen.key or (info.st_size, info.st_mtime_ns) != one.state:
            return
        os.unlink(one.seen.path)  # noqa: PTH108
        if one.fd >= 0:
            one.gone = True  # who still writes to it is still read
        else:
            self._files.leave(one, forget=True)

    def _tell(self, about: str, words: str, *arguments: object) -> None:
        """Now and then: every look meets the same trouble."""
        if self._is_to_be_said(about):
            self._host.log.warning(words, *arguments)


def _gathered(lines: Iterator[Line]) -> tuple[list[Line], Line | None, Exception | None]:
    """The next lines, of about PART_BYTES; the one that has no end; and why there are no more where that is no end."""
    found: list[Line] = []
    size = 0
    try:
        for line in lines:
            if not line.ended:
                return found, line, None
            found.append(line)
            size += len(line.data)
            if size >= PART_BYTES:
                break
    except DAMAGE as trouble:
        return found, None, trouble
    return found, None, None
