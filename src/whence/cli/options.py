"""Options and arguments that several commands share, and how their texts are read.

The law: pure; a text that cannot be read is a wrong usage, and the message says what was expected.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from whence.errors import DataError
from whence.event.flat import parse_time
from whence.event.kinds import Kind, Severity

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

_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
}
_SECONDS: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_LONGEST_SECONDS: Final = 1e9
"""Thirty years; timers take no times without end."""
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d)")


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration such as `250ms`, `5m` or `1h30m`. Raises BadParameter."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise typer.BadParameter(f"{text!r} is not a duration: expected such as 250ms, 30s, 5m or 1h30m")
    return sum(round(float(number) * _UNITS[unit]) for number, unit in parts)


def parse_moment(text: str, now: int) -> int:
    """Nanoseconds since the epoch of a time, or of `now-5m` or plain `5m`, which is that long before now. Raises BadParameter."""
    ago = text.removeprefix("now").removeprefix("-")
    if text == "now":
        return now
    if _DURATION.match(ago) and not ago.endswith("Z") and "-" not in ago:
        return now - parse_duration(ago)
    try:
        return parse_time(text)
    except DataError:
        message = f"{text!r} is not a time: expected such as 2026-01-02T03:04:05Z, or 5m for five minutes ago"
        raise typer.BadParameter(message) from None


def parse_turns(text: str) -> tuple[int | None, int | None]:
    """The first and last turn of `5`, `3..7`, `3..` or `..7`. Raises BadParameter."""
    first, dots, last = text.partition("..")
    try:
        start = int(first) if first else None
        end = (int(last) if last else None) if dots else start
    except ValueError:
        start = end = None
    if start is None and end is None:
        raise typer.BadParameter(f"{text!r} is not a turn or a range of turns: expected such as 5, 3..7, 3.. or ..7")
    return start, end


def parse_severity(text: str) -> Severity:
    """The severity of that name, in any case. Raises BadParameter."""
    try:
        return Severity[text.upper()]
    except KeyError:
        expected = "trace, debug, info, warn, error or fatal"
        raise typer.BadParameter(f"{text!r} is not a severity: expected {expected}") from None


def parse_kinds(texts: Sequence[str]) -> tuple[str, ...]:
    """The kinds of these names. Raises BadParameter."""
    for text in texts:
        if text not in list(Kind):
            raise typer.BadParameter(f"{text!r} is not a kind: expected {', '.join(Kind)}.")
    return tuple(texts)


def parse_timeout(text: str | None) -> float | None:
    """Seconds of a duration, or of a bare number, which counts seconds; None of None. Raises BadParameter."""
    if text is None:
        return None
    seconds = float(text) if _SECONDS.fullmatch(text) else parse_duration(text) / 1e9
    return min(seconds, _LONGEST_SECONDS)
