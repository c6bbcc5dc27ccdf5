"""Regular expressions of a configuration: linear in time whatever the text, and bounded in size.

The law: pure. RE2 only; what it has no way to do in linear time (back references, lookaround) is refused.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from whence.filter.limits import REGEX_STEPS

LONGEST: Final = 4096
"""Characters of an expression."""
_KEPT: Final = 512
_MEMORY: Final = 64 << 20


class Group(NamedTuple):
    """A group of an expression, by number or name."""

    name: int | str


@lru_cache(maxsize=_KEPT)
def pattern(text: str) -> Any:
    """The compiled expression. Raises ValueError saying what is wrong with it, also where it is too long or too slow."""
    if len(text) > LONGEST:
        raise ValueError(f"the regular expression has {len(text):,} characters, of at most {LONGEST:,}")
    compiled = _compiled(text)
    if compiled.programsize > REGEX_STEPS:
        raise ValueError(
            f"the regular expression takes {compiled.programsize} steps a character, of at most {REGEX_STEPS}: repeat less"
        )
    return compiled


def any_of(texts: Sequence[str]) -> Any:
    """One expression that is found wherever any of these is; None where there is none, or together they are too large."""
    try:
        return _compiled("|".join(f"(?:{text})" for text in texts)) if texts else None
    except ValueError:
        return None


def _compiled(text: str) -> Any:
    import re2  # of the extra `collect`

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        return re2.compile(text, options)
    except re2.error as problem:
        cause = problem.args[0] if problem.args else problem
        words = cause.decode(errors="replace") if isinstance(cause, bytes) else str(cause)
        raise ValueError(f"not a regular expression (RE2): {words}") from None


def template(text: str) -> Callable[[Any], str]:
    """What Go's templates stand for: `$1`, `${1}`, `${name}`, `$name`, `$$`; a group that is not there is empty."""
    parts: list[str | Group] = []
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        parts.append(text[at:dollar])
        name, at = _name(text, dollar + 1)
        parts.append("$" if name == "$" else Group(int(name) if name.isascii() and name.isdigit() else name))
    parts.append(text[at:])

    def fill(match: Any) -> str:
        return "".join([part if isinstance(part, str) else _found(match, part) for part in parts])

    return fill


def _name(text: str, at: int) -> tuple[str, int]:
    """The name behind a dollar, and where the text goes on; a dollar without a name is a dollar."""
    if text[at : at + 1] == "$":
        return "$", at + 1
    if text[at : at + 1] == "{" and (end := text.find("}", at)) > at + 1:
        return text[at + 1 : end], end + 1
    end = at
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return (text[at:end], end) if end > at else ("$", at)


def _found(match: Any, group: Group) -> str:
    try:
        return match.group(group.name) or ""
    except (IndexError, KeyError, AttributeError):
        return ""
