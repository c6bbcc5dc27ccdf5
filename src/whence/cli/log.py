"""`whence log`: events in the order of time."""

import time
from collections.abc import Iterable, Iterator
from heapq import nlargest, nsmallest
from typing import Annotated

import typer

from whence.cli.lines import Origins, Row, clock_text, elapsed_text, row_of
from whence.cli.options import (
    ARCHIVE,
    AgentOption,
    ArchiveOption,
    CorrelationOption,
    JsonOption,
    KindOption,
    RunOption,
    SeverityOption,
    TaskOption,
    TurnOption,
    TypeOption,
    selection,
)  # fmt: skip
from whence.cli.output import screen, write
from whence.cli.reading import read_events
from whence.cli.screen import Screen
from whence.cli.text import to_json
from whence.event.flat import to_flat
from whence.event.model import Event


def log(
    *,
    archive: ArchiveOption = ARCHIVE,
    run: RunOption = None,
    type: TypeOption = None,
    kind: KindOption = None,
    agent: AgentOption = None,
    task: TaskOption = None,
    correlation: CorrelationOption = None,
    turn: TurnOption = None,
    severity: SeverityOption = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Not before this time, or 5m ago.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Not after this time.")] = None,
    limit: Annotated[int | None, typer.Option(min=0, metavar="N", help="The first N only.")] = None,
    tail: Annotated[int | None, typer.Option(min=0, metavar="N", help="The last N only.")] = None,
    count: Annotated[bool, typer.Option("--count", help="How many there are, and nothing else.")] = False,
    json: JsonOption = False,
) -> None:
    """Show events in the order of time.

    A line an event: when, what kind it is, whose (agent and task), its type, what happened, and how many causes the
    program recorded for it. Times are elapsed since the run's start where all events are of one run, else UTC.
    """
    if limit is not None and tail is not None:
        raise typer.BadParameter("--limit and --tail exclude each other: choose one.")
    wanted = selection(
        run=run, type=type, kind=kind, agent=agent, task=task, correlation=correlation, turn=turn, severity=severity,
        since=since, until=until, now=time.time_ns(),
    )  # fmt: skip
    if count:
        write([str(sum(map(wanted.has, read_events(archive))))])
        return
    origins, there = Origins(), screen()

    def rows() -> Iterator[Row]:
        for event in read_events(archive):
            origins.note(event)
            if wanted.has(event):
                yield json_row(event) if json else row_of(event, there)

    found = ordered(rows(), limit, tail)
    write((row.text for row in found) if json else timed(found, origins, there))


def json_row(event: Event) -> Row:
    """The event in JSON, with what it is ordered by."""
    return Row(event.time, event.id, event.run, event.elapsed_ns, to_json(to_flat(event)))


def ordered(rows: Iterable[Row], limit: int | None, tail: int | None) -> list[Row]:
    """By time, then id; of many only those wanted are ever kept."""
    if limit is not None:
        return nsmallest(limit, rows, key=_order)
    if tail is not None:
        return nlargest(tail, rows, key=_order)[::-1]
    return sorted(rows, key=_order)


def _order(row: Row) -> tuple[int, str]:
    return row.time, row.id


def timed(rows: list[Row], origins: Origins, screen: Screen) -> Iterator[str]:
    """The rows with their times before them: elapsed where all are of one run, else by the clock."""
    if len({row.run for row in rows}) == 1:
        times = [elapsed_text(origins.elapsed(row.run, row.time, row.elapsed)) for row in rows]
    else:
        times = [clock_text(row.time) for row in rows]
    width = max(map(len, times), default=0)
    return (f"{screen.paint(f'{time:>{width}}', 'dim')} {row.text}" for time, row in zip(times, rows, strict=True))
