"""Going on with a run that the archive already has: where its numbering stands, and which idempotency keys were used."""

from collections.abc import Iterator
from pathlib import Path

import orjson

from whence.archive.names import safe_group
from whence.archive.reader import Archive
from whence.errors import WhenceError
from whence.event import names
from whence.event.model import Event
from whence.otlp.decode import events_of
from whence.record.causes import EventRef

_KEY = orjson.dumps(names.IDEMPOTENCY_KEY)


def last_seq(directory: Path, run: str) -> int:
    """The greatest sequence number the archive has for this run, or 0. Reads the last line of each of its files only."""
    greatest = 0
    for event in _events(directory, run, last_only=True):
        if event.run == run and event.seq is not None:
            greatest = max(greatest, event.seq)
    return greatest


def known_keys(directory: Path, run: str) -> dict[str, EventRef]:
    """Every idempotency key recorded in this run, with the event it stands for. Reads all of the run's log lines."""
    found = {}
    for event in _events(directory, run, last_only=False):
        key = event.attributes.get(names.IDEMPOTENCY_KEY)
        if event.run == run and isinstance(key, str):
            found[key] = EventRef(event.id, event.type, run, event.seq)
    return found


def _events(directory: Path, run: str, *, last_only: bool) -> Iterator[Event]:
    if not (directory / safe_group(run)).is_dir():
        return
    archive = Archive(directory)
    for segment in archive.segments(groups={safe_group(run)}, signal="logs"):
        lines = segment.last_lines(1) if last_only else (line for line in segment.lines() if _KEY in line.data)
        for line in lines:
            try:
                yield from events_of(line.data, line.place)
            except WhenceError:
                continue  # a damaged line has nothing to go on with; `verify` and every reader report it
