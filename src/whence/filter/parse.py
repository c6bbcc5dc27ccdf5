"""A filter's text to its tree: the grammar in `grammar.lark`, the limits, and the errors.

The law: pure; `now` is given. Raises FilterError for any text that is no filter, and nothing else for any text at all.
"""

from functools import cache
from importlib import resources
from typing import Final

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from whence.errors import FilterError
from whence.filter.build_pipes import QueryBuilder
from whence.filter.complain import complaint, unexpected
from whence.filter.limits import DEPTH, TEXT_BYTES
from whence.filter.tree import Filter, Query

_LEVELS: Final = {"either", "both", "negation", "caused_by", "caused"}


def parse(text: str, *, now: int) -> Filter:
    """The filter of a text; an empty one is `Everything`. `now`: ns since the epoch, what `now-5m` counts from.

    Raises FilterError with the place, what was expected there, and the nearest name; also where the text has pipes.
    """
    query = parse_query(text, now=now)
    if query.pipes:
        raise FilterError("cannot use this filter here: expected conditions only, without pipes (|)")
    return query.filter


def parse_query(text: str, *, now: int) -> Query:
    """The filter and pipes of a text. Raises FilterError as `parse` does."""
    try:
        length = len(text.encode())
    except UnicodeEncodeError as problem:
        raise complaint(_printable(text), problem.start, "half a character: UTF-8 cannot hold it") from None
    if length > TEXT_BYTES:
        raise FilterError(
            f"cannot read the filter: it has {length:,} bytes, of at most {TEXT_BYTES:,}; ask for less at once"
        )
    tree = _parsed(text)
    _check_depth(tree)
    return QueryBuilder(text, now).query(tree)


@cache
def grammar() -> str:
    """The grammar as it stands in its file."""
    return (resources.files("whence.filter") / "grammar.lark").read_text(encoding="utf-8")


@cache
def _parser() -> Lark:
    return Lark(grammar(), parser="lalr", maybe_placeholders=True)


def _parsed(text: str) -> Tree[Token]:
    try:
        return _parser().parse(text)
    except UnexpectedToken as problem:
        ended = problem.token.type == "$END"
        at = len(text.rstrip()) if ended else int(problem.token.start_pos or 0)
        raise unexpected(text, at, "" if ended else str(problem.token), problem.accepts or problem.expected) from None
    except UnexpectedCharacters as problem:
        at = problem.pos_in_stream or 0
        raise unexpected(text, at, text[at], problem.allowed or ()) from None


def _check_depth(tree: Tree[Token]) -> None:
    """Refuses a filter nested so deep that going through it could exhaust the stack. Itself goes without recursion."""
    waiting = [(tree, 0, 0)]
    while waiting:
        node, levels, brackets = waiting.pop()
        levels += node.data in _LEVELS
        brackets += node.data == "group"
        if levels > DEPTH or brackets > DEPTH:
            raise FilterError(
                f"cannot read the filter: brackets and NOT are nested deeper than {DEPTH} levels; ask for less at once"
            )
        waiting.extend((child, levels, brackets) for child in node.children if isinstance(child, Tree))


def _printable(text: str) -> str:
    return text.encode(errors="replace").decode()
