"""`whence errors`: errors, like ones together, with their root causes."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import typer

from whence.cli.lines import clock_text, lane_of, story_of
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption
from whence.cli.output import note, screen, write, write_json
from whence.cli.reading import close, open_reading
from whence.cli.screen import Screen
from whence.cli.select import selecting
from whence.cli.text import cut, safe
from whence.event.flat import format_time, to_flat
from whence.event.model import Event
from whence.filter.tree import Filter
from whence.index.error_groups import KEPT_LANES, ErrorGroup, Roots, roots_of

_SHOWN_LANES: Final = 4
_SHOWN_ROOTS: Final = 3


@selecting()
def errors(
    *,
    archive: ArchiveOption = ARCHIVE,
    wanted: Filter,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The N most frequent only.")] = 50,
    json: JsonOption = False,
) -> int:
    """Show errors, like ones together, with their root causes.

    Errors are events of severity error or worse, failed spans among them. Those of one type and message are told once,
    the most frequent first, with where the recorded causes of the first 20 of them began.
    """
    reading = open_reading(archive, tree=wanted)
    groups = reading.errors(wanted, limit)
    past = reading.past()
    shown = [(group, roots_of(past.graph, group)) for group in groups.of]
    events = past.load({group.first for group, _ in shown} | {root for _, roots in shown for root in roots.counts})
    if json:
        write_json(group_json(group, roots, events) for group, roots in shown)
    elif shown:
        there = screen()
        write(line for group, roots in shown for line in group_lines(group, roots, events, there))
    else:
        write(["no errors"])
    if groups.total > len(shown):
        note(f"{groups.total - len(shown)} more kinds of errors are not shown: see --limit")
    return close(reading, archive)


def group_lines(group: ErrorGroup, roots: Roots, events: Mapping[str, Event], screen: Screen) -> Iterator[str]:
    """The error, where and when, and its root causes."""
    first = events[group.first]
    type = screen.paint(safe(first.type) or f"({first.signal})", "error")
    yield f"{group.count:>5}×  {type}  {cut(safe(group.message), 160)}".rstrip()
    until = f" to {clock_text(group.last)}" if group.count > 1 else ""
    yield screen.paint(f"        {_whose(group)}  {clock_text(first.time)}{until}  whence why {safe(first.id)}", "dim")
    for root, count in list(roots.counts.items())[:_SHOWN_ROOTS]:
        event = events[root]
        of = f"  ({count} of {roots.traced})" if roots.traced > 1 else ""
        story = cut(story_of(event), 100)
        yield f"        root cause: {safe(event.type) or safe(event.id)}  {lane_of(event)}  {story}{of}".rstrip()
    more = len(roots.counts) - _SHOWN_ROOTS
    if more > 0:
        yield screen.paint(f"        and {more} more root causes", "dim")
    if roots.cut:
        yield screen.paint("        not all causes were followed: there are too many", "dim")


def _whose(group: ErrorGroup) -> str:
    lanes = [safe(lane) for lane in sorted(group.lanes)]
    more = len(lanes) - _SHOWN_LANES
    many = "at least " if len(lanes) == KEPT_LANES else ""
    return ", ".join(lanes[:_SHOWN_LANES]) + (f" and {many}{more} more" if more > 0 else "")


def group_json(group: ErrorGroup, roots: Roots, events: Mapping[str, Event]) -> dict[str, Any]:
    """The group as a JSON object, with its first error and the root causes in flat form.

    `root_errors`: of the `traced` errors, how many each of `roots` led to. `cut`: not all causes were followed.
    """
    return {
        "type": group.type,
        "message": group.message,
        "count": group.count,
        "first_time": format_time(events[group.first].time),
        "last_time": format_time(group.last),
        "lanes": sorted(group.lanes),
        "first": to_flat(events[group.first]),
        "roots": [to_flat(events[root]) for root in roots.counts],
        "root_errors": list(roots.counts.values()),
        "traced": roots.traced,
        "cut": roots.cut,
    }
