"""The doers that write: lines to standard output, notes to standard error, and what kind of screen there is."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from whence.cli.screen import Screen
from whence.cli.text import cut, safe, to_json

_PROGRESS_SECONDS: Final = 0.2


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


def point(text: str) -> None:
    """What is wrong with an expression, to standard error: one line, and under it the place, with a caret."""
    first, *place = text.split("\n")
    note(first)
    for line in place:
        print(safe(line), file=sys.stderr)


def note(text: str) -> None:
    """One line to standard error, beside the answer."""
    sys.stdout.flush()
    print(f"whence: {safe(text)}", file=sys.stderr)


@contextmanager
def progress(doing: str) -> Iterator[Callable[[str], None]]:
    """A function to be told what is being worked on, which shows it on a terminal's standard error, and only there."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    width = shutil.get_terminal_size().columns
    shown = time.monotonic()

    def tell(what: str) -> None:
        nonlocal shown
        if time.monotonic() - shown > _PROGRESS_SECONDS:
            shown = time.monotonic()
            sys.stderr.write(f"\r\x1b[K{cut(safe(f'{doing} {what}'), width - 1)}")
            sys.stderr.flush()

    try:
        yield tell
    finally:
        sys.stderr.write("\r\x1b[K")
