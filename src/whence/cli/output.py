"""The doers that write: lines to standard output, notes to standard error, and what kind of screen there is."""

import os
import shutil
import sys
from collections.abc import Iterable
from typing import Any

from whence.cli.screen import Screen
from whence.cli.text import safe, to_json


def screen() -> Screen:
    """The screen behind standard output: colour and a width only where it is a terminal, no colour under NO_COLOR."""
    if not sys.stdout.isatty():
        return Screen(colour=bool(os.environ.get("FORCE_COLOR")) and not os.environ.get("NO_COLOR"))
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Screen(width=shutil.get_terminal_size().columns, colour=not plain)


def write(lines: Iterable[str]) -> None:
    """Lines that are already safe, to standard output."""
    out = sys.stdout
    for line in lines:
        out.write(line + "\n")


def write_json(values: Iterable[Any]) -> None:
    """JSON Lines to standard output."""
    write(map(to_json, values))


def note(text: str) -> None:
    """One line to standard error, beside the answer."""
    sys.stdout.flush()
    print(f"whence: {safe(text)}", file=sys.stderr)
