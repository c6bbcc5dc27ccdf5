"""How a chain of causes is told: one line a hop, causes above effects, what was recorded told apart from what is inferred.

The law: pure. A recorded cause is drawn with a solid arrow, a guess with a dashed one that says what it rests on.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from whence.causality.chains import Chain, Hop
from whence.causality.graph import Basis, Tie
from whence.cli.lines import Origins, elapsed_text, lane_of, mark_of, story_of, style_of
from whence.cli.screen import Screen
from whence.cli.text import cut, pad, safe, width_of
from whence.event.model import Event

SOLID: Final = "─▶"
DASHED: Final = "╌▶"
_SHOWN_CAUSES: Final = 4
_WORDS: Final = {
    Basis.PARENT_SPAN: "its parent span",
    Basis.ENCLOSING_SPAN: "the span it is in",
    Basis.PREVIOUS_OF_AGENT: "the same agent's previous event",
}


def chain_lines(chain: Chain, events: Mapping[str, Event], origins: Origins, screen: Screen) -> Iterator[str]:
    """The chain, a line a hop with the numbers of its causes; then its cycles, and what the arrows mean.

    `events` has every event of the chain by id.
    """
    numbers = {hop.id: n for n, hop in enumerate(chain.hops, 1)}
    arrows = [_arrows(hop, numbers) for hop in chain.hops]
    told = [events[hop.id] for hop in chain.hops]
    times = [elapsed_text(origins.elapsed(event.run, event.time, event.elapsed_ns)) for event in told]
    lanes = [lane_of(event) for event in told]
    types = [safe(event.type) or f"({event.signal})" for event in told]
    columns = tuple(max(map(width_of, column)) for column in (arrows, times, lanes, types))
    several_runs = len({event.run for event in told}) > 1
    before: str | None = None
    for hop, arrow, time, lane, type in zip(chain.hops, arrows, times, lanes, types, strict=True):
        event = events[hop.id]
        if several_runs and (before is None or event.run != before):
            yield screen.paint(f"   run {safe(event.run or '(none)')}", "dim")
            before = event.run
        start = f"{numbers[hop.id]:>{len(str(len(numbers)))}}  {pad(arrow, columns[0])}  {time:>{columns[1]}}  "
        cells = f"{pad(lane, min(columns[2], 24))}  {mark_of(event)} {type}{' ' * (columns[3] - width_of(type))}  "
        story = story_of(event)
        if screen.width is not None:
            story = cut(story, max(screen.width - width_of(start) - width_of(cells), 10))
        if not story:
            cells = cells.rstrip()
        style = "strong" if hop.id == chain.event_id else style_of(event)
        yield f"{start}{screen.paint(cells, style)}{story}".rstrip()
        yield from (screen.paint(f"     {note}", "warning") for note in _notes(hop, chain.direction))
    yield from (_cycle_line(cycle, numbers, screen) for cycle in chain.cycles)
    yield from _legend(chain, screen)


def _arrows(hop: Hop, numbers: Mapping[str, int]) -> str:
    """`3,4 ─▶` for the recorded causes, `2 ╌▶` for the inferred ones."""
    parts = []
    for recorded, arrow in ((True, SOLID), (False, DASHED)):
        found = sorted(numbers[tie.id] for tie in hop.causes if (tie.basis is Basis.RECORDED) is recorded)
        if found:
            more = f",… {len(found)} in all" if len(found) > _SHOWN_CAUSES else ""
            parts.append(f"{','.join(map(str, found[:_SHOWN_CAUSES]))}{more} {arrow}")
    return " ".join(parts)


def _notes(hop: Hop, direction: str) -> Iterator[str]:
    yield from (f"{safe(missing)} {SOLID} a recorded cause that is nowhere in this archive" for missing in hop.missing)
    if hop.beyond:
        yield f"{hop.beyond} more {'causes' if direction == 'upstream' else 'effects'} not followed: see --depth, --limit"


def _cycle_line(cycle: tuple[str, ...], numbers: Mapping[str, int], screen: Screen) -> str:
    shown = [str(numbers[id]) for id in cycle[:20]] + ["…"] * (len(cycle) > 20) + [str(numbers[cycle[0]])]
    return screen.paint(f"cycle: {f' {SOLID} '.join(shown)}", "error")


def _legend(chain: Chain, screen: Screen) -> Iterator[str]:
    guesses = {tie.basis for hop in chain.hops for tie in hop.causes} - {Basis.RECORDED}
    if guesses:
        words = ", ".join(_WORDS[basis] for basis in Basis if basis in guesses)
        yield screen.paint(f"{SOLID} recorded by the program   {DASHED} inferred from {words}", "dim")


def tie_line(tie: Tie, event: Event | None, screen: Screen) -> str:
    """One cause or effect of an event, seen from that event."""
    arrow = SOLID if tie.basis is Basis.RECORDED else DASHED
    if event is None:
        return f"  {arrow} {safe(tie.id)}  {screen.paint('nowhere in this archive', 'warning')}"
    guess = "" if tie.basis is Basis.RECORDED else f"  (inferred: {_WORDS[tie.basis]})"
    type = screen.paint(safe(event.type) or f"({event.signal})", style_of(event))
    return f"  {arrow} {safe(tie.id)}  {type}  {cut(story_of(event), 80)}{guess}".rstrip()
