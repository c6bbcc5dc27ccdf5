"""`whence export`: the archive, or what is chosen of it, in another format."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from whence.archive.sieve import Sieve
from whence.causality.chains import upstream
from whence.cli.options import ARCHIVE, ArchiveOption
from whence.cli.output import note, progress
from whence.cli.past import pick_event
from whence.cli.reading import close, open_reading, read_past
from whence.cli.select import WhereOption, selecting
from whence.export.picture import Picture
from whence.export.source import Source
from whence.export.table import format_named, format_of_file
from whence.export.target import whole_file
from whence.filter.tree import Everything, Filter

_TOLD = 1_000
"""A look at the clock for every event would cost more than the event."""


@selecting(filter=WhereOption)
def export(
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="The file to write; - is standard output.")] = None,
    *,
    output: Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="The same as FILE.")] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "-f",
            "--format",
            metavar="NAME",
            help="jsonl, json, csv, otlp, parquet, arrow, chrome, jaeger, dot or mermaid; by default as FILE ends.",
        ),
    ] = None,
    archive: ArchiveOption = ARCHIVE,
    wanted: Filter,
    of: Annotated[
        str | None, typer.Option("--of", metavar="ID", help="The event whose chain dot and mermaid draw.")
    ] = None,
) -> int:
    """Write the archive, or what is chosen of it, in another format.

    Events come file after file, in the order they were written. The file appears when it is whole: an export that is cut
    off leaves none. What could not be read is counted on standard error.
    """
    target = _target(file, output)
    form = format_named(format) if format else format_of_file(target)
    if (form.takes == "chain") != (of is not None):
        raise typer.BadParameter(f"--of goes with dot and mermaid, and {form.name} needs it." if of is None else
                                 f"--of goes with dot and mermaid, not with {form.name}.")  # fmt: skip
    if of is not None and not isinstance(wanted, Everything):
        raise typer.BadParameter("--of draws the chain of one event: leave out what selects events.")
    write = form.load()
    with progress(f"exporting {form.name}:") as tell:
        if of is not None:
            _draw(write, target, archive, of)
            return 0
        reading = open_reading(archive, tree=wanted)
        chosen = None if isinstance(wanted, Everything) else reading.wanted(wanted)
        source = Source(reading.archive, chosen, _told(tell), Sieve(wanted))
        _put(target, archive, lambda out: write(source, out))
        return close(reading, archive)


def _target(file: str | None, output: str | None) -> str:
    if (file is None) == (output is None):
        raise typer.BadParameter("give one file to write: whence export FILE, or -o - for standard output.")
    return file or output or ""


def _draw(write: Callable[[object, BinaryIO], None], target: str, archive: Path, of: str) -> None:
    past = read_past(archive)
    chain = upstream(past.graph, pick_event(past, of, None))
    picture = Picture(chain, past.load({hop.id for hop in chain.hops}))
    _put(target, archive, lambda out: write(picture, out))


def _told(tell: Callable[[str], None]) -> Callable[[int], None]:
    def told(count: int) -> None:
        if count % _TOLD == 0:
            tell(f"{count} read")

    return told


def _put(target: str, archive: Path, write: Callable[[BinaryIO], None]) -> None:
    if target == "-":
        write(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    path = Path(target).expanduser()
    if archive.is_dir() and path.resolve().is_relative_to(archive.resolve()):
        raise typer.BadParameter(f"{target} is inside the archive, where it would be read as a part of it.")
    with whole_file(path) as out:
        write(out)
    note(f"wrote {path}")
