"""`whence tail`: events as they are recorded, across processes, rotation and sealing."""

import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Annotated, Final

import typer

from whence.archive.follow import follow
from whence.archive.reader import StoredLine
from whence.archive.sieve import Sieve
from whence.cli.lines import clock_text, row_of
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption
from whence.cli.output import note, screen, write
from whence.cli.screen import Screen
from whence.cli.select import selecting
from whence.cli.text import to_json
from whence.errors import ConfigError, DataError
from whence.event.flat import to_flat
from whence.event.model import Event
from whence.filter.match import matcher
from whence.filter.tree import Filter

_REMEMBERED: Final = 100_000
"""Ids already shown, so that a line written anew after trouble is not shown twice."""


@selecting()
def tail(
    *,
    archive: ArchiveOption = ARCHIVE,
    wanted: Filter,
    from_start: Annotated[bool, typer.Option("--from-start", help="What was recorded before, too.")] = False,
    json: JsonOption = False,
) -> None:
    """Show events as they are recorded.

    From every process that writes the archive, until Ctrl-C; an archive that does not exist yet is waited for.
    Times are in UTC. For the last events there are already: whence log --tail N. A filter can ask for anything but causes,
    which only the whole archive knows.
    """
    if archive.exists() and not archive.is_dir():
        raise ConfigError(f"cannot follow {archive}: it is not a directory; name another with --archive")
    fits = matcher(wanted)
    there = screen()
    if not archive.exists():
        note(f"waiting for {archive}")
    sieve = Sieve(wanted)
    for event in each_once(follow(archive, from_start=from_start, stop=threading.Event(), sieve=sieve), sieve):
        if fits(event):
            write([to_json(to_flat(event)) if json else event_line(event, there)])
            sys.stdout.flush()


def event_line(event: Event, screen: Screen) -> str:
    """One event as it comes."""
    return f"{screen.paint(clock_text(event.time), 'dim')} {row_of(event, screen).text}"


def each_once(lines: Iterable[StoredLine], sieve: Sieve | None = None) -> Iterator[Event]:
    """The events of the lines, of what the sieve lets through; one written anew after trouble not twice, what is no OTLP told."""
    shown: OrderedDict[str, None] = OrderedDict()
    for line in lines:
        if not line.kept:
            continue
        try:
            events = line.decoded(sieve).events
        except DataError as fault:
            note(f"{line.place.stem} at byte {line.place.offset}, skipped: {fault}")
            continue
        for event in events:
            if event.id not in shown:
                shown[event.id] = None
                yield event
        while len(shown) > _REMEMBERED:
            shown.popitem(last=False)
