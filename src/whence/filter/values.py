"""What comparing means: the one place for values that are missing, of another kind, nested, or out of the ordinary.

The law: pure, never raises on any value. A test takes a value and gives True, False, or None where the value is missing
(three-valued logic, as in SQL). Values are as in JSON: bytes are base64 text, numbers that are not finite their names.
- Kinds are text, number, boolean, list and object. Values of different kinds are never equal and have no order; a test of
  the wrong kind is False, so its NOT is True.
- Whole numbers compare exactly; where a fraction is on either side, both compare as 64-bit floating point.
- Text compares by code point, case included. Words alone do not mind case.
- JSON's null is missing.
"""

import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from whence.event import flat
from whence.filter.limits import REGEX_STEPS
from whence.filter.tree import Literal_, Operator

Test = Callable[[Any], bool | None]
"""A question about one value."""

ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def settle(value: Any) -> Any:
    """Any value as JSON has it: None, bool, int, finite float, str, list or mapping."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    return flat.plain(value) if isinstance(value, (float, bytes, bytearray, memoryview)) else value


def json_text(values: Mapping[str, Any]) -> str:
    """A map as the JSON text that words are searched in, and that SQL has in its columns."""
    try:
        text = orjson.dumps(values).decode()
        if "null" not in text:  # which may be a number that is not finite
            return text
    except TypeError:
        pass
    shown = flat.plain(values)
    try:
        return orjson.dumps(shown).decode()
    except TypeError:  # whole numbers beyond 64 bits, text that UTF-8 cannot hold
        return json.dumps(shown, ensure_ascii=False, separators=(",", ":"), default=str)


def json_inside(text: str) -> str:
    """A text as it stands inside JSON, without its quotes."""
    return orjson.dumps(text)[1:-1].decode()


def fold(text: str) -> str:
    """Lower case, letter by letter: the same as DuckDB's `lower`, which knows no letters that become two, no final sigma."""
    if text.isascii():
        return text.lower()
    return text.replace("\u0130", "i").replace("\u03a3", "\u03c3").lower()


# --- tests ----------------------------------------------------------------------------------------------------------------


def compare(order: Operator, want: Literal_) -> Test:
    """The test `value <order> want`."""
    if order == "!=":
        equal = compare("=", want)
        return lambda value: None if (same := equal(value)) is None else not same
    if isinstance(want, bool):
        return _boolean(want)
    if isinstance(want, str):
        return _text(ORDERS[order], want)
    return _number(ORDERS[order], want)


def among(values: tuple[Literal_, ...]) -> Test:
    """The test that a value equals one of these."""
    texts = frozenset(value for value in values if isinstance(value, str))
    bools = frozenset(value for value in values if isinstance(value, bool))
    numbers = [value for value in values if not isinstance(value, (str, bool))]
    wholes = frozenset(value for value in numbers if isinstance(value, int))
    fractions = frozenset(value for value in numbers if isinstance(value, float))
    rounded = frozenset(map(float, numbers))

    def test(value: Any) -> bool | None:
        if value.__class__ is str:
            return value in texts
        value = settle(value)
        if value is None:
            return None
        if isinstance(value, bool):
            return value in bools
        if isinstance(value, int):
            return value in wholes or (bool(fractions) and _double(value) in fractions)
        if isinstance(value, float):
            return value in rounded
        return isinstance(value, str) and value in texts

    return test


def contains(want: Literal_) -> Test:
    """The test that a text has `want` in it, or a list has it as an item."""
    equal = compare("=", want)

    def test(value: Any) -> bool | None:
        value = settle(value)
        if value is None:
            return None
        if isinstance(value, str):
            return isinstance(want, str) and want in value
        return isinstance(value, (list, tuple)) and any(equal(item) for item in value)

    return test


def on_text(found: Callable[[str], bool]) -> Test:
    """The test that a value is a text for which `found` is true."""

    def test(value: Any) -> bool | None:
        if value.__class__ is str:
            return found(value)
        value = settle(value)
        if value is None:
            return None
        return isinstance(value, str) and found(value)

    return test


def starts_with(text: str) -> Test:
    """The test that a text begins so."""
    return on_text(lambda value: value.startswith(text))


