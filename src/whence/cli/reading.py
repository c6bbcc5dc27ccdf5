"""The doers that read: events from the archive, the graph of all its causes, and the events of an answer."""

import fcntl
import os
from array import array
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from whence.archive.names import safe_group
from whence.archive.reader import Archive, Segment, StoredLine
from whence.archive.scan import Problem
from whence.causality.graph import Graph
from whence.cli.history import RunHistory, State
from whence.cli.lines import Origins
from whence.cli.output import note
from whence.errors import DataError, NotFoundError
from whence.event.model import Event
from whence.otlp.decode import Place, events_of

_SHOWN_LOCKED: Final = 5
if TYPE_CHECKING:
    from whence.index.engine import Engine

INDEXED_BYTES: Final = 1 << 20
"""Bytes of an archive from which on its index is used: below, to decode every line takes less time than to load the index."""
_ONE_BY_ONE: Final = 16
"""Lines of one file that are read each on its own; for more, reading through the file is quicker."""


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


def read_events(directory: Path, *, quiet: bool = False) -> Iterator[Event]:
    """Every event of the archive, each once; what could not be read is counted on standard error at the end.

    `quiet`: not said, because it was said already. Raises NotFoundError where there is no archive.
    """
    archive = open_archive(directory)
    yield from archive.events()
    if not quiet:
        tell_problems(archive, directory)


def tell_problems(archive: Archive, directory: Path) -> None:
    """Say on standard error how many places of the archive were skipped, if any; a file still being written has no tail."""
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


@dataclass(slots=True)
class Past:
    """The causes of everything in an archive, when its runs began, and where each event stands."""

    archive: Archive
    graph: Graph = field(default_factory=Graph)
    origins: Origins = field(default_factory=Origins)
    _stems: dict[str, int] = field(default_factory=dict)
    _stem: "array[int]" = field(default_factory=lambda: array("i"))
    _offset: "array[int]" = field(default_factory=lambda: array("q"))

    def note(self, event: Event, place: Place) -> None:
        """Take in one event, which stands there; the first of an id counts."""
        if event.id not in self.graph:
            self.graph.add(event)
            self.origins.note(event)
            node = self.graph.number(event.id)
            for column in (self._stem, self._offset):
                column.extend([-1] * (len(self.graph.ids) - len(column)))
            self._stem[node] = self._stems.setdefault(place.stem, len(self._stems))
            self._offset[node] = place.offset

    def load(self, ids: Iterable[str]) -> dict[str, Event]:
        """The events of these ids, read again: only their causes are kept in memory. Ids that are nowhere are left out."""
        wanted = {id for id in ids if id in self.graph}
        stems = list(self._stems)
        offsets: dict[str, set[int]] = {}
        for id in wanted:
            node = self.graph.number(id)
            offsets.setdefault(stems[self._stem[node]], set()).add(self._offset[node])
        lines = (line for stem, of in offsets.items() for line in self._lines(stem, of))
        return {event.id: event for line in lines for event in events_of(line.data, line.place) if event.id in wanted}

    def _lines(self, stem: str, offsets: set[int]) -> Iterator[StoredLine]:
        """The lines of one file at these offsets: a few one by one, many in one go."""
        if len(offsets) <= _ONE_BY_ONE:
            for offset in offsets:
                place = Place(stem, offset)
                yield StoredLine(place, self.archive.read_line(place))
        else:
            for segment in self.archive.segments():
                if segment.stem == stem:
                    lines = segment.lines(start=min(offsets))
                    yield from (line for line in lines if line.place.offset in offsets)


@dataclass(slots=True)
class IndexedPast(Past):
    """The same out of the index, which knows it without decoding a line."""

    engine: "Engine | None" = None

    def load(self, ids: Iterable[str]) -> dict[str, Event]:
        """The events of these ids."""
        return self.engine.load(ids) if self.engine else {}


def open_engine(directory: Path) -> "Engine | None":
    """The index of an archive; None where it is not installed, or where the archive is so small that it costs more."""
    archive = open_archive(directory)
    if not directory.is_dir() or size_of(archive) < INDEXED_BYTES:
        return None
    try:
        from whence.index.engine import Engine
    except ModuleNotFoundError:
        return None
    return Engine(directory)


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


def indexed_past(engine: "Engine") -> Past:
    """The causes of everything, from the index."""
    graph = engine.graph()
    past = IndexedPast(engine.archive, graph, Origins(graph.origins()), engine=engine)
    engine.archive.problems[:] = engine.problems()
    return past


def read_past(directory: Path) -> Past:
    """The causes of the whole archive, since causes may lie in other runs. Raises NotFoundError."""
    engine = open_engine(directory)
    if engine is not None:
        past = indexed_past(engine)
        tell_problems(past.archive, directory)
        return past
    past = Past(open_archive(directory))
    for event, place in placed_events(past.archive):
        past.note(event, place)
    tell_problems(past.archive, directory)
    return past


def placed_events(archive: Archive) -> Iterator[tuple[Event, Place]]:
    """Every event with its place; one that stands in several places is given with each."""
    for line in archive.lines():
        try:
            events = events_of(line.data, line.place)
        except DataError as fault:
            problem = Problem(line.place.stem, line.place.offset, len(line.data), "bad line", str(fault))
            archive.problems.append(problem)
            continue
        for event in events:
            yield event, line.place


def pick_event(past: Past, text: str, run: str | None) -> str:
    """The one event, of that run if one is given, whose id is `text` or else begins or ends with it.

    Raises NotFoundError where there is none, BadParameter where there are several.
    """
    graph = past.graph
    if run is None and text in graph:
        return text
    return pick(text, graph.all_events() if run is None else graph.events_of(run))


def pick(text: str, ids: Iterable[str]) -> str:
    """The one id that is `text`, or else begins or ends with it. Raises NotFoundError or BadParameter otherwise."""
    found = []
    for id in ids:
        if id == text:
            return id
        if text and (id.startswith(text) or id.endswith(text)):
            found.append(id)
    if not found:
        raise NotFoundError(f"cannot find the event {text!r}: no id is that, begins or ends with it")
    if len(found) > 1:
        raise typer.BadParameter(
            f"{text!r} fits {len(found)} events ({', '.join(found[:3])}, ...): give more of the id."
        )
    return found[0]


def live_segments(archive: Archive) -> dict[str, str]:
    """The segments that some process is writing now: their names as problems have them, and their groups."""
    return {segment.label: segment.group for segment in archive.segments() if is_live(segment)}


def is_live(segment: Segment) -> bool:
    """Whether some process is writing this segment now: a writer holds its file's lock until the segment is sealed."""
    if segment.name is None:
        return False
    try:
        fd, form = segment.open()
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return not form
    except OSError:
        return False  # a file system without locks does not tell
    finally:
        os.close(fd)
    return False


def live_groups(directory: Path) -> set[str]:
    """The groups of the archive that some process is writing now."""
    return set(live_segments(open_archive(directory)).values())


def run_state(history: RunHistory, live: Container[str]) -> State:
    """The state of a run, given the groups being written."""
    return history.state(history.id is not None and safe_group(history.id) in live)
