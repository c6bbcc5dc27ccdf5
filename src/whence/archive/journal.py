"""What one writer knows, under one lock: its open segments, what it holds in memory, and how far everything is on disk.

The law: every method is quick but for the writes themselves; nothing here waits for the device, logs, or starts a thread.
Lines leave memory only when they are synced, or written where nobody asked for a sync.
"""

import errno
import os
import platform
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from whence.archive import names
from whence.archive.names import Signal, Stem
from whence.archive.segment import Batch, OpenSegment, create_segment
from whence.archive.tally import Tally
from whence.archive.terms import Durability, State, WriterOptions, earliest, explain, rotation_due, sync_in
from whence.archive.waiters import Waiters
from whence.errors import StorageError
from whence.otlp.page import Line

Key = tuple[str, Signal]


class Journal:
    """The state of a writer. `lock` must be held for every call but `is_durable`; `work`, `done`, `tidy` are conditions on it."""

    def __init__(self, root: Path, options: WriterOptions) -> None:
        self.root = root
        self.options = options
        self.tidied = 0
        """Segments sealed."""
        self.repairs = 0
        self.closed = False
        self.last_error: str | None = None
        self.begin()

    def begin(self) -> None:
        """Start from nothing, under a name of its own: at the beginning, and in a forked child."""
        # Reentrant, because a signal handler or a finalizer may come in while this very thread holds it.
        self.lock = threading.RLock()
        self.work = threading.Condition(self.lock)
        self.done = threading.Condition(self.lock)
        self.tidy = threading.Condition(self.lock)
        # Apart from the lock, which a write that never comes back holds for ever.
        self.waiters = Waiters()
        self.pid = os.getpid()
        self.open: OrderedDict[Key, OpenSegment] = OrderedDict()
        self.retired: list[OpenSegment] = []
        """Closed to appends, waiting for their last sync."""
        self.waiting: deque[OpenSegment] = deque()
        """Synced, waiting for their seal."""
        self.backlog: deque[Batch] = deque()
        self.backlog_bytes = 0
        self.backlog_records = 0
        self.trouble: OSError | None = None
        self.probe_at = 0.0
        self.ticket = 0
        self.durable = 0
        """Everything up to this ticket is on disk, the `lost` ones aside."""
        self.lost: deque[tuple[int, int]] = deque(maxlen=1000)
        self.demanded = False
        self.dirty_since: float | None = None
        self.unsynced = 0
        """Bytes appended since the last sync was begun."""
        self.committed = False
        """The committing thread has ended: nothing more will come to be sealed."""
        self.stop_at: float | None = None
        """Until when everything shall be on disk and sealed, once the writer is closing."""
        self.written = Tally()
        self.refused_records = self.suspect_bytes = self.syncs = self.sync_failures = 0
        self._writing = False
        self._last_time = 0
        self._rename()

    def _rename(self) -> None:
        self.writer = names.writer_name(platform.node(), self.pid, os.urandom(4).hex())
        self._numbers: dict[Key, int] = {}

    @property
    def state(self) -> State:
        return "closed" if self.closed else "holding" if self.trouble or self.backlog else "ok"

    @property
    def reason(self) -> str | None:
        return f"cannot write to {self.root}: {explain(self.trouble)}" if self.trouble else None

    @property
    def crowded(self) -> bool:
        """Whether lines for another segment must wait: each closed one costs an open file until it is synced, and memory
        until it is sealed."""
        return len(self.retired) >= names.WAITING_FILES or len(self.waiting) >= names.WAITING_SEGMENTS

    @property
    def behind(self) -> bool:
        """Whether whoever brings lines should wait a little: never while the disk is in trouble, which may last, nor inside a
        signal handler that came in the middle of a write."""
        return (self.crowded or bool(self.backlog)) and not self.trouble and not self._writing

    # --- taking lines in ----------------------------------------------------------------------------------------------

    def append(self, group: str, signal: Signal, lines: Sequence[Line], sync: bool) -> int:
        """Write lines, or hold them while the disk is in trouble. Raises StorageError where neither can be done."""
        batch = Batch(self.ticket + 1, group, signal, lines)
        if self.backlog or self.trouble or self._writing:
            self._hold(batch)
        else:
            left, trouble = self._write(batch)
            if trouble:
                self._enter(trouble)
            if left.lines:
                self._hold(left, begun=len(left.lines) < len(lines))
        self.ticket += 1
        self._mark_dirty(batch.bytes, sync)
        return self.ticket

    def _hold(self, batch: Batch, begun: bool = False) -> None:
        size, records = batch.bytes, batch.records
        refuse = self.options.on_trouble == "refuse" and self.trouble is not None
        if not begun and (refuse or self.backlog_bytes + size > self.options.hold_bytes):
            self.refused_records += records
            told = self.reason or f"cannot write to {self.root} yet"
            raise StorageError(f"{told}; {self.backlog_bytes} bytes wait in memory and {records} records are not taken")
        self.backlog.append(batch)
        self.backlog_bytes += size
        self.backlog_records += records

    def _mark_dirty(self, size: int, sync: bool) -> None:
        first = self.dirty_since is None
        if first:
            self.dirty_since = time.monotonic()
        self.demanded = self.demanded or sync
        self.unsynced += size
        if first or sync or self.unsynced >= self.options.sync_bytes:
            self.work.notify()
            if self.unsynced > self.options.hold_bytes:
                self._shrink()

    def _write(self, batch: Batch) -> tuple[Batch, OSError | None]:
        """Write as much as the disk takes; gives what is left and the trouble, if it is that."""
        self._writing = True  # an append from a signal handler in this thread is then held, never put inside a line
        try:
            while batch.lines:
                segment, fit = self._segment_for(batch)
                count, trouble = segment.append(batch._replace(lines=batch.lines[:fit]), self._keeps)
                self._count(batch.lines[:count])
                batch = batch._replace(lines=batch.lines[count:])
                if trouble:
                    if segment.cut or trouble.errno in (errno.EIO, errno.EFBIG):
                        self._give_up(segment)
                    if trouble.errno != errno.EFBIG or not segment.written.bytes:
                        return batch, trouble
            return batch, None
        except BlockingIOError:
            return batch, None  # crowded: no trouble, the rest waits its turn
        except OSError as trouble:
            return batch, trouble
        finally:
            self._writing = False

    @property
    def _keeps(self) -> bool:
        return self.options.durability != Durability.NONE

    def _count(self, lines: Sequence[Line]) -> None:
        self.written.lines += len(lines)
        for line in lines:
            self.written.bytes += len(line.data)
            self.written.records += line.records

    # --- segments -----------------------------------------------------------------------------------------------------

    def _segment_for(self, batch: Batch) -> tuple[OpenSegment, int]:
        """The segment for the next lines, and how many of them fit into it. Raises OSError."""
        key = (batch.group, batch.signal)
        segment = self.open.get(key)
        size = batch.bytes
        if segment is not None and segment.uncounted:
            self.retire(key)
            segment = None
        if segment is not None:
            age = time.monotonic() - segment.opened
            if rotation_due(self.options, segment.written.bytes, size, age):
                self.retire(key)
                segment = None
        if segment is None:
            segment = self._begin_segment(key)
        else:
            self.open.move_to_end(key)
        if size <= self.options.rotate_bytes:
            return segment, len(batch.lines)
        fit, room = 1, self.options.rotate_bytes - len(batch.lines[0].data)
        while fit < len(batch.lines) and len(batch.lines[fit].data) <= room:
            room -= len(batch.lines[fit].data)
            fit += 1
        return segment, fit

    def _begin_segment(self, key: Key) -> OpenSegment:
        if self.crowded:
            raise BlockingIOError(errno.EAGAIN, "too many closed segments wait to be sealed")
        while len(self.open) >= self.options.open_segments:
            self.retire(next(iter(self.open)))
        if len(self._numbers) >= names.CHAINS:
            self._rename()
        group, signal = key
        while True:
            n = self._numbers.get(key, 0) + 1
            self._last_time = max(time.time_ns() // 1000 * 1000, self._last_time + 1000)
            segment = create_segment(self.root, group, Stem(signal, names.time_text(self._last_time), self.writer, n))
            if segment is not None:
                self._numbers[key] = n
                self.open[key] = segment
                return segment

    def retire(self, key: Key) -> None:
        """Close a segment to appends; it is synced and sealed in the background."""
        self.retired.append(self.open.pop(key))
        self.demanded = True
        self.work.notify()

    def _give_up(self, segment: OpenSegment) -> None:
        """Append no more to a segment; one with nothing in it leaves no trace, not even a number."""
        key = (segment.group, segment.stem.signal)
        if not segment.written.bytes and segment.remove():
            self._forget(segment)
            self._numbers[key] = segment.stem.n - 1
        elif self.open.get(key) is segment:
            self.retire(key)

    def _forget(self, segment: OpenSegment) -> None:
        """Drop a segment from the books and let go of its file."""
        key = (segment.group, segment.stem.signal)
        if self.open.get(key) is segment:
            del self.open[key]
        elif segment in self.retired:
            self.retired.remove(segment)
        segment.close()

    # --- duties of the committing thread -----------------------------------------------------------------------------

    def sync_wait(self) -> float | None:
        """Seconds until a sync is due, as `sync_in`."""
        return sync_in(self.options, self.unsynced, self.dirty_since, self.demanded, time.monotonic())

    def next_duty(self) -> float | None:
        """Seconds until the committing thread has something to do: 0 now, None when called."""
        now = time.monotonic()
        if self.trouble:
            return max(0.0, self.probe_at - now)
        if self.backlog and not self.crowded:
            return 0.0
        age = self.options.rotate_seconds
        rotation = None
        if age is not None:
            rotation = earliest(*(max(0.0, s.opened + age - now) for s in self.open.values() if s.written.bytes))
        return earliest(self.sync_wait(), rotation)

    def rotate_old(self) -> None:
        """Close the segments whose time is over."""
        now = time.monotonic()
        for key, segment in list(self.open.items()):
            if rotation_due(self.options, segment.written.bytes, 0, now - segment.opened):
                self.retire(key)

    def drain(self) -> OSError | None:
        """Write what is held, in order; gives what stopped it."""
        while self.backlog:
            batch = self.backlog.popleft()
            left, trouble = self._write(batch)
            self.backlog_bytes -= batch.bytes - left.bytes
            self.backlog_records -= batch.records - left.records
            if left.lines:
                self.backlog.appendleft(left)
                return trouble
        return None

    def begin_sync(self) -> list[tuple[OpenSegment, Tally]]:
        """The segments that need a sync, each with what it holds now."""
        self.demanded = False
        self.dirty_since = None
        self.unsynced = 0
        self._shrink()
        due = []
        for segment in [*self.open.values(), *self.retired]:
            if segment.dirty:
                segment.syncing_ticket, segment.first_ticket = segment.first_ticket, None
                due.append((segment, segment.written.copy()))
        return due

    def _shrink(self) -> None:
        """Keep the copies of unsynced lines within bounds: a slow disk must not take all the memory."""
        held = sum(segment.held_bytes for segment in [*self.open.values(), *self.retired])
        for segment in [*self.retired, *self.open.values()]:
            while held > self.options.hold_bytes and segment.held:
                held -= segment.let_go()

    def end_sync(self, segment: OpenSegment, upto: Tally, ticket: int, trouble: OSError | None) -> None:
        """Settle one sync of `begin_sync`, which was made when `ticket` was the last."""
        self.syncs += 1
        if trouble:
            self.sync_failures += 1
            self._poison(segment, trouble)
        elif segment.is_gone():
            self._write_anew(segment)
            self.last_error = f"the directory of {self.root / segment.group / segment.name} was deleted or moved"
        else:
            segment.mark_synced(upto, ticket)

    def _poison(self, segment: OpenSegment, trouble: OSError) -> None:
        """After a failed sync the file holds what was synced before, and the rest goes to a new file."""
        self._enter(trouble, soon=not self.trouble)
        segment.poisoned = True
        segment.notes["suspect"] = f"a sync failed: {explain(trouble)}"
        self._suspect(segment)
        keep = segment.written if segment.unheld else segment.synced
        with suppress(OSError):  # where it cannot be cut, its seal says where the good bytes end
            os.ftruncate(segment.fd, keep.bytes)
        segment.written = segment.synced = keep
        lines = segment.take_held()
        self._give_up(segment)
        self._hold_first(lines)

    def _write_anew(self, segment: OpenSegment) -> None:
        """After its directory was deleted: what is held goes to a new file in a new directory, under a new name."""
        self._suspect(segment)
        self._forget(segment)
        self._rename()
        self._hold_first(segment.take_held())

    def _suspect(self, segment: OpenSegment) -> None:
        """Lines no longer in memory stay where they are: perhaps on disk, and better there than nowhere."""
        if segment.unheld:
            self.suspect_bytes += segment.unsynced - segment.held_bytes
            last = segment.held[0].ticket - 1 if segment.held else self.ticket
            self.lost.append((segment.oldest_ticket or last, last))

    def _hold_first(self, lines: deque[Batch]) -> None:
        """Put lines that were written once before everything that waits."""
        self.repairs += 1
        self.backlog = deque(sorted([*lines, *self.backlog], key=lambda batch: batch.ticket))
        self.backlog_bytes += sum(batch.bytes for batch in lines)
        self.backlog_records += sum(batch.records for batch in lines)

    def settle(self, ticket: int, well: bool) -> None:
        """After the syncs of one round, begun at `ticket`: move clean segments on, count what is durable, tell waiters."""
        for segment in list(self.retired):
            if not segment.dirty:
                self.retired.remove(segment)
                self.waiting.append(segment)
                if len(self.waiting) > names.WAITING_FILES:
                    segment.close()  # it is opened again when its turn comes
                self.tidy.notify()
        if well:
            self.trouble = None
        oldest = [segment.oldest_ticket for segment in [*self.open.values(), *self.retired]]
        oldest += [batch.ticket for batch in list(self.backlog)[:1]]
        self.durable = max(self.durable, min([number - 1 for number in oldest if number is not None], default=ticket))
        self.done.notify_all()
        self.waiters.tell(self.durable)

    def _enter(self, trouble: OSError, soon: bool = False) -> None:
        self.trouble = trouble
        self.last_error = self.reason
        self.probe_at = time.monotonic() + (0 if soon else self.options.probe_seconds)
        self.work.notify()
        self.tidy.notify()

    def fail(self, trouble: OSError) -> None:
        """The disk is (still) in trouble: hold, and try again in a while."""
        self._enter(trouble)
        self.done.notify_all()

    def is_durable(self, ticket: int) -> bool:
        """Whether this append is on disk; never so for one that a failed sync may have cost."""
        return self.durable >= ticket and not (
            self.lost and any(first <= ticket <= last for first, last in tuple(self.lost))
        )

    def drop_files(self) -> None:
        """In a forked child: let go of the parent's files. Their locks stay with the parent, which shares them."""
        for segment in [*self.open.values(), *self.retired, *self.waiting]:
            segment.close()
