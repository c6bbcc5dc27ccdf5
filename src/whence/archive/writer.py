"""The archive's front door for writing: any thread appends lines, each group and signal goes to its own segments.

The law: an append returns once the system has the lines (or memory has them, while the disk is in trouble); `wait` returns
once the device has them. After a fork the child writes files of its own.
"""

import os
import threading
import time
import weakref
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from whence.archive import housekeeping, names
from whence.archive.encrypt import check_recipients
from whence.archive.folder import make_root
from whence.archive.journal import Journal
from whence.archive.names import Signal
from whence.archive.terms import CloseReport, Durability, WriterOptions, WriterStatus
from whence.errors import StorageError
from whence.otlp.page import Line

__all__ = ["ArchiveWriter", "CloseReport", "Durability", "WriterOptions", "WriterStatus"]

_DEFAULT = WriterOptions()
_ANSWER_SECONDS = 1.0
_group = lru_cache(maxsize=1024)(names.safe_group)


class ArchiveWriter:
    """Writes an archive. Several writers, in one or many processes, may share a directory: each has its own files."""

    def __init__(self, directory: Path, options: WriterOptions = _DEFAULT) -> None:
        """Make or join the archive in `directory`, and begin to put right what dead writers left there.

        Raises StorageError where the directory is a file, cannot be made or cannot be written, and ConfigError where an
        `encrypt_to` is no public key.
        """
        if options.encrypt_to:
            check_recipients(options.encrypt_to)
        self._journal = Journal(make_root(Path(directory)), options)
        self._starting = threading.Lock()
        self._threads: list[threading.Thread] | None = None
        self._report: CloseReport | None = None
        self._answers = True
        """Whether the status could be looked at the last time."""
        _writers.add(self)
        weakref.finalize(self, _abandon, self._journal).atexit = False
        self._start(recovering=True)

    @property
    def directory(self) -> Path:
        """Where the archive really is, links resolved."""
        return self._journal.root

    def append(self, group: str, signal: Signal, lines: Sequence[Line], *, sync: bool = False) -> int:
        """Write whole lines of one signal to the files of a group (a run id, made a safe name), in order, at once.

        Gives a ticket for `wait`. With `sync` they are put on the device at once whatever the durability (see `wait` for
        when they are there). While the disk is in trouble lines are held in memory. Raises StorageError where they are not
        taken: memory full, told to refuse, a line longer than 256 MiB, or the writer closed.
        """
        journal = self._journal
        if journal.pid != os.getpid():
            self._forked()
        if self._threads is None:
            self._start(recovering=False)
        if sum(len(line.data) for line in lines) > names.LINE_BYTES:
            _check(lines)
        with journal.lock:
            self._keep_pace()
            if journal.closed:
                raise StorageError(f"cannot append to the archive {journal.root}: it was closed; open another writer")
            if not lines:
                return journal.ticket
            ticket = journal.append(_group(group), signal, lines, sync)
            self._keep_pace()
            return ticket

    def wait(self, ticket: int, timeout: float | None = None) -> bool:
        """Wait until everything up to `ticket` is on the device; False after `timeout` seconds, or if it never will be."""
        journal = self._journal
        deadline = None if timeout is None else time.monotonic() + timeout
        while not journal.is_durable(ticket):
            left = None if deadline is None else deadline - time.monotonic()
            if journal.durable >= ticket or journal.committed or (left is not None and left <= 0):
                return False
            served = self._is_served()
            if not (served and journal.options.durability is Durability.DURABLE) and not self._demand(served, left):
                return False
            if served:
                journal.waiters.wait(ticket, left)
        return True

    def _demand(self, served: bool, left: float | None) -> bool:
        """Have everything put on the device, by this thread where there is none of ours; False where the disk does not answer."""
        journal = self._journal
        if not journal.lock.acquire(timeout=-1 if left is None else left):
            return False
        try:
            journal.demanded = True
            journal.work.notify()
            if not served:
                housekeeping.commit(journal)
                if journal.trouble:
                    journal.done.wait(0.1 if left is None else min(0.1, left))
            return True
        finally:
            journal.lock.release()

    def sync(self, timeout: float | None = None) -> bool:
        """Put everything appended so far on the device; whether that was done in `timeout` seconds."""
        return self.wait(self._journal.ticket, timeout)

    def close(self, timeout: float = 10.0) -> CloseReport:
        """Take no more lines, put all on disk, seal every segment, and say what could not be done in `timeout` seconds."""
        journal = self._journal
        deadline = time.monotonic() + timeout + 0.5  # a little more for the threads to notice that time is over
        if not journal.lock.acquire(timeout=max(0.0, timeout)):
            return _report(journal, stalled=True)
        try:
            if journal.pid != os.getpid() or self._report is not None:
                return self._report or _report(journal)
            stop_journal(journal, timeout)
        finally:
            journal.lock.release()
        for thread in self._threads or []:
            thread.join(max(0.0, deadline - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads or []):
            housekeeping.run_commits(journal)  # what threads that could not be started have left to do
            housekeeping.run_tidying(journal, recovering=False)
            with journal.lock:
                journal.drop_files()
        if not journal.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return _report(journal, stalled=True)
        try:
            self._report = _report(journal)
            return self._report
        finally:
            journal.lock.release()

    @property
    def status(self) -> WriterStatus:
        """What was written so far and how the disk is. Waits a second at most: then the disk does not answer."""
        journal = self._journal
        answered = journal.lock.acquire(timeout=_ANSWER_SECONDS if self._answers else 0)
        self._answers = answered
        try:
            return WriterStatus(
                state=journal.state if answered else "holding",
                reason=journal.reason if answered else _silent(journal),
                durability=journal.options.durability,
                bytes=journal.written.bytes,
                lines=journal.written.lines,
                records=journal.written.records,
                held_bytes=journal.backlog_bytes,
                held_records=journal.backlog_records,
                refused_records=journal.refused_records,
                suspect_bytes=journal.suspect_bytes,
                syncs=journal.syncs,
                sync_failures=journal.sync_failures,
                repairs=journal.repairs,
                segments_open=len(journal.open),
                segments_waiting=len(journal.retired) + len(journal.waiting),
                segments_sealed=journal.tidied,
                last_error=journal.last_error,
            )
        finally:
            if answered:
                journal.lock.release()

    def _start(self, recovering: bool) -> None:
        with self._starting:
            if self._threads is None:
                self._threads = housekeeping.start(self._journal, recovering)

    def _keep_pace(self) -> None:
        """Let the disk keep up with a program that begins segments faster than they can be synced and sealed: lines that are
        only held in memory for that would not survive a kill."""
        journal = self._journal
        deadline = None
        while journal.behind and not journal.closed and self._is_served():
            now = time.monotonic()
            deadline = deadline or now + names.WAIT_SECONDS
            if now >= deadline:
                return
            journal.work.notify()
            journal.done.wait(deadline - now)

    def _is_served(self) -> bool:
        thread = self._threads[0] if self._threads else None
        return thread is not None and thread.is_alive() and thread is not threading.current_thread()

    def _forked(self) -> None:
        """In a forked child: the parent's files are not ours to write, sync, seal or unlock."""
        journal = self._journal
        if journal.pid != os.getpid():
            journal.drop_files()
            journal.begin()
            self._starting = threading.Lock()
            self._threads = None
            self._report = None


def stop_journal(journal: Journal, timeout: float) -> None:
    """Tell a writer's threads to finish. Takes the lock only reentrantly: it may run inside a garbage collection."""
    with journal.lock:
        journal.closed = True
        journal.stop_at = time.monotonic() + timeout
        journal.work.notify_all()
        journal.tidy.notify_all()


def _abandon(journal: Journal) -> None:
    """A writer that nobody closed and nobody refers to any more: its threads finish its files and end."""
    if journal.pid == os.getpid() and not journal.closed:
        stop_journal(journal, 10.0)


def _check(lines: Sequence[Line]) -> None:
    for line in lines:
        if len(line.data) > names.LINE_BYTES:
            raise StorageError(
                f"cannot append a line of {len(line.data)} bytes: the most is {names.LINE_BYTES}; cut the batch"
            )


def _silent(journal: Journal) -> str:
    return f"cannot write to {journal.root}: the disk does not answer"


def _report(journal: Journal, stalled: bool = False) -> CloseReport:
    """`stalled`: a write that never comes back has the lock, so that nothing changes under the eyes of this look without it."""
    unsynced = sum(segment.unsynced for segment in [*journal.open.values(), *journal.retired])
    reason = None
    if stalled:
        reason = _silent(journal)
    elif journal.backlog or unsynced:
        reason = journal.reason or f"cannot put everything in {journal.root} on disk in time"
    elif journal.suspect_bytes:
        reason = f"cannot be sure of {journal.suspect_bytes} bytes in {journal.root}: {journal.last_error}"
    return CloseReport(
        records_unwritten=journal.backlog_records,
        bytes_unwritten=journal.backlog_bytes,
        bytes_unsynced=unsynced,
        segments_unsealed=len(journal.retired) + len(journal.waiting),
        reason=reason,
    )


_writers: "weakref.WeakSet[ArchiveWriter]" = weakref.WeakSet()


def _after_fork() -> None:
    for writer in list(_writers):
        writer._forked()


os.register_at_fork(after_in_child=_after_fork)
