"""What can be wrong with OTTL: its text, when the configuration is read; and one record, while it runs.

The law: pure. Makes errors with the place, what was expected, and the nearest name.
"""

import difflib
from collections.abc import Iterable
from typing import Final

from whence.errors import ConfigError, DataError

_WIDTH: Final = 120
_SHOWN: Final = 40


class OttlError(ConfigError):
    """OTTL that cannot be understood, or that asks for what is not here; the message shows the place."""


class Failure(DataError):
    """A statement or condition that cannot be carried out on one record. Its text never tells what the record holds."""


def complaint(text: str, at: int, problem: str) -> OttlError:
    """The error for a problem at a place: one sentence, then the line with a caret under the place."""
    at = min(max(at, 0), len(text))
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line, column = text[start : len(text) if end < 0 else end], at - start
    cut = max(0, column - _WIDTH // 2)
    shown = "".join(letter if letter.isprintable() else " " for letter in line[cut : cut + _WIDTH])
    where = (
        f"column {column + 1}" if "\n" not in text else f"line {text.count(chr(10), 0, at) + 1}, column {column + 1}"
    )
    return OttlError(f"cannot read the OTTL at {where}: {problem}\n  {shown}\n  {' ' * (column - cut)}^")


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing where no known name is like this one."""
    names = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower()[:_SHOWN], names, n=1, cutoff=0.6)
    return f"; did you mean {names[found[0]]}?" if found else ""


def brief(text: str) -> str:
    """A piece of text to be shown."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
