"""What is wrong with a filter, for the person who wrote it: the line, a caret, what was expected, the nearest name.

The law: pure. Makes errors, raises none.
"""

import difflib
from collections.abc import Iterable
from typing import Final

from whence.errors import FilterError

_WIDTH: Final = 120
_SHOWN: Final = 40

TERMINALS: Final = {
    "NAME": "a name",
    "STRING": "a quoted text",
    "NUMBER": "a number",
    "QUANTITY": "a quantity such as 250ms or 10KB",
    "INDEX": "an index",
    "TIME": "a time",
    "NOW": "now",
    "TRUE": "true",
    "FALSE": "false",
    "COMPARISON": "= != < <= > >=",
    "STAT": "p95 (any percentile), min, max, avg, sum",
    "ORDER": "asc, desc",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "DOT": ".",
    "COMMA": ",",
    "VBAR": "|",
    "$END": "the end",
}
_CONDITION: Final = {"NAME", "STRING", "EXISTS", "ROOT"}
_JOINED: Final = {"AND", "OR", "COMPARISON"}
_VALUE: Final = {"STRING", "TIME", "TRUE", "NUMBER"}


def complaint(text: str, at: int, problem: str) -> FilterError:
    """The error for a problem at a place in the filter's text."""
    return FilterError(pointed("the filter", text, at, problem))


def pointed(what: str, text: str, at: int, problem: str) -> str:
    """A problem at a place in a text of some language: one sentence, then the line with a caret under the place."""
    at = min(max(at, 0), len(text))
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line, column = text[start : len(text) if end < 0 else end], at - start
    cut = max(0, column - _WIDTH // 2)
    shown = "".join(letter if letter.isprintable() else " " for letter in line[cut : cut + _WIDTH])
    where = (
        f"column {column + 1}" if "\n" not in text else f"line {text.count(chr(10), 0, at) + 1}, column {column + 1}"
    )
    return f"cannot read {what} at {where}: {problem}\n  {shown}\n  {' ' * (column - cut)}^"


def unexpected(text: str, at: int, token: str, expected: Iterable[str]) -> FilterError:
    """The error for a piece of text where the grammar wants one of the terminals `expected`."""
    wanted = set(expected)
    if token[:1] in ("'", '"'):
        problem = "this text has no closing quote" if len(token) == 1 else f"{brief(token)} is not expected here"
    elif token:
        problem = f"{brief(token)} is not expected here"
    else:
        problem = "the filter ends too early"
    words = _words(wanted)
    near = difflib.get_close_matches(
        token.upper()[:_SHOWN], [word for word in wanted if word.isalpha()], n=1, cutoff=0.7
    )
    hint = f"; did you mean {near[0]}?" if near and near[0] not in TERMINALS else ""
    return complaint(text, at, f"{problem}: expected {', '.join(words)}{hint}" if words else problem)


def _words(wanted: set[str]) -> list[str]:
    words = []
    if wanted >= _CONDITION:
        words.append("a condition such as type = 'x', or a word to search for")
        wanted = wanted & {"RPAR", "VBAR", "$END"}
    elif wanted >= _JOINED:
        words.append("an operator such as =, LIKE or IN; AND; OR")
        wanted = wanted & {"RPAR", "VBAR", "$END"}
    elif wanted >= _VALUE:
        words.append("a value: a text in quotes, a number, a time, a duration, true or false")
        wanted = wanted - {*_VALUE, "FALSE", "NOW", "QUANTITY", "NAME"}
    return words + sorted((TERMINALS.get(name, name) for name in wanted), key=lambda word: (word == "the end", word))


def brief(text: str) -> str:
    """A piece of text to be shown."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
