"""`whence show`: one event whole, with its causes and effects one hop away."""

from whence.causality.flat import tie_json
from whence.causality.graph import Follow
from whence.cli.chain_lines import tie_line
from whence.cli.lines import whole
from whence.cli.options import ARCHIVE, ArchiveOption, IdArgument, JsonOption, RunOption
from whence.cli.output import screen, write, write_json
from whence.cli.past import pick_event
from whence.cli.reading import read_past
from whence.event.flat import to_flat

_SHOWN_EFFECTS = 50


def show(
    id: IdArgument,
    *,
    archive: ArchiveOption = ARCHIVE,
    run: RunOption = None,
    json: JsonOption = False,
) -> None:
    """Show one event whole, with its causes and effects.

    Causes and effects are one hop away; inferred ones are marked, recorded ones are not.
    """
    past = read_past(archive)
    found = pick_event(past, id, run)
    causes, effects = past.graph.causes(found, Follow.ALL), past.graph.effects(found, Follow.ALL)
    shown = effects if json else effects[:_SHOWN_EFFECTS]
    events = past.load({found, *(tie.id for tie in (*causes, *shown))})
    event = events[found]
    if json:
        ties = {"causes": [tie_json(tie) for tie in causes], "effects": [tie_json(tie) for tie in effects]}
        write_json([{"event": to_flat(event), **ties}])
        return
    there = screen()
    write(whole(event, there))
    for name, ties_shown, count in (("causes", causes, len(causes)), ("effects", shown, len(effects))):
        if count:
            write([there.paint(name, "strong")])
            write(tie_line(tie, events.get(tie.id), there) for tie in ties_shown)
        if count > len(ties_shown):
            write([there.paint(f"  and {count - len(ties_shown)} more: whence effects {found}", "dim")])
