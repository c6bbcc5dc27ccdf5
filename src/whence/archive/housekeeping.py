"""The two threads of a writer: one puts lines on disk, the other seals and compresses what is closed and tells of trouble.

The law: neither ever raises, and neither holds the writer's lock while the device works. They are two so that compressing a
large file never delays a sync.
"""

import errno
import logging
import math
import os
import threading
import time
from collections.abc import Iterator

from whence.archive import names
from whence.archive.encrypt import encrypt_segment
from whence.archive.folder import make_folders, open_group, probe
from whence.archive.holds import held_by
from whence.archive.journal import Journal
from whence.archive.names import WARN_SECONDS
from whence.archive.reader import Segment
from whence.archive.recovery import recover, recover_segment
from whence.archive.seal import compress_segment, read_plain, read_seal, seal_segment
from whence.archive.segment import OpenSegment
from whence.archive.terms import earliest, explain
from whence.errors import DataError, NotFoundError

logger = logging.getLogger("whence.archive")


def commit(journal: Journal) -> None:
    """One round: write what is held, sync what is written, settle. Never raises."""
    with journal.lock:
        journal.rotate_old()
        was_trouble = journal.trouble is not None
        trouble = journal.drain()
        if trouble:
            journal.fail(trouble)
        ticket = journal.ticket
        due = journal.begin_sync()
    if was_trouble and not trouble and not due:
        try:
            make_folders(journal.root)
            probe(journal.root)
        except OSError as still:
            trouble = still
            with journal.lock:
                journal.fail(still)
    failures = [_sync(segment) for segment, _ in due]
    with journal.lock:
        for (segment, upto), failure in zip(due, failures, strict=True):
            journal.end_sync(segment, upto, ticket, failure)
        journal.settle(ticket, well=trouble is None and not any(failures))


def _sync(segment: OpenSegment) -> OSError | None:
    try:
        segment.sync()
    except OSError as trouble:
        return trouble
    return None


def run_commits(journal: Journal) -> None:
    """The committing thread, until the journal is stopped and everything is on disk, or its time is over."""
    while True:
        with journal.lock:
            if not _await_duty(journal):
                journal.committed = True
                journal.tidy.notify_all()
                journal.waiters.tell(math.inf)
                return
        try:
            commit(journal)
        except Exception as fault:  # noqa: BLE001 - a thread that dies would stop every sync
            with journal.lock:
                journal.fail(OSError(0, f"{type(fault).__name__}: {fault}"))


def _await_duty(journal: Journal) -> bool:
    while True:
        wait = journal.next_duty()
        if journal.stop_at is not None:
            for key in list(journal.open):
                journal.retire(key)
            left = journal.stop_at - time.monotonic()
            if left <= 0 or not (journal.backlog or journal.retired):
                return False
            wait = earliest(left, journal.next_duty())
        if wait == 0.0:
            return True
        journal.work.wait(wait)


def run_tidying(journal: Journal, recovering: bool) -> None:
    """The tidying thread: first the leftovers of dead writers, then each closed segment, until the journal is stopped."""
    told = Telling(journal)
    if recovering:
        _recover(journal)
    while True:
        with journal.lock:
            while not journal.waiting and not journal.committed and told.is_current:
                journal.tidy.wait()
            segment = journal.waiting[0] if journal.waiting else None
            over = journal.committed and (segment is None or _is_over(journal))
        told.tell()
        if over:
            return
        if segment is not None and not _tidy(journal, segment):
            with journal.lock:
                if not _is_over(journal):
                    journal.tidy.wait(journal.options.probe_seconds)


def _tidy(journal: Journal, segment: OpenSegment) -> bool:
    """Seal and compress one segment; False where that must be tried again."""
    try:
        finish(journal, segment)
        _announce(journal, segment)
    except FileNotFoundError:
        pass  # deleted with its directory: nothing is left to seal
    except OSError as trouble:
        with journal.lock:
            journal.last_error = f"cannot seal {segment.name}: {explain(trouble)}"
        return False
    except Exception as fault:  # noqa: BLE001 - a thread that dies would leave every later segment unsealed
        with journal.lock:
            journal.last_error = f"cannot seal {segment.name}: {type(fault).__name__}: {fault}"
    with journal.lock:
        journal.waiting.popleft()
        journal.tidied += 1
        segment.close()
        journal.work.notify()  # lines may wait for this, in memory
        journal.done.notify_all()  # or in their threads
    return True


def _announce(journal: Journal, segment: OpenSegment) -> None:
    """Tell whoever wants to know; not when the writer is closing, for that must not begin anything."""
    announce = journal.options.on_sealed
    if announce is None or journal.stop_at is not None:
        return
    try:
        announce(journal.root, segment.synced.bytes)
    except Exception as fault:  # noqa: BLE001 - it is not ours, and the segment is sealed
        logger.warning("whence sealed %s, and what was to follow failed: %s", segment.name, fault)


