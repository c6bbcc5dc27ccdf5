"""`whence errors`: errors, like ones together, with their root causes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from whence.causality.chains import upstream
from whence.causality.graph import Graph
from whence.cli.lines import clock_text, is_error, lane_of, story_of
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption, RunOption
from whence.cli.output import screen, write, write_json
from whence.cli.reading import Past, open_archive, placed_events, tell_problems
from whence.cli.screen import Screen
from whence.cli.text import cut, safe
from whence.event import names
from whence.event.flat import format_time, to_flat
from whence.event.model import Event

_MAX_HOPS = 10_000
"""How much of an error's chain is walked for its roots."""


@dataclass(slots=True)
class ErrorGroup:
    """Errors of one type and message: the first one, how many, when first and last, whose, and the first one's root causes."""

    first: Event
    message: str
    count: int = 0
    last: int = 0
    lanes: dict[str, None] = field(default_factory=dict)
    roots: tuple[str, ...] = ()

    def note(self, event: Event) -> None:
        """Take in one error of this group."""
        if (event.time, event.id) < (self.first.time, self.first.id):
            self.first = event
        self.count += 1
        self.last = max(self.last, event.time)
        self.lanes[lane_of(event)] = None


def errors(*, archive: ArchiveOption = ARCHIVE, run: RunOption = None, json: JsonOption = False) -> None:
    """Show errors, like ones together, with their root causes.

    Errors are events of severity error or worse, failed spans among them. Those of one type and message are told once,
    the most frequent first, with the root causes of the first of them.
    """
    past = Past(open_archive(archive))
    groups = group_errors(_noted(past), run)
    tell_problems(past.archive, archive)
    for group in groups:
        group.roots = roots_of(past.graph, group.first.id)
    events = past.load({root for group in groups for root in group.roots} - {group.first.id for group in groups})
    events.update({group.first.id: group.first for group in groups})
    if json:
        write_json(group_json(group, events) for group in groups)
    elif groups:
        write(line for group in groups for line in group_lines(group, events, screen()))
    else:
        write(["no errors"])


def _noted(past: Past) -> Iterator[Event]:
    """Every event once, its causes taken in."""
    for event, place in placed_events(past.archive):
        if event.id not in past.graph:
            past.note(event, place)
            yield event


def group_errors(events: Iterable[Event], run: str | None) -> list[ErrorGroup]:
    """The errors among the events, the most frequent group first, then the earliest."""
    groups: dict[tuple[str, str], ErrorGroup] = {}
    for event in events:
        if is_error(event) and (run is None or event.run == run):
            message = message_of(event)
            group = groups.setdefault((event.type, message), ErrorGroup(event, message))
            group.note(event)
    return sorted(groups.values(), key=lambda group: (-group.count, group.first.time))


def message_of(event: Event) -> str:
    """What an error says: its exception's message, else its own."""
    said = event.attributes.get(names.EXCEPTION_MESSAGE) or event.attributes.get(names.SPAN_STATUS_MESSAGE)
    said = said or event.payload.get("error") or event.payload.get("message") or event.description
    kind = event.attributes.get(names.EXCEPTION_TYPE) or event.payload.get("error_type")
    return ": ".join(str(part) for part in (kind, said) if part)


def roots_of(graph: Graph, event_id: str) -> tuple[str, ...]:
    """The events at the beginning of what led to this one, without itself, the earliest first."""
    chain = upstream(graph, event_id, max_hops=_MAX_HOPS)
    return tuple(hop.id for hop in chain.hops if not hop.causes and hop.id != event_id)


def group_lines(group: ErrorGroup, events: Mapping[str, Event], screen: Screen) -> Iterator[str]:
    """The error, where and when, and its root causes."""
    type = screen.paint(safe(group.first.type) or f"({group.first.signal})", "error")
    yield f"{group.count:>5}×  {type}  {cut(safe(group.message), 160)}".rstrip()
    lanes = list(group.lanes)
    whose = ", ".join(lanes[:4]) + (f" and {len(lanes) - 4} more" if len(lanes) > 4 else "")
    until = f" to {clock_text(group.last)}" if group.count > 1 else ""
    yield screen.paint(
        f"        {whose}  {clock_text(group.first.time)}{until}  whence why {safe(group.first.id)}", "dim"
    )
    for root in group.roots[:3]:
        event = events[root]
        yield f"        root cause: {safe(event.type) or safe(event.id)}  {lane_of(event)}  {cut(story_of(event), 100)}".rstrip()
    if len(group.roots) > 3:
        yield screen.paint(f"        and {len(group.roots) - 3} more root causes", "dim")


def group_json(group: ErrorGroup, events: Mapping[str, Event]) -> dict[str, Any]:
    """The group as a JSON object, with its first error and that one's root causes in flat form."""
    return {
        "type": group.first.type,
        "message": group.message,
        "count": group.count,
        "first_time": format_time(group.first.time),
        "last_time": format_time(group.last),
        "lanes": list(group.lanes),
        "first": to_flat(group.first),
        "roots": [to_flat(events[root]) for root in group.roots],
    }