def like(pattern: str) -> Test:
    """The test that a whole text fits the pattern, in time linear in the text for each piece between its stars."""
    pieces = like_pieces(pattern)
    match plain_pieces(pieces):
        case [whole_text]:
            return _text(operator.eq, whole_text)
        case [start, ""]:
            return on_text(lambda value: value.startswith(start))
        case ["", end_text]:
            return on_text(lambda value: value.endswith(end_text))
        case ["", inner, ""]:
            return on_text(lambda value: inner in value)
    return _glob(pieces)


def _glob(pieces: "list[Piece]") -> Test:
    """The test for a pattern cut in pieces: its first and last stand at the ends, the others follow one another."""
    if len(pieces) == 1:
        whole = re.compile(_piece_regex(pieces[0]), re.DOTALL)
        return on_text(lambda value: whole.fullmatch(value) is not None)
    first, last = pieces[0], pieces[-1]
    head = re.compile(_piece_regex(first), re.DOTALL)
    tail = re.compile(_piece_regex(last), re.DOTALL)
    middle = [re.compile(_piece_regex(piece), re.DOTALL) for piece in pieces[1:-1] if piece]

    def found(value: str) -> bool:
        end = len(value) - len(last)
        if end < len(first) or not head.match(value) or not tail.match(value, end):
            return False
        at = len(first)
        for piece in middle:
            hit = piece.search(value, at, end)
            if hit is None:
                return False
            at = hit.end()
        return True

    return on_text(found)


def matches(pattern: str) -> Test:
    """The test that the regular expression is found in a text. Raises ValueError as `regex` does."""
    search = regex(pattern).search
    return on_text(lambda value: search(value) is not None)


def regex(pattern: str) -> Any:
    """The compiled RE2 expression. Raises ValueError saying what is wrong with it, also where it would be too slow."""
    import re2  # of an extra: filters without regular expressions do without

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True  # where it is found is of no interest, and finding out is slow
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as problem:
        cause = problem.args[0] if problem.args else problem
        raise ValueError(cause.decode(errors="replace") if isinstance(cause, bytes) else str(cause)) from None
    if compiled.programsize > REGEX_STEPS:
        raise ValueError(f"it takes {compiled.programsize} steps a character, of at most {REGEX_STEPS}: repeat less")
    return compiled


def _boolean(want: bool) -> Test:
    def test(value: Any) -> bool | None:
        return None if value is None else value is want

    return test


def _text(order: Callable[[Any, Any], bool], want: str) -> Test:
    def test(value: Any) -> bool | None:
        if value.__class__ is str:
            return order(value, want)
        value = settle(value)
        if value is None:
            return None
        return isinstance(value, str) and order(value, want)

    return test


def _number(order: Callable[[Any, Any], bool], want: float) -> Test:
    rounded, exact = float(want), isinstance(want, int)

    def test(value: Any) -> bool | None:
        value = settle(value)
        if value is None:
            return None
        if value.__class__ is int:
            return order(value, want) if exact else order(_double(value), rounded)
        return value.__class__ is float and order(value, rounded)

    return test


def _double(whole: int) -> float:
    try:
        return float(whole)
    except OverflowError:
        return math.inf if whole > 0 else -math.inf


# --- LIKE -----------------------------------------------------------------------------------------------------------------

ANY_ONE: Final = None
"""In a piece of a pattern: any one character."""


Piece = tuple[str | None, ...]


def plain_pieces(pieces: list[Piece]) -> list[str] | None:
    """The pieces as texts, where no `ANY_ONE` is among them."""
    texts = []
    for piece in pieces:
        text = "".join(character for character in piece if character is not None)
        if len(text) < len(piece):
            return None
        texts.append(text)
    return texts


def like_pieces(pattern: str) -> list[Piece]:
    """A pattern cut at its stars; each piece a character or `ANY_ONE` after the other."""
    pieces: list[Piece] = []
    piece: list[str | None] = []
    characters = iter(pattern)
    for character in characters:
        if character in "*%":
            pieces.append(tuple(piece))
            piece = []
        elif character in "?_":
            piece.append(ANY_ONE)
        elif character == "\\":
            following = next(characters, "")
            piece.extend(following if following in ("*", "%", "?", "_", "\\") else "\\" + following)
        else:
            piece.append(character)
    return [*pieces, tuple(piece)]


def like_regex(pieces: list[Piece]) -> str:
    """A pattern's pieces as a regular expression that RE2 takes, to be matched with the whole text."""
    return ".*".join(_piece_regex(piece) for piece in pieces)


def _piece_regex(piece: Piece) -> str:
    return "".join("." if character is ANY_ONE else re.escape(character) for character in piece)
