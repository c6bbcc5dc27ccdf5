"""`whence last`: how a run ended, and what was still open."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from whence.cli.lines import Origins, Told, clock_text, duration_text, row_of
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption, RunOption
from whence.cli.output import screen, write, write_json
from whence.cli.reading import close, open_reading
from whence.cli.runs import STYLES
from whence.cli.screen import Screen
from whence.cli.text import safe
from whence.errors import NotFoundError
from whence.event.flat import to_flat
from whence.index.endings import Ending
from whence.index.histories import RunHistory, State, history_json
from whence.index.live import live_groups, run_state


def last(
    *,
    archive: ArchiveOption = ARCHIVE,
    run: RunOption = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, metavar="N", help="How many of the last events.")] = 10,
    json: JsonOption = False,
) -> int:
    """Show how a run ended and what was still open.

    Of the newest run, or the one given: whether it finished, is running or was cut off; its last events; and what had
    begun and not ended: tasks, stages, turns and the like by their events, spans by the events that happened in them.
    """
    reading = open_reading(archive)
    history = newest(reading.histories(), run, archive)
    state = run_state(history, live_groups(reading.archive))
    ending = reading.ending(history.id, limit)
    if json:
        write_json([ending_json(history, state, ending)])
        return close(reading, archive)
    there, origins = screen(), Origins({history.id: (ending.start, None)})
    write([headline(history, state, there)])
    write(Told.of([row_of(event, there) for event in ending.last], origins).lines(there))
    write(open_lines(ending, origins, there))
    return close(reading, archive)


def newest(found: dict[str | None, RunHistory], run: str | None, archive: Path) -> RunHistory:
    """The run asked for, else the one that started last. Raises NotFoundError."""
    if run is not None:
        if run not in found:
            raise NotFoundError(
                f"cannot find the run {run!r} in {archive}: whence runs -a {archive} lists those there are"
            )
        return found[run]
    if not found:
        raise NotFoundError(f"cannot show a run of {archive}: it has no events yet")
    return max(found.values(), key=lambda history: (history.start, history.id or ""))


def headline(history: RunHistory, state: State, screen: Screen) -> str:
    """What became of the run, in one line."""
    ended = {
        "running": "is running",
        "finished": f"finished ({safe(history.status)})" if history.status else "finished",
        "crashed": "was killed or crashed: it began, never finished, and nobody is writing it",
        "unknown": "does not say whether it finished",
    }[state]
    name = f" ({safe(history.name)})" if history.name and history.name != history.id else ""
    counts = f"{history.events} events, {history.errors} errors in {duration_text(history.last - history.start)}"
    id = safe(history.id if history.id is not None else "(none)")
    return (
        f"run {id}{name} {screen.paint(ended, STYLES[state])}; {counts}; last event at {clock_text(history.last)} UTC"
    )


def open_lines(ending: Ending, origins: Origins, screen: Screen) -> Iterator[str]:
    """What had begun and not ended."""
    if not ending.open and not ending.spans:
        yield "nothing was left open"
        return
    yield screen.paint("still open", "strong")
    yield from Told.of([row_of(event, screen) for event in ending.open], origins).lines(screen)
    for span, count in ending.spans:
        yield f"  {safe(span)} never ended: {count} {'event' if count == 1 else 'events'} happened in it"


def ending_json(history: RunHistory, state: State, ending: Ending) -> dict[str, Any]:
    """How the run ended as one JSON object."""
    return {
        **history_json(history, state),
        "last_events": [to_flat(event) for event in ending.last],
        "open": [to_flat(event) for event in ending.open],
        "open_spans": [{"id": span, "events": count} for span, count in ending.spans],
    }
