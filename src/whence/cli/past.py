"""The causes of everything in an archive, and the events of an answer about them.

The law: only causes and places are held; events are read again when they are to be shown.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import typer

from whence.archive.reader import Archive, StoredLine
from whence.causality.graph import Graph
from whence.cli.lines import Origins
from whence.errors import NotFoundError
from whence.event.model import Event
from whence.otlp.decode import Place, events_of

_ONE_BY_ONE: Final = 16
"""Lines of one file that are read each on its own; for more, reading through the file is quicker."""


class Past(Protocol):
    """The causes of everything, when its runs began, and any of its events."""

    graph: Graph
    origins: Origins

    def load(self, ids: Iterable[str]) -> dict[str, Event]:
        """The events of these ids, by id. Ids that are nowhere are left out."""


@dataclass(slots=True)
class ScannedPast:
    """The past as it is taken in event by event, with the place where each stands."""

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
        """The events of these ids, read again."""
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


def pick_event(past: Past, text: str, run: str | None) -> str:
    """The one event, of that run if one is given, whose id is `text` or else begins or ends with it.

    Raises NotFoundError where there is none, BadParameter where there are several.
    """
    graph = past.graph
    if run is None and text in graph:
        return text
    return _pick(text, graph.all_events() if run is None else graph.events_of(run))


def _pick(text: str, ids: Iterable[str]) -> str:
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
