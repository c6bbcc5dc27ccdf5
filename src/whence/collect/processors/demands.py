"""What processors' settings demand beyond types, said as what is wrong: the configuration adds file, line and key.

The law: pure.
"""

from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import AfterValidator

from whence.collect.records.patterns import pattern
from whence.errors import WhenceError
from whence.event.misfits import Misfit

T = TypeVar("T")

_SHOWN = 100


def _some(found: tuple[T, ...]) -> tuple[T, ...]:
    if not found:
        raise Misfit("there must be at least one")
    return found


Some = Annotated[tuple[T, ...], AfterValidator(_some)]
"""At least one; asked only when each of them is right."""


def is_pattern(text: str) -> str:
    """The text itself, where it is a regular expression. Raises Misfit."""
    try:
        pattern(text)
    except ValueError as problem:
        raise Misfit(str(problem)) from None
    return text


Pattern = Annotated[str, AfterValidator(is_pattern)]
"""A regular expression that is linear in time and of bounded size."""


def checked(check: Callable[[str], object]) -> Callable[[str], str]:
    """A validator of a text that only checks: an error of the family is said in one line, with the text."""

    def validate(text: str) -> str:
        try:
            check(text)
        except WhenceError as problem:
            first, *_ = str(problem).split("\n")
            shown = " ".join(text.split())
            raise Misfit(f"{first} in `{shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'}`") from None
        return text

    return validate
