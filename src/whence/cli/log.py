"""`whence log`: events in the order of time."""

from collections.abc import Callable
from typing import Annotated

import typer

from whence.cli.lines import Row, row_of
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption, TimeoutOption, parse_timeout
from whence.cli.output import screen, write
from whence.cli.reading import close, open_reading
from whence.cli.select import selecting
from whence.cli.text import to_json
from whence.event.flat import to_flat
from whence.event.model import Event
from whence.filter.tree import Filter


@selecting()
def log(
    *,
    archive: ArchiveOption = ARCHIVE,
    wanted: Filter,
    limit: Annotated[int | None, typer.Option(min=0, metavar="N", help="The first N only.")] = None,
    tail: Annotated[int | None, typer.Option(min=0, metavar="N", help="The last N only.")] = None,
    count: Annotated[bool, typer.Option("--count", help="How many there are, and nothing else.")] = False,
    timeout: TimeoutOption = None,
    json: JsonOption = False,
) -> int:
    """Show events in the order of time.

    A line an event: when, what kind it is, whose (agent and task), its type, what happened, and how many causes the
    program recorded for it. Times are elapsed since the run's start where all events are of one run, else UTC.
    """
    if limit is not None and tail is not None:
        raise typer.BadParameter("--limit and --tail exclude each other: choose one.")
    reading = open_reading(archive, tree=wanted, timeout=parse_timeout(timeout))
    if count:
        write([str(reading.count(wanted))])
        return close(reading, archive)
    there = screen()
    tell: Callable[[Event], Row] = json_row if json else lambda event: row_of(event, there)
    found = reading.told(wanted, tell, limit=limit if tail is None else tail, newest=tail is not None)
    write((row.text for row in found.rows) if json else found.lines(there))
    return close(reading, archive)


def json_row(event: Event) -> Row:
    """The event in JSON, with what it is ordered by."""
    return Row(event.time, event.id, event.run, event.elapsed_ns, to_json(to_flat(event)))
