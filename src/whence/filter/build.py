"""From parsed rules to conditions: names looked up, literals made to fit their fields, patterns compiled.

The law: pure; every rule of the grammar has the method of its name, here or for pipes in `build_pipes.py`.
Raises FilterError with the place.
"""

from typing import Any, NoReturn, cast

from lark import Token

from whence.filter import literals, names, values
from whence.filter.complain import complaint
from whence.filter.limits import ITEMS, KEYS
from whence.filter.literals import Written
from whence.filter.names import Kind, kind_of
from whence.filter.tree import (
    Among,
    Both,
    Caused,
    CausedBy,
    Compare,
    Contains,
    Either,
    Exists,
    Filter,
    Like,
    Matches,
    Negation,
    Operator,
    Orphan,
    Path,
    Root,
    StartsWith,
    Word,
)

_PATTERNS: dict[str, type[Like] | type[StartsWith] | type[Matches]] = {
    "LIKE": Like,
    "STARTSWITH": StartsWith,
    "MATCHES": Matches,
}


class Named:
    """A dotted path as it was written, before it is known what it names."""

    def __init__(self, parts: list[Token], text: str) -> None:
        self.at = int(parts[0].start_pos or 0)
        self.first = str(parts[0])
        self.keys = tuple(unquoted(part) if part.type == "STRING" else str(part) for part in parts[1:])
        self.text = text[self.at : parts[-1].end_pos]

    def __str__(self) -> str:
        return ".".join((self.first, *self.keys))


