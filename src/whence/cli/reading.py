"""How the commands read an archive: out of its index where that is quicker, else line after line.

The law: one way to ask, two ways to answer, and the same answers.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from whence.archive.reader import Archive
from whence.cli.lines import Tell, Told
from whence.cli.output import note
from whence.cli.past import Past
from whence.cli.scan import Scan
from whence.errors import DataError
from whence.event.model import Event
from whence.filter.tree import Both, Causal, Either, Everything, Filter, Negation
from whence.index.correlations import Correlations
from whence.index.endings import Ending
from whence.index.error_groups import ErrorGroups
from whence.index.histories import RunHistory
from whence.index.live import live_segments
from whence.index.statistics import Statistics

INDEXED_BYTES: Final = 1 << 20
"""Bytes of an archive from which on its index is used: below, to decode every line takes less time than to load the index."""
PARTIAL: Final = 4
"""The exit code of a command that gave a part of the answer, because its time was over."""
_SHOWN_LOCKED: Final = 5


class Reading(Protocol):
    """An archive to ask, within a limit of time where one was given."""

    archive: Archive
    """Its `problems` are those found so far."""

    @property
    def partial(self) -> bool:
        """Whether the time was over before an answer was whole. Known once the answer was read."""

    def told(self, tree: Filter, tell: Tell, *, limit: int | None = None, newest: bool = False) -> Told:
        """The events that match, each told, by time and then id; of many the first `limit`, or with `newest` the last."""

    def count(self, tree: Filter) -> int:
        """How many events match."""

    def errors(self, tree: Filter, limit: int) -> ErrorGroups:
        """The errors among the events that match, like ones together; of many groups the first `limit`."""

    def past(self) -> Past:
        """The causes of everything, since causes may lie in other runs."""

    def histories(self) -> dict[str | None, RunHistory]:
        """Every run's history, by run."""

    def ending(self, run: str | None, limit: int) -> Ending:
        """How a run ended, with its last events."""

    def statistics(self, tree: Filter, *, by: str, hourly: bool) -> Statistics:
        """The events that match, counted."""

    def correlations(self, tree: Filter, *, limit: int | None) -> Correlations:
        """The correlation ids of the events that match."""

    def wanted(self, tree: Filter) -> Callable[[Event], bool]:
        """The filter as a test of one event, for what reads the archive on its own."""

    def close(self) -> None:
        """Nothing more will be asked: the archive's `problems` are then all that there are."""


def open_reading(directory: Path, *, tree: Filter | None = None, timeout: float | None = None) -> Reading:
    """The archive, to be asked for what `tree` lets through.

    The index is used where it is installed and the archive is not so small that it costs more; always for causal conditions,
    which only it can answer. Raises NotFoundError where there is nothing, DataError where there is a file of no known ending.
    """
    archive = open_archive(directory)
    causal = asks_for_causes(tree or Everything())
    if causal or (directory.is_dir() and size_of(archive) >= INDEXED_BYTES):
        try:
            from whence.cli.indexed import Indexed

            return Indexed(directory, timeout)
        except ModuleNotFoundError as missing:
            if causal or (missing.name or "").startswith("whence"):
                raise
    return Scan(archive, timeout)


def open_archive(directory: Path) -> Archive:
    """The archive, which may also be a single file of OTLP JSON Lines.

    Raises NotFoundError where there is nothing, DataError where there is a file of no ending that is known.
    """
    archive = Archive(directory)
    if not directory.is_dir() and not archive.segments():
        raise DataError(
            f"cannot read {directory}: neither a directory nor a file that ends in .jsonl, .jsonl.zst or the like"
        )
    return archive


def size_of(archive: Archive) -> int:
    """Bytes of all files of lines, as far as they can be looked at."""
    found = 0
    for segment in archive.segments():
        with suppress(OSError):
            fd, _ = segment.open()
            try:
                found += os.fstat(fd).st_size
            finally:
                os.close(fd)
    return found


def asks_for_causes(tree: Filter) -> bool:
    """Whether any part of a filter is a causal condition."""
    if isinstance(tree, (Both, Either)):
        return any(map(asks_for_causes, tree.parts))
    return asks_for_causes(tree.part) if isinstance(tree, Negation) else isinstance(tree, Causal)


def read_past(directory: Path) -> Past:
    """The causes of the whole archive, since causes may lie in other runs; what was skipped is told. Raises NotFoundError."""
    reading = open_reading(directory)
    past = reading.past()
    close(reading, directory)
    return past


def close(reading: Reading, directory: Path) -> int:
    """Say on standard error what the answer lacks; gives the exit code."""
    reading.close()
    return finish(reading.archive, directory, partial=reading.partial)


def finish(archive: Archive, directory: Path, *, partial: bool = False) -> int:
    """Say on standard error what had to be skipped, and whether the answer is a part; gives the exit code."""
    tell_problems(archive, directory)
    if partial:
        note("partial: the time was over before the answer was whole")
    return PARTIAL if partial else 0


def tell_problems(archive: Archive, directory: Path) -> None:
    """Say on standard error how many places of the archive were skipped, if any; a file still being written has no tail."""
    if not archive.problems:
        return
    live = live_segments(archive)
    locked = [problem for problem in archive.problems if problem.kind == "locked"]
    for problem in locked[:_SHOWN_LOCKED]:
        note(f"{problem.segment} is missing: {problem.detail}")
    if len(locked) > _SHOWN_LOCKED:
        note(f"{len(locked) - _SHOWN_LOCKED} more encrypted files are missing")
    count = sum(problem.kind != "tail" or problem.segment not in live for problem in archive.problems) - len(locked)
    if count:
        places = "place was" if count == 1 else "places were"
        note(f"{count} damaged {places} skipped: whence verify -a {directory} names each")
