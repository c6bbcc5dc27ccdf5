"""What stands beside a segment and must not be changed unseen: its fields as JSON, and a digest over all of them.

The law: pure. The same note is always the same bytes, and of bytes in which one bit is different nothing is read.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ClassVar, Final, Protocol, TypeVar

import orjson

from whence.errors import DataError

_SORTED: Final = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


class Digested(Protocol):
    """A note: a dataclass of what JSON can hold."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def version(self) -> int:
        """Of its form."""

    @property
    def digest(self) -> str:
        """`digest_of` it."""


T = TypeVar("T", bound=Digested)


def digest_of(note: Digested) -> str:
    """SHA-256 over every field, in hex."""
    return hashlib.sha256(orjson.dumps(asdict(note), option=_SORTED)).hexdigest()


def text_of(note: Digested) -> bytes:
    """A note's file: its fields and its digest as JSON."""
    return orjson.dumps(asdict(note) | {"digest": note.digest}, option=_SORTED) + b"\n"


def parsed(data: bytes, what: str, version: int, make: Callable[..., T]) -> T:
    """The note that `text_of` wrote, made of its fields. `what`: in words. Raises DataError where one bit is different."""
    try:
        fields = orjson.loads(data)
        fields.pop("digest")
        note = make(**fields)
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError) as cause:
        raise DataError(f"cannot read {what}: {cause}") from cause
    if note.version != version:
        raise DataError(f"cannot read {what} of version {note.version!r}: this whence knows version {version}")
    if text_of(note) != data:
        raise DataError(f"cannot read {what}: it was changed after it was written")
    return note
