"""`whence why` and `whence effects`: the chain that led to an event, and the one it led to."""

from typing import Annotated

import typer

from whence.causality.chains import Chain, downstream, upstream
from whence.causality.flat import chain_json
from whence.causality.graph import Follow
from whence.cli.chain_lines import chain_lines
from whence.cli.options import ARCHIVE, ArchiveOption, IdArgument, JsonOption, RunOption
from whence.cli.output import screen, write, write_json
from whence.cli.past import Past, pick_event
from whence.cli.reading import read_past

RecordedOption = Annotated[bool, typer.Option("--recorded", help="Recorded causes only; infer nothing.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every inferred cause too, even of events with recorded ones.")]
DepthOption = Annotated[int | None, typer.Option("--depth", min=1, metavar="N", help="At most N hops away.")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="At most the N nearest events.")]


def why(
    id: IdArgument,
    *,
    archive: ArchiveOption = ARCHIVE,
    run: RunOption = None,
    recorded: RecordedOption = False,
    all: AllOption = False,
    depth: DepthOption = None,
    limit: LimitOption = None,
    json: JsonOption = False,
) -> None:
    """Tell why an event happened, from the root cause on.

    A line a hop, each with the numbers of its causes. What the program recorded is drawn solid; where it recorded no
    cause, the best guess is drawn dashed: the span the event is in, else the same agent's previous event.
    """
    follow = _follow(recorded, all)
    past = read_past(archive)
    _tell(past, upstream(past.graph, pick_event(past, id, run), follow=follow, max_depth=depth, max_hops=limit), json)


def effects(
    id: IdArgument,
    *,
    archive: ArchiveOption = ARCHIVE,
    run: RunOption = None,
    recorded: RecordedOption = False,
    all: AllOption = False,
    depth: DepthOption = None,
    limit: LimitOption = None,
    json: JsonOption = False,
) -> None:
    """Tell what an event led to.

    The same lines as `whence why`, the other way: the event first, then all that it caused.
    """
    follow = _follow(recorded, all)
    past = read_past(archive)
    _tell(past, downstream(past.graph, pick_event(past, id, run), follow=follow, max_depth=depth, max_hops=limit), json)


def _follow(recorded: bool, all: bool) -> Follow:
    if recorded and all:
        raise typer.BadParameter("--recorded and --all exclude each other: choose one.")
    return Follow.RECORDED if recorded else Follow.ALL if all else Follow.BEST


def _tell(past: Past, chain: Chain, json: bool) -> None:
    events = past.load({hop.id for hop in chain.hops})
    if json:
        write_json([chain_json(chain, events)])
    else:
        write(chain_lines(chain, events, past.origins, screen()))
