"""`whence runs`: the runs in the archive, the oldest first."""

from whence.cli.history import RunHistory, State, histories, history_json
from whence.cli.lines import clock_text, duration_text
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption
from whence.cli.output import screen, write, write_json
from whence.cli.reading import live_groups, read_events, run_state
from whence.cli.screen import Screen, Style
from whence.cli.text import safe, width_of

STYLES: dict[State, Style] = {"running": "good", "finished": "dim", "crashed": "error", "unknown": "dim"}
_HEAD = ("run", "name", "start (UTC)", "lasted", "events", "errors", "state")


def runs(*, archive: ArchiveOption = ARCHIVE, json: JsonOption = False) -> None:
    """List the runs in the archive.

    With its name, when it started, how long it lasted, how many events and errors it has, and its state: running,
    finished, crashed (it began, has not finished, and nobody is writing it), or unknown (recorded by something other
    than whence, which does not say).
    """
    found = sorted(histories(read_events(archive)).values(), key=lambda history: (history.start, history.id or ""))
    live = live_groups(archive)
    states = [(history, run_state(history, live)) for history in found]
    if json:
        write_json(history_json(history, state) for history, state in states)
    else:
        write(table(states, screen()))


def table(states: list[tuple[RunHistory, State]], screen: Screen) -> list[str]:
    """A line a run under a headline; columns as wide as they need."""
    rows = [_cells(history, state) for history, state in states]
    widths = [max(width_of(row[n]) for row in (_HEAD, *rows)) for n in range(len(_HEAD))]
    lines = [screen.paint(_line(_HEAD, widths), "strong")]
    for row, (_, state) in zip(rows, states, strict=True):
        cells = _line(row[:-1], widths)
        lines.append(f"{cells}  {screen.paint(row[-1], STYLES[state])}")
    return lines


def _cells(history: RunHistory, state: State) -> tuple[str, ...]:
    failed = state == "finished" and history.status not in (None, "ok")
    return (
        safe(history.id if history.id is not None else "(none)"),
        safe(history.name or ""),
        clock_text(history.start)[:19],
        duration_text(history.last - history.start),
        str(history.events),
        str(history.errors),
        f"{state} ({safe(history.status or '')})" if failed else state,
    )


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    shown = []
    for n, cell in enumerate(cells):
        space = " " * (widths[n] - width_of(cell))
        shown.append(space + cell if n in (3, 4, 5) else cell + space)
    return "  ".join(shown).rstrip()
