"""OTTL's text to its tree: the grammar in `grammar.lark`, the limits, and the errors.

The law: pure. Raises OttlError for any text that is none, and nothing else for any text at all.
"""

from functools import cache
from importlib import resources
from typing import Any, Final, Literal

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from whence.collect.ottl.build import Builder
from whence.collect.ottl.errors import complaint
from whence.collect.ottl.tree import Condition, Statement
from whence.filter.complain import brief

LONGEST: Final = 16_384
"""Characters of a statement."""
DEPTH: Final = 64
"""Levels: more could exhaust the stack of whoever goes through the tree."""

_WORDS: Final = {
    "LOWER": "a path or an editor", "UPPER": "a converter or an enum", "STRING": "a quoted text", "INT": "a number",
    "FLOAT": "a number", "BYTES": "bytes (0x...)", "COMPARISON": "== != < <= > >=", "SIGN": "+ -", "TIMES": "* /",
    "LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}", "COMMA": ",", "DOT": ".",
    "COLON": ":", "EQUAL": "=", "WHERE": "where", "AND": "and", "OR": "or", "NOT": "not", "TRUE": "true", "FALSE": "false",
    "NIL": "nil", "$END": "the end",
}  # fmt: skip
_VALUE: Final = {"UPPER", "STRING", "INT", "FLOAT", "BYTES", "TRUE", "FALSE", "NIL", "LSQB", "LBRACE", "SIGN", "LPAR"}


def parse_statement(text: str) -> Statement:
    """A statement: `editor(arguments) where condition`. Raises OttlError with the place and what was expected there."""
    return Builder(text).statement(_parsed(text, "statement"))


def parse_condition(text: str) -> Condition:
    """A condition. Raises OttlError as `parse_statement`."""
    return Builder(text).only_condition(_parsed(text, "condition"))


@cache
def _parser() -> Lark:
    grammar = (resources.files("whence.collect.ottl") / "grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", start=["statement", "condition"], maybe_placeholders=True)


def _parsed(text: str, start: Literal["statement", "condition"]) -> Tree[Token]:
    if len(text) > LONGEST:
        raise complaint(text[:_SHOWN], 0, f"it has {len(text):,} characters, of at most {LONGEST:,}")
    try:
        tree = _parser().parse(text, start=start)
    except UnexpectedToken as problem:
        ended = problem.token.type == "$END"
        at = len(text.rstrip()) if ended else int(problem.token.start_pos or 0)
        raise complaint(
            text, at, _said("" if ended else str(problem.token), problem.accepts or problem.expected)
        ) from None
    except UnexpectedCharacters as problem:
        at = problem.pos_in_stream or 0
        raise complaint(text, at, _said(text[at], problem.allowed or ())) from None
    _check_depth(tree, text)
    return tree


_SHOWN: Final = 60


def _said(found: str, expected: Any) -> str:
    wanted = set(expected)
    first = "this text has no closing quote" if found == '"' else f"{brief(found)} is not expected here"
    words = ["a value"] if wanted >= _VALUE - {"SIGN"} else []
    words += sorted({_WORDS.get(name, name.lower()) for name in (wanted - _VALUE if words else wanted)})
    return f"{first if found else 'it ends too early'}; expected {', '.join(words)}"


def _check_depth(tree: Tree[Token], text: str) -> None:
    """Refuses what is nested too deep. Itself goes without recursion."""
    waiting: list[tuple[Tree[Token], int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEPTH:
            raise complaint(text, 0, f"it is nested deeper than {DEPTH} levels")
        waiting.extend((child, depth + 1) for child in node.children if isinstance(child, Tree))
