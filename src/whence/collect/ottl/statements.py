"""OTTL's front: texts of a configuration to what runs at places.

The law: pure; the clock is given. Raises OttlError with the place in the text.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from whence.collect.ottl import tree
from whence.collect.ottl.compile import Act, Ask, Clock, Scope, condition, statement
from whence.collect.ottl.contexts import INSIDE_OUT, SPELLINGS, Context
from whence.collect.ottl.errors import OttlError
from whence.collect.ottl.parse import parse_condition, parse_statement

CONTEXTS: Final[dict[str, tuple[Context, ...]]] = {
    "traces": ("resource", "scope", "span", "spanevent"),
    "logs": ("resource", "scope", "log"),
    "metrics": ("resource", "scope", "metric", "datapoint"),
}
"""Of each signal, what statements can be about."""


def statement_of(text: str, context: Context, now: Clock, prefixed: bool = False) -> Act:
    """A statement in a context. `prefixed`: each of its paths must say whose it is, since nothing else does."""
    return statement(parse_statement(text), Scope(text, context, prefixed, now))


def condition_of(text: str, context: Context, now: Clock, prefixed: bool = False) -> Ask:
    """A condition in a context."""
    return condition(parse_condition(text), Scope(text, context, prefixed, now))


def context_of(texts: Sequence[str], allowed: Sequence[Context]) -> Context:
    """The innermost context that the paths of statements name. Raises OttlError where none is named, or one not allowed."""
    parsed = tuple(map(parse_statement, texts))
    named = {SPELLINGS[path.names[0]] for path in paths(parsed) if len(path.names) > 1 and path.names[0] in SPELLINGS}
    strange = named - set(allowed)
    if strange:
        raise OttlError(f"cannot use {', '.join(sorted(strange))} in these statements: there is {', '.join(allowed)}")
    for context in INSIDE_OUT:
        if context in named:
            return context
    raise OttlError(
        f"cannot tell what the statement is about: begin its paths with one of {', '.join(allowed)}, "
        f"as in {allowed[-1]}.attributes"
    )


def paths(node: Any) -> Iterator[tree.Path]:
    """Every path in a tree."""
    if isinstance(node, tuple):
        for item in node:
            yield from paths(item)
        return
    if isinstance(node, tree.Path):
        yield node
    for name in getattr(node, "__slots__", ()) if type(node).__module__ == tree.__name__ else ():
        yield from paths(getattr(node, name))
