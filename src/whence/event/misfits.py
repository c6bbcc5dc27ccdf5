"""What does not fit a model, in our words: pydantic's errors turned into one line that names each field.

The law: pure; never shows more than the beginning of a value.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from whence.event.plain import brief

_EXPECTED: Final[tuple[tuple[str, str], ...]] = (
    ("int_", "a whole number"),
    ("float_", "a number"),
    ("finite_number", "a finite number"),
    ("string_type", "text"),
    ("string_unicode", "text"),
    ("bool_", "true or false"),
    ("dict_type", "a mapping"),
    ("mapping_type", "a mapping"),
    ("model_", "a mapping of fields"),
    ("list_type", "a list"),
    ("tuple_type", "a list"),
    ("set_type", "a list"),
    ("bytes_type", "bytes"),
    ("datetime_", "a time such as 2026-01-02T03:04:05Z"),
    ("path_", "a path"),
)
"""By the beginning of pydantic's error type. What is not here keeps pydantic's own words."""
_LIMITS: Final = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
_INPUT: Final = re.compile(r"^(Input|Value) should (be |have |match )?")


class Misfit(ValueError):
    """Raised by a validator: its text says what is wrong, where that of another ValueError says what was expected."""


def misfits(error: ValidationError, known: Iterable[str] = ()) -> list[tuple[tuple[str | int, ...], str]]:
    """Each misfit as its place (field, then key or index within) and what is wrong there, each place once.

    `known`: the names that would have been right, to suggest the nearest where an unknown one was given.
    """
    found: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        found.setdefault(_place(detail), []).append(detail)
    names = list(known)
    return [(place, _wrong(details, place, names)) for place, details in found.items()]


def sentence(found: list[tuple[tuple[str | int, ...], str]]) -> str:
    """All misfits in one line: `turn: expected a whole number, got 'x'; agent: missing`."""
    return "; ".join(f"{'.'.join(map(str, place))}: {wrong}" if place else wrong for place, wrong in found)


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'agent'?`, or nothing where no known name is near."""
    close = get_close_matches(name, list(known), 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _place(detail: ErrorDetails) -> tuple[str | int, ...]:
    """Where it is, without the names pydantic gives to the members of a union (`int`, `function-before[...]`)."""
    place = detail["loc"]
    if len(place) > 1 and detail["type"] not in ("missing", "extra_forbidden"):
        value: Any = detail["input"]
        last = place[-1]
        if isinstance(last, str) and not isinstance(value, Mapping) and (last in _MEMBERS or "[" in last):
            return place[:-1]
    return place


_MEMBERS: Final = frozenset({"str", "int", "float", "bool", "bytes", "none", "dict", "list", "constrained-str"})


def _wrong(details: list[ErrorDetails], place: tuple[str | int, ...], known: list[str]) -> str:
    first = details[0]
    if first["type"] == "missing":
        return "missing"
    if first["type"] == "extra_forbidden":
        return f"unknown field{nearest(str(place[-1]), known)}" if place else "unknown field"
    if isinstance(told := first.get("ctx", {}).get("error"), Misfit):
        return str(told)
    expected = " or ".join(dict.fromkeys(_expected(detail) for detail in details))
    value = first["input"]
    got = repr(brief(value)) if isinstance(value, str) else brief(value)
    return (
        f"expected {expected}, got {got}" if isinstance(value, str) else f"expected {expected}, got {got}{_kind(value)}"
    )


def _kind(value: Any) -> str:
    return "" if value is None or isinstance(value, (bool, int, float, Mapping, list)) else f" ({type(value).__name__})"


def _expected(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    for beginning, words in _EXPECTED:
        if kind.startswith(beginning):
            return words
    for limit, words in _LIMITS.items():
        if limit in context and len(context) == 1:
            return f"{words} {brief(context[limit])}"
    if kind in ("enum", "literal_error"):
        return f"one of {context['expected']}"
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", detail["msg"]))
    return _INPUT.sub("", detail["msg"])
