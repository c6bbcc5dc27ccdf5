"""What must stand in an event for a filter to hold: a weaker question, one that lists of words and values can answer.

The law: pure. Where a filter holds, its need holds; where a need fails, the filter need not be asked. Words are cut from
text folded by `values.fold`, which goes letter by letter, so that a text within another has its words within the other's.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from whence.filter import values
from whence.filter.match import keys_of
from whence.filter.names import Kind, kind_of
from whence.filter.tree import (
    Among,
    Both,
    Causal,
    Caused,
    CausedBy,
    Compare,
    Contains,
    Either,
    Exists,
    Filter,
    Like,
    Literal_,
    Orphan,
    Path,
    Root,
    StartsWith,
    Word,
)

VALUES: Final = frozenset(
    {
        "id", "type", "kind", "source", "run", "agent", "turn", "task", "stage", "status", "correlation", "schema",
        "trace_id", "span_id", "parent_span_id", "signal",
    }
)  # fmt: skip
"""Fields whose whole values are listed."""
RANGES: Final = ("time", "severity", "turn", "duration_ns")
"""Fields whose least and greatest values are kept."""
TEXTS: Final = frozenset({"type", "description", "payload", "attributes"})
"""Fields whose words are listed."""
AROUND: Final = frozenset({"resource", "scope"})
"""Fields whose words are listed apart, since a word in them stands at nearly every event."""

SEPARATORS: Final = bytes(code for code in range(128) if not chr(code).isalnum())
FOLDED: Final = bytes(32 if code in SEPARATORS else code + 32 if 65 <= code <= 90 else code for code in range(256))
"""A table for `bytes.translate`: ASCII folded, and a space for whatever is no letter and no digit. Others stay."""
_WORD: Final = re.compile(rb"[^ ]+")
_MANY: Final = 1_000
"""Beyond this many values an IN is not looked up one by one."""
_PLAIN: Final = 10**15
"""Below this a whole number is written with all its digits, be it stored as an integer or as floating point."""


@dataclass(frozen=True, slots=True)
class Anything:
    """No need is known: any event may match."""


@dataclass(frozen=True, slots=True)
class Value:
    """The field has this value."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Between:
    """The number in the field is within these bounds."""

    field: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A word, folded; `begins` and `ends`: whether nothing of the word can stand before or behind it."""

    text: bytes
    begins: bool
    ends: bool


@dataclass(frozen=True, slots=True)
class Words:
    """Each of these pieces stands in a word of the event's texts (or, `around`, of its resource and scope)."""

    pieces: tuple[Piece, ...]
    around: bool = False


@dataclass(frozen=True, slots=True)
class All:
    """Every part is needed."""

    parts: "tuple[Need, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of the parts is needed."""

    parts: "tuple[Need, ...]"


Need = Anything | Value | Between | Words | All | AnyOf
ANYTHING: Final = Anything()


def need_of(tree: Filter, causal: Callable[[Causal], Need] = lambda _: ANYTHING) -> Need:
    """What an event must have for the filter to hold. `causal`: given by the engine, the same for a causal question."""
    match tree:
        case Both(parts):
            return _all([need_of(part, causal) for part in parts])
        case Either(parts):
            return any_of([need_of(part, causal) for part in parts])
        case CausedBy() | Caused() | Root() | Orphan():
            return causal(tree)
        case Compare(path, operator, value):
            return _compared(path, operator, value)
        case Among(path, wanted) if len(wanted) <= _MANY:
            return any_of([_compared(path, "=", value) for value in wanted])
        case Like(path, pattern):
            return _like(path, pattern)
        case StartsWith(path, text):
            return _texts(path, text, begins=True, ends=False)
        case Contains(path, value):
            return _contains(path, value)
        case Exists(path):
            return _keys(path)
        case Word(text):
            inside = values.json_inside(text)
            found = [_words(pieces_of(text))]
            return any_of(found if inside == text else [*found, _words(pieces_of(inside))])
    return ANYTHING


def words_in(texts: bytes) -> set[bytes]:
    """The words of texts, in UTF-8, that something no part of a word stands between."""
    if not texts.isascii():
        texts = values.fold(texts.decode("utf-8", "surrogatepass")).encode("utf-8", "surrogatepass")
    return set(texts.translate(FOLDED).split(b" "))


