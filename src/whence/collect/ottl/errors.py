"""What can be wrong with OTTL: its text, when the configuration is read; and one record, while it runs.

The law: pure. Makes errors with the place, what was expected, and the nearest name.
"""

import difflib
from collections.abc import Iterable
from typing import Final

from whence.errors import ConfigError, DataError
from whence.filter.complain import pointed

_SHOWN: Final = 40


class OttlError(ConfigError):
    """OTTL that cannot be understood, or that asks for what is not here; the message shows the place."""


class Failure(DataError):
    """A statement or condition that cannot be carried out on one record. Its text never tells what the record holds."""


def complaint(text: str, at: int, problem: str) -> OttlError:
    """The error for a problem at a place in it."""
    return OttlError(pointed("the OTTL", text, at, problem))


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing where no known name is like this one."""
    names = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower()[:_SHOWN], names, n=1, cutoff=0.6)
    return f"; did you mean {names[found[0]]}?" if found else ""
