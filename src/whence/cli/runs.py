"""`whence runs`: the runs in the archive, the oldest first."""

from whence.cli.columns import in_columns
from whence.cli.lines import clock_text, duration_text
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption
from whence.cli.output import screen, write, write_json
from whence.cli.reading import close, open_reading
from whence.cli.screen import Screen, Style
from whence.cli.text import safe
from whence.index.histories import RunHistory, State, history_json
from whence.index.live import live_groups, run_state

STYLES: dict[State, Style] = {"running": "good", "finished": "dim", "crashed": "error", "unknown": "dim"}
_HEAD = ("run", "name", "start (UTC)", "lasted", "events", "errors", "state")


def runs(*, archive: ArchiveOption = ARCHIVE, json: JsonOption = False) -> int:
    """List the runs in the archive.

    With its name, when it started, how long it lasted, how many events and errors it has, and its state: running,
    finished, crashed (it began, has not finished, and nobody is writing it), or unknown (recorded by something other
    than whence, which does not say).
    """
    reading = open_reading(archive)
    found = sorted(reading.histories().values(), key=lambda history: (history.start, history.id or ""))
    live = live_groups(reading.archive)
    states = [(history, run_state(history, live)) for history in found]
    if json:
        write_json(history_json(history, state) for history, state in states)
    else:
        write(table(states, screen()))
    return close(reading, archive)


def table(states: list[tuple[RunHistory, State]], screen: Screen) -> list[str]:
    """A line a run under a headline; columns as wide as they need."""
    head, *lines = in_columns(_HEAD, [_cells(history, state) for history, state in states], screen, right=(3, 4, 5))
    painted = []
    for line, (history, state) in zip(lines, states, strict=True):
        said = _state(history, state)
        painted.append(line.removesuffix(said) + screen.paint(said, STYLES[state]))
    return [head, *painted]


def _cells(history: RunHistory, state: State) -> tuple[str, ...]:
    return (
        safe(history.id if history.id is not None else "(none)"),
        safe(history.name or ""),
        clock_text(history.start)[:19],
        duration_text(history.last - history.start),
        str(history.events),
        str(history.errors),
        _state(history, state),
    )


def _state(history: RunHistory, state: State) -> str:
    failed = state == "finished" and history.status not in (None, "ok")
    return f"{state} ({safe(history.status or '')})" if failed else state
