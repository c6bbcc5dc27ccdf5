"""`whence correlations`: what happened under each correlation id."""

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from whence.cli.columns import in_columns
from whence.cli.lines import clock_text, duration_text
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption, TimeoutOption, parse_timeout
from whence.cli.output import note, screen, write, write_json
from whence.cli.reading import close, open_reading
from whence.cli.select import selecting
from whence.cli.text import safe
from whence.filter.tree import Filter
from whence.index.correlations import Correlation

_HEAD: Final = ("correlation", "events", "errors", "start (UTC)", "lasted", "first", "last", "finished")


@selecting()
def correlations(
    *,
    archive: ArchiveOption = ARCHIVE,
    wanted: Filter,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The N that something happened in last.")] = 50,
    timeout: TimeoutOption = None,
    json: JsonOption = False,
) -> int:
    """List correlation ids: what happened under each, and whether it finished.

    How many events and errors, since when and how long, and the types of the first and the last event. It finished where
    the last event's type says that something ended, such as order.completed or session_end. The latest comes first.
    """
    reading = open_reading(archive, tree=wanted, timeout=parse_timeout(timeout))
    found = reading.correlations(wanted, limit=limit)
    if json:
        write_json(one.as_json() for one in found.of)
    elif found.of:
        write(in_columns(_HEAD, map(_cells, found.of), screen(), right=(1, 2, 4)))
    elif not found.partial:
        write(["no correlation ids"])
    if found.total > len(found.of):
        note(f"{found.total - len(found.of)} more are not shown: see --limit")
    return close(reading, archive)


def _cells(one: Correlation) -> Sequence[str]:
    return (
        safe(one.id),
        str(one.events),
        str(one.errors or ""),
        clock_text(one.first)[:19],
        duration_text(one.last - one.first),
        safe(one.first_type) or "(none)",
        safe(one.last_type) or "(none)",
        "yes" if one.finished else "no",
    )
