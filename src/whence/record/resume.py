"""Going on with a run that the archive already has: where its numbering stands, and which idempotency keys were used."""

from itertools import chain
from pathlib import Path

import orjson

from whence.archive.names import safe_group
from whence.archive.reader import Archive, Segment, StoredLine
from whence.errors import WhenceError
from whence.event import names
from whence.event.model import Event
from whence.otlp.decode import events_of
from whence.record.causes import EventRef

_KEY = orjson.dumps(names.IDEMPOTENCY_KEY)
_SEQ = orjson.dumps(names.SEQ)


def last_seq(directory: Path, run: str) -> int:
    """The greatest sequence number the archive has for this run, or 0. Reads only the ends of its files: numbers rise there,
    but behind the last one may stand lines without any, of ordinary logging or about drops."""
    return max((_last_in(segment, run) for segment in _segments(directory, run)), default=0)


def _last_in(segment: Segment, run: str) -> int:
    count = 1
    while True:
        lines = segment.last_lines(count)
        for line in reversed(lines):
            numbers = (
                [event.seq for event in _read(line) if event.run == run and event.seq] if _SEQ in line.data else []
            )
            if numbers:
                return max(numbers)
        if len(lines) < count:
            return 0
        count *= 8


def known_keys(directory: Path, run: str) -> dict[str, EventRef]:
    """Every idempotency key recorded in this run, with the event it stands for. Reads all of the run's log lines."""
    found = {}
    for segment in _segments(directory, run):
        for event in chain.from_iterable(_read(line) for line in segment.lines() if _KEY in line.data):
            key = event.attributes.get(names.IDEMPOTENCY_KEY)
            if event.run == run and isinstance(key, str):
                found[key] = EventRef(event.id, event.type, run, event.seq)
    return found


def _segments(directory: Path, run: str) -> list[Segment]:
    if not (directory / safe_group(run)).is_dir():
        return []
    return Archive(directory).segments(groups={safe_group(run)}, signal="logs")


def _read(line: StoredLine) -> list[Event]:
    try:
        return events_of(line.data, line.place)
    except WhenceError:
        return []  # a damaged line has nothing to go on with; `verify` and every reader report it
