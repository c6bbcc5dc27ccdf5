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


def statement_of(text: str, context: Context | None, now: Clock, allowed: Sequence[Context]) -> tuple[Context, Act]:
    """A statement, and the context it is at: the given one, else the innermost that its paths name."""
    parsed = parse_statement(text)
    at = inferred(parsed, allowed) if context is None else context
    return at, statement(parsed, Scope(text, at, context is None, now))


def condition_of(text: str, context: Context, now: Clock, prefixed: bool = False) -> Ask:
    """A condition in a context."""
    return condition(parse_condition(text), Scope(text, context, prefixed, now))


def inferred(parsed: Any, allowed: Sequence[Context]) -> Context:
    """The innermost context that the paths of a statement name; raises OttlError where none is named."""
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
