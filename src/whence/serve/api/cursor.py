"""A place in the order of time and id, as short text: where a page ended and the next begins.

The law: pure. The same events stand behind a cursor however many came since; none is skipped or given twice.
"""

import base64
import binascii
from typing import Final, NamedTuple

import orjson

from whence.export.flat_json import json_bytes
from whence.filter.limits import INTEGERS
from whence.filter.tree import Both, Compare, Either, Filter, Path
from whence.serve.problems import Refusal

_FORM: Final = 1
_LONGEST: Final = 8_192
"""Characters: an id is as long as its program made it."""


class Cursor(NamedTuple):
    """The last event of a page, and whether the newest come first."""

    time: int
    id: str
    newest: bool = False

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(json_bytes([_FORM, *self])).rstrip(b"=").decode()

    def behind(self) -> Filter:
        """What comes after it."""
        at, on = ("<=", "<") if self.newest else (">=", ">")
        within = Compare(Path("time"), at, self.time)  # type: ignore[arg-type]
        return Both(
            (
                within,
                Either((Compare(Path("time"), on, self.time), Compare(Path("id"), on, self.id))),  # type: ignore[arg-type]
            )
        )


def read_cursor(text: str) -> Cursor:
    """The cursor of a text that was given out. Raises Refusal for any other."""
    try:
        if len(text) > _LONGEST:
            raise ValueError("too long")
        form, time, id, newest = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if form != _FORM or type(time) is not int or type(id) is not str or type(newest) is not bool:
            raise ValueError("another form")
        if time not in INTEGERS:
            raise ValueError("no time")
    except (ValueError, TypeError, binascii.Error):
        raise Refusal(
            422,
            "cannot use the parameter cursor: it was not given out here; begin without one, and take those of the answers",
        ) from None
    return Cursor(time, id, newest)
