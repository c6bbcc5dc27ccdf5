"""Options and arguments that several commands share, and how their texts are read.

The law: pure; a text that cannot be read is a wrong usage, and the message says what was expected.
"""

import re
from pathlib import Path
from typing import Annotated, Final

import typer

from whence.filter import selection

ARCHIVE: Final = Path("whence-archive")

ArchiveOption = Annotated[
    Path,
    typer.Option(
        "-a", "--archive", metavar="DIR", envvar="WHENCE_ARCHIVE", show_default=True, help="The archive's directory."
    ),
]
RunOption = Annotated[str | None, typer.Option("--run", metavar="ID", help="Only this run.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="An event's id, or the beginning or end of just one.")]
TimeoutOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Stop after this time, such as 10s, with the part that is there by then."),
]

_SECONDS: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_LONGEST_SECONDS: Final = 1e9
"""Thirty years; timers take no times without end."""


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration such as `250ms`, `5m` or `1h30m`. Raises BadParameter."""
    try:
        return selection.parse_duration(text)
    except selection.OptionError as fault:
        raise typer.BadParameter(str(fault)) from None


def parse_timeout(text: str | None) -> float | None:
    """Seconds of a duration, or of a bare number, which counts seconds; None of None. Raises BadParameter."""
    if text is None:
        return None
    seconds = float(text) if _SECONDS.fullmatch(text) else parse_duration(text) / 1e9
    return min(seconds, _LONGEST_SECONDS)