def pieces_of(text: str, *, begins: bool = False, ends: bool = False) -> list[Piece]:
    """The words that a text within another is cut into; `begins`, `ends`: nothing stands before, behind it there."""
    folded = values.fold(text).encode("utf-8", "surrogatepass").translate(FOLDED)
    return [
        Piece(found.group(), begins or found.start() > 0, ends or found.end() < len(folded))
        for found in _WORD.finditer(folded)
    ]


def _compared(path: Path, operator: str, value: Literal_) -> Need:
    kind = kind_of(path)
    if kind is Kind.ANY:
        here = _keys(path)
        return _all([here, _json_value(path, value)]) if operator == "=" else here
    if isinstance(value, str):
        return _text_value(path.field, value) if operator == "=" else ANYTHING
    if operator == "=" and path.field in VALUES and float(value).is_integer():
        return Value(path.field, str(int(value)))
    if path.field in RANGES and operator != "!=":
        low = -math.inf if operator in ("<", "<=") else math.floor(value)
        high = math.inf if operator in (">", ">=") else math.ceil(value)
        return Between(path.field, low, high)
    return ANYTHING


def _text_value(field: str, value: str) -> Need:
    if field in VALUES:
        return Value(field, value)
    return _words(pieces_of(value, begins=True, ends=True)) if field in TEXTS else ANYTHING


def _json_value(path: Path, value: Literal_) -> Need:
    """What an equal value below a map needs: its text stands between quotes, a number's digits between what is no digit."""
    around = path.field in AROUND
    if isinstance(value, bool):
        return _words([Piece(b"true" if value else b"false", True, True)], around)
    if isinstance(value, str):
        return _words(pieces_of(values.json_inside(value), begins=True, ends=True), around)
    if float(value).is_integer() and abs(value) < _PLAIN:
        return _words([Piece(str(abs(int(value))).encode(), True, True)], around)
    return ANYTHING


def _like(path: Path, pattern: str) -> Need:
    cut = values.like_pieces(pattern)
    needs = []
    for place, piece in enumerate(cut):
        at, text = 0, ""
        for n, character in enumerate([*piece, None]):  # a run of characters that are given, up to one that may be any
            if character is not None:
                text += character
                continue
            begins, ends = place == 0 and at == 0, place == len(cut) - 1 and n == len(piece)
            needs.append(_texts(path, text, begins=begins, ends=ends))
            at, text = n + 1, ""
    return _all(needs)


def _contains(path: Path, value: Literal_) -> Need:
    kind = kind_of(path)
    if kind is Kind.LIST:
        return ANYTHING
    if isinstance(value, str):
        return _texts(path, value, begins=False, ends=False)
    return _all([_keys(path), _json_value(path, value)])


def _texts(path: Path, text: str, *, begins: bool, ends: bool) -> Need:
    if kind_of(path) is Kind.ANY:
        found = pieces_of(values.json_inside(text), begins=begins, ends=ends)
        return _all([_keys(path), _words(found, path.field in AROUND)])
    return _words(pieces_of(text, begins=begins, ends=ends)) if path.field in TEXTS else ANYTHING


def _keys(path: Path) -> Need:
    """What a value below a map needs: the words of its keys. An index of a list is no key."""
    if kind_of(path) is not Kind.ANY:
        return ANYTHING
    routes = []
    for keys in keys_of(path):
        found = [
            piece
            for key in keys
            if not key.isdecimal()
            for piece in pieces_of(values.json_inside(key), begins=True, ends=True)
        ]
        routes.append(_words(found, path.field in AROUND))
    return any_of(routes)


def _words(pieces: Sequence[Piece], around: bool = False) -> Need:
    return Words(tuple(pieces), around) if pieces else ANYTHING


def _all(parts: Sequence[Need]) -> Need:
    known = tuple(dict.fromkeys(part for part in parts if part != ANYTHING))
    return known[0] if len(known) == 1 else All(known) if known else ANYTHING


def any_of(parts: Sequence[Need]) -> Need:
    """One of these is needed; where there are none, nothing is known."""
    known = tuple(dict.fromkeys(parts))
    if ANYTHING in known or not known:
        return ANYTHING
    return known[0] if len(known) == 1 else AnyOf(known)
