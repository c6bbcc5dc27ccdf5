"""`whence replay`: an archive's events again, at a pace: shown, or sent as OTLP."""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Annotated

import typer

from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption
from whence.cli.output import note, screen, write
from whence.cli.select import selecting
from whence.cli.tail import event_line
from whence.cli.text import to_json
from whence.errors import ConfigError
from whence.event.flat import to_flat
from whence.event.model import Event
from whence.filter.tree import Filter
from whence.index.answers import open as open_answers
from whence.otlp.service import OtlpProtocol
from whence.replay.checkpoints import Checkpoints
from whence.replay.over_otlp import MOST, OverOTLP
from whence.replay.pace import parse_speed
from whence.replay.player import Terms
from whence.replay.start import Chosen, begin

HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"


@selecting()
def replay(
    *,
    archive: ArchiveOption = ARCHIVE,
    wanted: Filter,
    speed: Annotated[str, typer.Option(metavar="X", help="0.1 to 1000, or max for as fast as possible.")] = "1",
    related: Annotated[
        bool, typer.Option("--related", help="With all that led to these events and came of them.")
    ] = False,
    now: Annotated[bool, typer.Option("--now", help="Give each event the time at which it is due.")] = False,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="NAME", help="Keep the place under this name, and go on there next time.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Forget the checkpoint's place first.")] = False,
    otlp: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Send them as OTLP, as to http://localhost:4318 or grpc://localhost:4317."),
    ] = None,
    protocol: Annotated[
        OtlpProtocol | None, typer.Option(help="OTLP over HTTP, or over gRPC; otherwise as the URL says.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Give events again at a pace, or send them as OTLP.

    As far from each other as they were, or faster, or slower. Without options that choose, all of them; with --correlation ID
    --related one session and whatever has to do with it. Ctrl-C ends it; a checkpoint keeps its place. Headers for --otlp come
    from OTEL_EXPORTER_OTLP_HEADERS.
    """
    terms = Terms(parse_speed(speed), now, most=1 if otlp is None else MOST)
    engine = open_answers(archive).engine
    if again and checkpoint is not None:
        Checkpoints(archive).remove(checkpoint)
    with ExitStack() as ending:
        to: Callable[..., None] = _shown(json)
        if otlp is not None:
            sending = OverOTLP(otlp, headers_of(os.environ), protocol=protocol)
            ending.callback(sending.close)
            to = sending
        begun = begin(archive, engine, Chosen(wanted, related), to, terms, checkpoint=checkpoint)
        if begun.went_on:
            note(f"going on at the checkpoint {checkpoint}")
        given = begun.player.run()
    note(f"replayed {given:,} event{'' if given == 1 else 's'}{f' to {otlp}' if otlp else ''}")


def _shown(json: bool) -> Callable[[Event], None]:
    there = screen()

    def show(event: Event) -> None:
        write([to_json(to_flat(event)) if json else event_line(event, there)])
        sys.stdout.flush()

    return show


def headers_of(variables: Mapping[str, str]) -> dict[str, str]:
    """The headers that OpenTelemetry's variable gives: `key=value`, separated by commas. Raises ConfigError."""
    found = {}
    for pair in filter(None, map(str.strip, variables.get(HEADERS, "").split(","))):
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"cannot use {HEADERS}: expected key=value pairs separated by commas")
        found[key.strip()] = value.strip()
    return found
