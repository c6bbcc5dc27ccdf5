"""Conditions of operators (`if`, `expr`): the Collector's expressions, as far as they compare fields with constants.

The law: pure. A condition is read when the configuration is; a field that is missing is nil, and what cannot be compared is
false. Source: the language definition of expr-lang, of which pkg/stanza/docs/types/expression.md speaks.
"""

import operator
import re
from collections.abc import Callable
from typing import Annotated, Any, Final, NamedTuple, NoReturn

from pydantic import BeforeValidator

from whence.collect.receivers.operators.entry import MISSING, Entry, Path
from whence.collect.records.patterns import pattern
from whence.event.misfits import Misfit

Reads = Callable[[Entry], Any]
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_$][\w$]*)"""
    r"""|(?P<sign>==|!=|<=|>=|&&|\|\||\?\.|[-+*/%<>!()\[\].,?:|#{}]))""",
    re.DOTALL,
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
_CONSTANTS: Final = {"true": True, "false": False, "nil": None}
_ROOTS: Final = ("body", "attributes", "resource")
_SINGLE: Final[dict[str, Reads]] = {
    "severity": lambda entry: entry.severity,
    "severity_number": lambda entry: entry.severity,
    "severity_text": lambda entry: entry.severity_text,
}
_COMPARED: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "contains": lambda value, part: isinstance(value, str) and part in value,
    "startsWith": lambda value, part: isinstance(value, str) and value.startswith(part),
    "endsWith": lambda value, part: isinstance(value, str) and value.endswith(part),
    "in": lambda value, many: value in many,
}
_DEPTH: Final = 50


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


class Read(NamedTuple):
    """A condition that was read."""

    text: str
    holds: Callable[[Entry], bool]


def as_condition(value: Any) -> Read:
    """The condition that a text says. Raises Misfit."""
    if isinstance(value, Read):
        return value
    if not isinstance(value, str) or not value.strip():
        raise Misfit("""expected a condition such as 'attributes.level == "error"' or 'body matches "^{"'""")
    return Read(value, _Reader(value).whole())


Condition = Annotated[Read, BeforeValidator(as_condition)]


class _Reader:
    """Recursive descent, one method a level of precedence."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._cut()
        self._at = 0
        self._depth = 0

    def whole(self) -> Callable[[Entry], bool]:
        """All of it. Raises Misfit."""
        found = self._either()
        if self._now.kind != "end":
            self._fail("and, or, a comparison, or the end")
        return lambda entry: found(entry) is True

    def _cut(self) -> list[_Token]:
        tokens: list[_Token] = []
        at, end = 0, len(self._text.rstrip())
        while at < end:
            found = _TOKEN.match(self._text, at)
            if found is None or found.lastgroup is None:
                left = self._text[at:].lstrip()
                column = len(self._text) - len(left) + 1
                raise Misfit(f"expected a condition; what stands at column {column} is in none: {left[:20]!r}")
            tokens.append(_Token(found.lastgroup, found.group(found.lastgroup), found.start(found.lastgroup)))
            at = found.end()
        return [*tokens, _Token("end", "", end)]

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, *texts: str) -> str | None:
        """The next token where it is one of these words or signs."""
        token = self._now
        if token.kind in ("name", "sign") and token.text in texts:
            self._at += 1
            return token.text
        return None

    def _fail(self, expected: str) -> NoReturn:
        token = self._now
        raise Misfit(
            f"expected {expected} at column {token.at + 1}, not {token.text[:20] or 'the end'}: conditions compare body, "
            "attributes, resource and severity with constants here (== != < <= > >= matches contains startsWith endsWith in, "
            "and, or, not); use the processors filter and transform for more"
        )

    def _either(self) -> Reads:
        self._depth += 1
        if self._depth > _DEPTH:
            self._fail("fewer brackets")
        found = self._both()
        while self._take("or", "||"):
            found = _or(found, self._both())
        self._depth -= 1
        return found

    def _both(self) -> Reads:
        found = self._not()
        while self._take("and", "&&"):
            found = _and(found, self._not())
        return found

    def _not(self) -> Reads:
        turns = False
        while self._take("not", "!"):
            turns = not turns
        found = self._compared()
        return _not(found) if turns else found

    def _compared(self) -> Reads:
        left = self._term()
        turns = bool(self._take("not"))
        sign = self._take("==", "!=", "matches", *_COMPARED)
        if sign is None:
            if turns:
                self._fail("in, matches, contains, startsWith or endsWith")
            return left
        found = self._matches(left) if sign == "matches" else _comparison(sign, left, self._term())
        return _not(found) if turns else found

    def _matches(self, left: Reads) -> Reads:
        if self._now.kind != "text":
            self._fail("a regular expression in quotes")
        try:
            searched = pattern(self._quoted())
        except ValueError as cause:
            raise Misfit(str(cause)) from None

        def matches(entry: Entry) -> bool:
            value = left(entry)
            return isinstance(value, str) and searched.search(value) is not None

        return matches

    def _term(self) -> Reads:
        token = self._now
        if self._take("("):
            found = self._either()
            if not self._take(")"):
                self._fail(")")
            return found
        if self._take("["):
            return self._list()
        if token.kind in ("text", "number"):
            value = self._constant()
            return lambda _: value
        if token.kind == "name" and token.text in _CONSTANTS:
            self._at += 1
            value = _CONSTANTS[token.text]
            return lambda _: value
        return self._field()

    def _list(self) -> Reads:
        values: list[Any] = []
        while not self._take("]"):
            if self._now.kind not in ("text", "number"):
                self._fail("a constant")
            values.append(self._constant())
            if not self._take(",") and self._now.text != "]":
                self._fail(", or ]")
        return lambda _: values

    def _constant(self) -> Any:
        if self._now.kind == "text":
            return self._quoted()
        text = self._now.text
        self._at += 1
        return float(text) if "." in text else int(text)

    def _quoted(self) -> str:
        text = self._now.text
        self._at += 1
        if text[0] == "`":
            return text[1:-1]
        return re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[1]), text[1:-1], flags=re.DOTALL)

    def _field(self) -> Reads:
        if single := self._take(*_SINGLE):
            return _SINGLE[single]
        root = self._take(*_ROOTS)
        if root is None:
            self._fail("a field or a constant")
        keys: list[str] = []
        while sign := self._take(".", "?.", "["):
            if self._now.kind != ("text" if sign == "[" else "name"):
                self._fail("a key in quotes" if sign == "[" else "a key")
            keys.append(self._quoted() if sign == "[" else self._name())
            if sign == "[" and not self._take("]"):
                self._fail("]")
        return _reads(Path(root, tuple(keys)))  # type: ignore[arg-type]

    def _name(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1].text


def _reads(path: Path) -> Reads:
    def read(entry: Entry) -> Any:
        found = path.get(entry)
        return None if found is MISSING else found

    return read


def _or(left: Reads, right: Reads) -> Reads:
    return lambda entry: left(entry) is True or right(entry) is True


def _and(left: Reads, right: Reads) -> Reads:
    return lambda entry: left(entry) is True and right(entry) is True


def _not(found: Reads) -> Reads:
    return lambda entry: found(entry) is not True


def _comparison(sign: str, left: Reads, right: Reads) -> Reads:
    if sign in ("==", "!="):
        wanted = sign == "=="
        return lambda entry: _same(left(entry), right(entry)) is wanted
    compare = _COMPARED[sign]

    def compared(entry: Entry) -> bool:
        try:
            return bool(compare(left(entry), right(entry)))
        except TypeError:
            return False

    return compared


def _same(one: Any, other: Any) -> bool:
    """1 is no true."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
