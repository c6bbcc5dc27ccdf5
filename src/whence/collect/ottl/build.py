"""What the parser gives to OTTL's own tree: values, conditions, and where one stands in the place of the other.

The law: pure. Raises OttlError with the place.
"""

import re
from typing import Any, Final, cast

from lark import Token, Tree

from whence.collect.ottl.errors import OttlError, complaint
from whence.collect.ottl.tree import (
    Argument,
    Arithmetic,
    ArithmeticOperator,
    Both,
    Call,
    Compare,
    ComparisonOperator,
    Condition,
    Constant,
    Either,
    Items,
    Name,
    Negation,
    Pairs,
    Path,
    Statement,
    Truth,
    Value,
)
from whence.filter.complain import brief
from whence.otlp.value import INT_MAX

Node = Tree[Token] | Token | None

_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_LETTERS: Final = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
}
_LOGIC: Final = frozenset(("either", "both", "negation", "comparison"))
_DIGITS: Final = 400


class Builder:
    """Builds the tree of one text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def statement(self, tree: Tree[Token]) -> Statement:
        """Of the rule `statement`."""
        editor, where = tree.children
        name, *arguments = cast(Tree[Token], editor).children
        call = Call(str(name), self._arguments(arguments), (), _at(name))
        return Statement(call, None if where is None else self._condition(where))

    def only_condition(self, tree: Tree[Token]) -> Condition:
        """Of the rule `condition`."""
        return self._condition(tree.children[0])

    def _wrong(self, node: Node, problem: str) -> OttlError:
        return complaint(self._text, _at(node), problem)

    # --- conditions

    def _condition(self, node: Node) -> Condition:
        if isinstance(node, Tree):
            match node.data:
                case "either":
                    return Either(tuple(map(self._condition, node.children)))
                case "both":
                    return Both(tuple(map(self._condition, node.children)))
                case "negation":
                    return Negation(self._condition(node.children[0]))
                case "comparison" if node.children[1] is not None:
                    left, operator, right = node.children
                    return Compare(cast(ComparisonOperator, str(operator)), self._value(left), self._value(right))
                case "comparison" | "group":
                    return self._condition(node.children[0])
        value = self._value(node)
        if isinstance(value, Call) or (isinstance(value, Constant) and isinstance(value.value, bool)):
            return Truth(value)
        raise self._wrong(node, "this is no condition; compare it, such as `== true` or `!= nil`")

    # --- values

    def _value(self, node: Node) -> Value:
        if not isinstance(node, Tree):
            raise self._wrong(node, "a value is missing")
        children = node.children
        match node.data:
            case "comparison" if children[1] is None:
                return self._value(children[0])
            case "group":
                return self._value(children[0])
            case "path":
                return self._path(children)
            case "call":
                *arguments, keys = children[1:]
                return Call(str(children[0]), self._arguments(arguments), self._keys(keys), _at(node))
            case "constant":
                return self._constant(cast(Token, children[0]))
            case "list":
                return Items(tuple(self._value(item) for item in children if item is not None), _at(node))
            case "map":
                pairs = [cast(Tree[Token], pair).children for pair in children if pair is not None]
                return Pairs(
                    tuple((self._string(cast(Token, key)), self._value(value)) for key, value in pairs), _at(node)
                )
            case "arithmetic":
                left, operator, right = children
                return Arithmetic(
                    cast(ArithmeticOperator, str(operator)), self._value(left), self._value(right), _at(operator)
                )
            case "signed":
                return self._signed(cast(Token, children[0]), self._value(children[1]))
        raise self._wrong(node, "a condition stands where a value is expected" if node.data in _LOGIC else "no value")

    def _signed(self, sign: Token, value: Value) -> Value:
        if isinstance(value, Constant) and isinstance(value.value, (int, float)) and not isinstance(value.value, bool):
            return Constant(-value.value if sign == "-" else value.value, value.at)
        return Arithmetic("-" if sign == "-" else "+", Constant(0, _at(sign)), value, _at(sign))

    def _path(self, children: list[Any]) -> Path:
        names = [str(name) for name in children[::2]]
        keys = [self._keys(node) for node in children[1::2]]
        if any(keys[:-1]):
            raise self._wrong(children[0], "keys in [ ] can stand at the end of a path only")
        return Path(tuple(names), keys[-1], _at(children[0]))

    def _keys(self, node: Node) -> tuple[Value, ...]:
        return tuple(self._value(key) for key in cast(Tree[Token], node).children)

    def _arguments(self, nodes: list[Any]) -> tuple[Argument, ...]:
        found = []
        for node in nodes:
            if node is not None:
                name, value = node.children
                found.append(Argument(None if name is None else str(name), self._value(value)))
        return tuple(found)

    def _constant(self, token: Token) -> Constant | Name:
        at = _at(token)
        match token.type:
            case "STRING":
                return Constant(self._string(token), at)
            case "INT":
                if len(token) > _DIGITS or int(token) > INT_MAX + 1:
                    raise self._wrong(token, "this number has more than 64 bits")
                return Constant(int(token), at)
            case "FLOAT":
                return Constant(float(token), at)
            case "BYTES":
                if len(token) % 2:
                    raise self._wrong(token, "bytes have two hex digits each")
                return Constant(bytes.fromhex(token[2:]), at)
            case "UPPER":
                return Name(str(token), at)
        return Constant({"TRUE": True, "FALSE": False}.get(token.type), at)

    def _string(self, token: Token) -> str:
        try:
            text = _ESCAPE.sub(_unescaped, token[1:-1])
            text.encode()
        except (ValueError, OverflowError):
            raise self._wrong(
                token, f"{brief(str(token))} has a backslash that means nothing; write two for one"
            ) from None
        return text


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] in "xuU" and len(code) > 1:
        return chr(int(code[1:], 16))
    if len(code) == 3:
        return chr(int(code, 8))
    if code not in _LETTERS:
        raise ValueError(code)
    return _LETTERS[code]


def _at(node: Node) -> int:
    if isinstance(node, Token):
        return int(node.start_pos or 0)
    if isinstance(node, Tree):
        for child in node.children:
            if child is not None and (isinstance(child, Token) or child.children):
                return _at(child)
    return 0