class ConditionBuilder:
    """Makes conditions of parsed rules; one for each text. `now`: what the filter's `now` is, in ns since the epoch."""

    def __init__(self, text: str, now: int) -> None:
        self.source = text
        self.clock = now

    def fail(self, at: int, problem: str) -> NoReturn:
        """Says what is wrong at a place."""
        raise complaint(self.source, at, problem)

    # --- rules that join ----------------------------------------------------------------------------------------------

    def either(self, parts: list[Filter]) -> Filter:
        return Either(_flat(Either, parts))

    def both(self, parts: list[Filter]) -> Filter:
        return Both(_flat(Both, parts))

    def group(self, parts: list[Filter]) -> Filter:
        return parts[0]

    def negation(self, parts: list[Filter]) -> Filter:
        return Negation(parts[0])

    # --- conditions ---------------------------------------------------------------------------------------------------

    def compare(self, parts: list[Any]) -> Filter:
        named, sign, written = parts
        path, order = self.path_of(named), cast(Operator, str(sign))
        value = self.value_for(path, named, written)
        if kind_of(path) is Kind.LIST:
            if order not in ("=", "!="):
                self.fail(sign.start_pos, f"{named.first} is a list: expected CONTAINS, IN, = or !=")
            return Contains(path, value) if order == "=" else Negation(Contains(path, value))
        if isinstance(value, bool) and order not in ("=", "!="):
            self.fail(sign.start_pos, "true and false have no order: expected = or !=")
        return Compare(path, order, value)

    def among(self, parts: list[Any]) -> Filter:
        named, negated, *written = parts
        path = self.path_of(named)
        if len(written) > ITEMS:
            self.fail(written[ITEMS].at, f"{len(written):,} values are too many: IN takes at most {ITEMS:,}")
        wanted = tuple(self.value_for(path, named, one) for one in written)
        if kind_of(path) is Kind.LIST:
            held = tuple(Contains(path, value) for value in wanted)
            return _unless(negated, held[0] if len(held) == 1 else Either(held))
        return _unless(negated, Among(path, wanted))

    def between(self, parts: list[Any]) -> Filter:
        named, negated, low, high = parts
        path = self.path_of(named)
        least, most = self.value_for(path, named, low), self.value_for(path, named, high)
        if isinstance(least, bool) or isinstance(most, bool) or kind_of(path) is Kind.LIST:
            self.fail(low.at, "lists, true and false have no order: BETWEEN expects numbers, times or texts")
        return _unless(negated, Both((Compare(path, ">=", least), Compare(path, "<=", most))))

    def like(self, parts: list[Any]) -> Filter:
        return self.pattern("LIKE", parts)

    def startswith(self, parts: list[Any]) -> Filter:
        return self.pattern("STARTSWITH", parts)

    def matches(self, parts: list[Any]) -> Filter:
        try:
            values.regex(parts[2].text)
        except ValueError as problem:
            self.fail(parts[2].at, f"this regular expression (RE2) cannot be used: {problem}")
        return self.pattern("MATCHES", parts)

    def pattern(self, word: str, parts: list[Any]) -> Filter:
        named, negated, written = parts
        path = self.path_of(named)
        if kind_of(path) not in (Kind.TEXT, Kind.ANY):
            self.fail(named.at, f"{word} looks into text, and {named.first} is a {kind_of(path)}")
        return _unless(negated, _PATTERNS[word](path, written.text))

    def contains(self, parts: list[Any]) -> Filter:
        named, negated, written = parts
        path = self.path_of(named)
        if kind_of(path) not in (Kind.TEXT, Kind.ANY, Kind.LIST):
            self.fail(named.at, f"CONTAINS looks into texts and lists, and {named.first} is a {kind_of(path)}")
        return _unless(negated, Contains(path, self.value_for(path, named, written)))

    def is_null(self, parts: list[Any]) -> Filter:
        named, negated = parts
        found = Exists(self.path_of(named, whole_map=True))
        return found if negated else Negation(found)

    def exists(self, parts: list[Named]) -> Filter:
        return Exists(self.path_of(parts[0], whole_map=True))

    def caused_by(self, parts: list[Any]) -> Filter:
        return CausedBy(parts[1], **self.bounds(parts))

    def caused(self, parts: list[Any]) -> Filter:
        return Caused(parts[1], **self.bounds(parts))

    def bounds(self, parts: list[Any]) -> dict[str, int]:
        bounds = dict(parts[2:])
        if len(bounds) < len(parts) - 2:
            self.fail(
                parts[0].start_pos, "WITHIN is given twice in the same unit: expected one number of hops, one duration"
            )
        return bounds

    def within(self, parts: list[Token]) -> tuple[str, int]:
        if parts[0].type == "NUMBER":
            hops = self.count_of(parts[0])
            return ("hops", hops) if hops else self.fail(int(parts[0].start_pos or 0), "expected at least 1 hop")
        return "ns", self.span_of(parts[0])

    def root(self, parts: list[Any]) -> Filter:
        return Root()

    def orphan(self, parts: list[Any]) -> Filter:
        return Orphan()

    def word(self, parts: list[Any]) -> Filter:
        found = parts[0]
        text = found.text if isinstance(found, Named) else unquoted(found) if found.type == "STRING" else str(found)
        if not text:
            self.fail(found.start_pos, "an empty text is in everything: expected a word to search for")
        return Word(text)

    # --- paths and literals -------------------------------------------------------------------------------------------

    def path(self, parts: list[Token]) -> Named:
        if len(parts) > KEYS:
            self.fail(int(parts[KEYS].start_pos or 0), f"this path is too long: expected at most {KEYS} names")
        return Named(parts, self.source)

    def text(self, parts: list[Token]) -> Written:
        return Written("text", unquoted(parts[0]), int(parts[0].start_pos or 0))

    def number(self, parts: list[Token]) -> Written:
        return Written("number", str(parts[0]), int(parts[0].start_pos or 0))

    def quantity(self, parts: list[Token]) -> Written:
        return Written("quantity", str(parts[0]), int(parts[0].start_pos or 0))

    def time(self, parts: list[Token]) -> Written:
        return Written("time", str(parts[0]), int(parts[0].start_pos or 0))

    def boolean(self, parts: list[Token]) -> Written:
        return Written("boolean", str(parts[0]), int(parts[0].start_pos or 0))

    def bare(self, parts: list[Token]) -> Written:
        return Written("bare", ".".join(parts), int(parts[0].start_pos or 0))

    def now(self, parts: list[Token]) -> Written:
        at, text = int(parts[0].start_pos or 0), str(parts[0])
        step = text[3:].strip()
        ns = self.clock
        if step:
            try:
                ns += literals.span(step[1:].strip()) * (1 if step[0] == "+" else -1)
            except ValueError as problem:
                self.fail(at, f"expected {problem}")
        return Written("now", text, at, ns)

    def path_of(self, named: Named, *, whole_map: bool = False) -> Path:
        """What a written path names. `whole_map`: it may be a map itself."""
        start = names.find(named.first)
        if start is None:
            near = names.nearest(named.first)
            hint = (
                f"did you mean {near}?"
                if near
                else f"an attribute is attributes.{named}, a payload's field payload.{named}"
            )
            self.fail(named.at, f"there is no field {named.first[:60]!r}: {hint}")
        path = Path(start.field, (*start.keys, *named.keys))
        if path.keys and names.KINDS[path.field] is not Kind.MAP:
            self.fail(named.at, f"{named.first} is a {names.KINDS[path.field]} and has no fields below it")
        if kind_of(path) is Kind.MAP and not whole_map:
            self.fail(
                named.at,
                f"{named.first} is a map: name a key, such as {path.field}.status, or search with a word alone",
            )
        return path

    def value_for(self, path: Path, named: Named, written: Written) -> Any:
        try:
            return literals.value_for(path, named.first if not named.keys else str(named), written)
        except ValueError as problem:
            return self.fail(written.at, f"expected {problem}")

    def count_of(self, token: Token) -> int:
        try:
            return literals.count(str(token))
        except ValueError as problem:
            return self.fail(int(token.start_pos or 0), f"expected {problem}")

    def span_of(self, token: Token) -> int:
        try:
            return literals.span(str(token))
        except ValueError as problem:
            return self.fail(int(token.start_pos or 0), f"expected {problem}")


def unquoted(token: Token) -> str:
    """A quoted text without its quotes; two of them inside are one."""
    quote = token[0]
    return str(token[1:-1]).replace(quote * 2, quote)


def _unless(negated: Token | None, condition: Filter) -> Filter:
    return Negation(condition) if negated else condition


def _flat(kind: type[Both] | type[Either], parts: list[Filter]) -> tuple[Filter, ...]:
    """`a AND (b AND c)` is `a AND b AND c`."""
    return tuple(inner for part in parts for inner in (part.parts if isinstance(part, kind) else (part,)))