def finish(journal: Journal, segment: OpenSegment) -> None:
    """Seal a synced segment and compress it where it is worth it. Raises OSError."""
    over = journal.options.compress_over
    with open_group(segment.root, segment.group) as folder:
        if segment.fd < 0 and not segment.uncounted:
            segment.reopen()
        if segment.uncounted or _has_more(segment):
            segment.close()
            list(recover_segment(folder, segment.stem, over))
            return
        if read_seal(folder, segment.stem.text):
            return  # while its file was closed, another process took it for a dead writer's
        plain = _until_over(journal, segment.fd, segment.synced.bytes)
        seal = seal_segment(folder, segment.stem, segment.synced, plain, segment.notes)
        recipients = journal.options.encrypt_to
        if recipients:
            over = 0
        if over is None or seal.bytes <= over or segment.poisoned or _is_over(journal):
            return
        try:
            compress_segment(folder, seal, segment.fd, lambda: _go_on(journal))
            if recipients and not _is_over(journal):
                whole = Segment(segment.root, segment.group, seal.segment, segment.stem, (names.COMPRESSED,))
                encrypt_segment(folder, seal.segment, recipients, held_by(whole))
        except (OSError, DataError) as cause:
            with journal.lock:
                journal.last_error = f"cannot compress or encrypt {segment.name}: {cause}"


def _has_more(segment: OpenSegment) -> bool:
    """Whether there is more in its file than was written here: another program put it between our lines, or behind them."""
    is_known = segment.cut or segment.poisoned
    return not is_known and os.fstat(segment.fd).st_size > segment.synced.bytes


def _until_over(journal: Journal, fd: int, length: int) -> Iterator[bytes]:
    """A segment's bytes, as long as there is time. Raises DataError where the device does not give them."""
    try:
        for chunk in read_plain(fd, length):
            _go_on(journal)
            yield chunk
    except OSError as cause:
        if cause.errno != errno.EIO:
            raise
        raise DataError(f"the device does not give what was written: {explain(cause)}") from cause


def _go_on(journal: Journal) -> None:
    """Raises TimeoutError once the time to close is over: the plain file is just as good."""
    if _is_over(journal):
        raise TimeoutError("the time to close is over")


def _is_over(journal: Journal) -> bool:
    return journal.stop_at is not None and time.monotonic() >= journal.stop_at


def _recover(journal: Journal) -> None:
    try:
        options = journal.options
        repairs = recover(journal.root, compress_over=options.compress_over, encrypt_to=options.encrypt_to)
    except (NotFoundError, FileNotFoundError):
        return  # the directory was removed meanwhile: the next append makes it again
    except Exception as fault:  # noqa: BLE001 - whatever is left there must not stop this writer
        logger.warning("whence cannot put right what another writer left in %s: %s", journal.root, fault)
        return
    with journal.lock:
        journal.repairs += sum(repair.kind != "sealed" for repair in repairs)
    for repair in repairs:
        if repair.kind == "torn":
            logger.warning("whence set aside a torn line in %s: %s", repair.segment, repair.detail)


class Telling:
    """One line in the program's log for each change between well and trouble, and not more than one in WARN_SECONDS."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._trouble: str | None = None
        self._repairs = 0
        self._told_at = float("-inf")

    @property
    def is_current(self) -> bool:
        journal = self._journal
        return (journal.reason is None) == (self._trouble is None)

    def tell(self) -> None:
        """Say what changed. Called without the lock: a handler may bring the message back into the archive."""
        with self._journal.lock:
            reason, held = self._journal.reason, self._journal.backlog_records
        if (reason is None) == (self._trouble is None):
            return
        before, self._trouble = self._trouble, reason
        now = time.monotonic()
        if now - self._told_at < WARN_SECONDS:
            return
        if reason:
            self._told_at = now
            logger.warning("whence %s; %d records wait in memory, trying again each second", reason, held)
        else:
            logger.warning("whence writes again, nothing held was lost; before: it %s", before)


def start(journal: Journal, recovering: bool) -> list[threading.Thread]:
    """Start both threads; fewer where the interpreter is shutting down and starts no more."""
    threads = [
        threading.Thread(target=run_commits, args=(journal,), name="whence-commit", daemon=True),
        threading.Thread(target=run_tidying, args=(journal, recovering), name="whence-tidy", daemon=True),
    ]
    started = []
    for thread in threads:
        try:
            thread.start()
        except RuntimeError:
            continue
        started.append(thread)
    return started
