"""The doers that read: events from the archive, the graph of all its causes, and the events of an answer."""

from collections.abc import Collection, Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import typer

from whence.archive.names import safe_group
from whence.archive.reader import Archive
from whence.causality.graph import Graph
from whence.cli.history import RunHistory, State
from whence.cli.lines import Origins
from whence.cli.output import note
from whence.errors import NotFoundError
from whence.event.model import Event


def read_events(directory: Path, *, quiet: bool = False) -> Iterator[Event]:
    """Every event of the archive, each once; what could not be read is counted on standard error at the end.

    `quiet`: not said, because it was said already. Raises NotFoundError where there is no archive.
    """
    archive = Archive(directory)
    yield from archive.events()
    count = len(archive.problems)
    if count and not quiet:
        places = "place was" if count == 1 else "places were"
        note(f"{count} damaged {places} skipped: whence verify -a {directory} names each")


@dataclass(frozen=True, slots=True)
class Past:
    """The causes of everything in an archive, and when its runs began."""

    directory: Path
    graph: Graph = field(default_factory=Graph)
    origins: Origins = field(default_factory=Origins)

    def note(self, event: Event) -> None:
        """Take in one event."""
        self.graph.add(event)
        self.origins.note(event)

    def load(self, ids: Collection[str]) -> dict[str, Event]:
        """The events of these ids, read again: only their causes are kept in memory. Ids that are nowhere are left out."""
        wanted = {id for id in ids if id in self.graph}
        found: dict[str, Event] = {}
        if wanted:
            for event in Archive(self.directory).events():
                if event.id in wanted:
                    found[event.id] = event
                    if len(found) == len(wanted):
                        break
        return found


def read_past(directory: Path) -> Past:
    """Read the whole archive once for its causes, since causes may lie in other runs. Raises NotFoundError."""
    past = Past(directory)
    for event in read_events(directory):
        past.note(event)
    return past


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


def live_groups(directory: Path) -> set[str]:
    """The groups of the archive that some process is writing now."""
    return {segment.group for segment in Archive(directory).segments() if is_live(segment)}


def run_state(history: RunHistory, live: Container[str]) -> State:
    """The state of a run, given the groups being written."""
    return history.state(history.id is not None and safe_group(history.id) in live)
