"""A filter as SQL for DuckDB: a condition over a relation whose columns are an event's fields, with bound parameters only.

The law: pure, and the same answer as `match.py` on any event (a property test holds them together). No text of the filter
stands in the SQL: names of columns are our own, everything else is a parameter. Maps are the JSON text that
`values.json_text` makes, or NULL.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Final

from whence.errors import FilterError
from whence.filter import values
from whence.filter.match import is_index, keys_of
from whence.filter.names import Kind, kind_of
from whence.filter.tree import (
    Among,
    Both,
    Causal,
    Caused,
    CausedBy,
    Compare,
    Contains,
    Either,
    Everything,
    Exists,
    Filter,
    Like,
    Literal_,
    Matches,
    Negation,
    Orphan,
    Path,
    Root,
    StartsWith,
    Word,
)

NUMBERS: Final = "('BIGINT', 'UBIGINT', 'DOUBLE')"
"""What DuckDB calls JSON's numbers."""
_EXACT: Final = 1 << 53
"""Below this, a whole number as floating point compares with any other number as it does itself."""
_MANY: Final = 100
"""Beyond this many texts, IN asks a set instead of comparing one after the other."""


@dataclass(frozen=True, slots=True)
class Sql:
    """SQL text with parameters `$1`, `$2`, ... and their values in that order."""

    text: str
    parameters: tuple[Any, ...] = ()


Causes = Callable[[Causal], Collection[str] | Sql]
"""Given by the engine: for a causal question the ids of the events for which the answer is yes, or a condition of its own (whose
parameters the engine binds)."""


class Binder:
    """Gathers parameters, each value once. `first` is the number of the first."""

    def __init__(self, causal: Causes | None = None, first: int = 1) -> None:
        self.causal = causal
        self.first = first
        self.parameters: list[Any] = []
        self._places: dict[tuple[type, Any], int] = {}

    def add(self, value: Any) -> str:
        """The place of a value: `$3`."""
        if isinstance(value, list):
            self.parameters.append(value)
            return f"${self.first + len(self.parameters) - 1}"
        place = self._places.get((type(value), value))
        if place is None:
            self.parameters.append(value)
            place = self._places[type(value), value] = self.first + len(self.parameters) - 1
        return f"${place}"


def compile_sql(tree: Filter, causal: Causes | None = None, *, first: int = 1) -> Sql:
    """The condition for a WHERE. `first`: the number of its first parameter, where the surrounding SQL has some before.

    Raises FilterError where the filter asks for causes and no `causal` answers.
    """
    binder = Binder(causal, first)
    text = condition(tree, binder)
    return Sql(text, tuple(binder.parameters))


@singledispatch
def condition(tree: Filter, binder: Binder) -> str:
    """The SQL of one node, in brackets where it needs them; its parameters go to the binder."""
    raise TypeError(f"{type(tree).__name__} is no node of a filter")


@condition.register
def _(tree: Everything, binder: Binder) -> str:
    return "TRUE"


@condition.register
def _(tree: Compare, binder: Binder) -> str:
    if tree.operator == "!=":
        return f"(NOT {_compare(tree.path, '=', tree.value, binder)})"
    return _compare(tree.path, tree.operator, tree.value, binder)


@condition.register
def _(tree: Among, binder: Binder) -> str:
    texts = [value for value in tree.values if isinstance(value, str)]
    parts = [_compare(tree.path, "=", value, binder) for value in tree.values if not isinstance(value, str)]
    if texts:
        if len(texts) > _MANY:
            chosen = f"(SELECT unnest({binder.add(texts)}::VARCHAR[]))"
        else:
            chosen = f"({', '.join(binder.add(text) for text in texts)})"
        parts.append(_text(tree.path, binder, lambda text: f"{text} IN {chosen}"))
    return f"({' OR '.join(parts)})"


@condition.register
def _(tree: Like, binder: Binder) -> str:
    return _text(tree.path, binder, lambda text: _like(text, tree.pattern, binder))


@condition.register
def _(tree: StartsWith, binder: Binder) -> str:
    return _text(tree.path, binder, lambda text: f"starts_with({text}, {binder.add(tree.text)})")


@condition.register
def _(tree: Matches, binder: Binder) -> str:
    return _text(tree.path, binder, lambda text: f"regexp_matches({text}, {binder.add(tree.pattern)})")


@condition.register
def _(tree: Contains, binder: Binder) -> str:
    if kind_of(tree.path) is Kind.LIST:
        held = f"list_contains({tree.path.field}, {binder.add(tree.value)})"
        return f"(CASE WHEN len({tree.path.field}) > 0 THEN {held} END)"
    if kind_of(tree.path) is not Kind.ANY:
        return f"contains({tree.path.field}, {binder.add(tree.value)})"
    place = Place.of(tree.path, binder)
    item = Place("json_type(item)", "(item ->> '$')")
    equal = f"coalesce({_any('=', tree.value, item, binder)}, FALSE)"
    held = f"len(list_filter(CAST({place.json} AS JSON[]), lambda item: {equal})) > 0"
    inside = f"contains({place.text}, {binder.add(tree.value)})" if isinstance(tree.value, str) else "FALSE"
    return (
        f"(CASE WHEN {place.type} = 'ARRAY' THEN {held} WHEN {place.type} = 'VARCHAR' THEN {inside} "
        f"WHEN {place.type} IS NULL THEN NULL ELSE FALSE END)"
    )


@condition.register
def _(tree: Exists, binder: Binder) -> str:
    match kind_of(tree.path):
        case Kind.ANY:
            return f"({Place.of(tree.path, binder).type} IS NOT NULL)"
        case Kind.MAP:
            return f"coalesce({tree.path.field} <> '{{}}', FALSE)"
        case Kind.LIST:
            return f"coalesce(len({tree.path.field}) > 0, FALSE)"
        case _:
            return f"({tree.path.field} IS NOT NULL)"


@condition.register
def _(tree: Word, binder: Binder) -> str:
    word = binder.add(values.fold(tree.text))
    inside = binder.add(values.fold(values.json_inside(tree.text)))
    found = [f"coalesce(contains(lower({field}), {word}), FALSE)" for field in ("type", "description")]
    found += [
        f"coalesce({field} <> '{{}}' AND contains(lower({field}), {inside}), FALSE)"
        for field in ("payload", "attributes")
    ]
    return f"({' OR '.join(found)})"


@condition.register
def _(tree: Both, binder: Binder) -> str:
    return f"({' AND '.join([condition(part, binder) for part in tree.parts])})"


@condition.register
def _(tree: Either, binder: Binder) -> str:
    return f"({' OR '.join([condition(part, binder) for part in tree.parts])})"


@condition.register
def _(tree: Negation, binder: Binder) -> str:
    return f"(NOT {condition(tree.part, binder)})"


@condition.register(CausedBy)
@condition.register(Caused)
@condition.register(Root)
@condition.register(Orphan)
def _(tree: Causal, binder: Binder) -> str:
    if binder.causal is None:
        raise FilterError("cannot ask for causes here: only a whole archive knows them; leave the causal part out")
    ids = binder.causal(tree)
    if isinstance(ids, Sql):
        return f"({ids.text})"
    return f"(id IN (SELECT unnest({binder.add(list(ids))}::VARCHAR[])))"


# --- values below a map ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A value inside JSON: SQL for its type (NULL where it is missing), its text, and itself as JSON."""

    type: str
    text: str
    json: str = ""

    @classmethod
    def of(cls, path: Path, binder: Binder) -> "Place":
        """Where a path below a map leads. JSON pointers, because any key at all can be bound in them.

        Only text in which the key stands is parsed: finding it is twenty times faster than parsing.
        """
        routes = [f"{_having(path.field, keys, binder)}, {binder.add(_pointer(keys))}" for keys in keys_of(path)]
        return cls(
            _first([f"nullif(json_type({route}), 'NULL')" for route in routes]),
            _first([f"json_extract_string({route})" for route in routes]),
            _first([f"nullif(json_extract({route}), 'null')" for route in routes]),
        )


def _having(field: str, keys: tuple[str, ...], binder: Binder) -> str:
    """The JSON in a column where the longest of the keys stands in it, else NULL."""
    longest = max((key for key in keys if not is_index(key)), key=len, default="")
    if not longest:
        return field
    return f"CASE WHEN contains({field}, {binder.add(values.json_inside(longest))}) THEN {field} END"


def _first(found: list[str]) -> str:
    return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"


def _pointer(keys: tuple[str, ...]) -> str:
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def _text(path: Path, binder: Binder, test: Callable[[str], str]) -> str:
    """A test of text: NULL where there is no value, FALSE where it is not text."""
    if kind_of(path) is not Kind.ANY:
        return f"({test(path.field)})"
    place = Place.of(path, binder)
    return f"({test(place.text)} AND {place.type} = 'VARCHAR')"


def _compare(path: Path, order: str, want: Literal_, binder: Binder) -> str:
    if kind_of(path) is Kind.ANY:
        return _any(order, want, Place.of(path, binder), binder)
    if isinstance(want, str):
        return f"({path.field} {order} {binder.add(want)})"
    if isinstance(want, int):
        return f"({path.field} {order} {binder.add(want)}::BIGINT)"
    return f"(CAST({path.field} AS DOUBLE) {order} {binder.add(want)}::DOUBLE)"


def _any(order: str, want: Literal_, place: Place, binder: Binder) -> str:
    if isinstance(want, bool):
        return f"({place.type} = 'BOOLEAN' AND {place.text} = '{'true' if want else 'false'}')"
    if isinstance(want, str):
        return f"({place.text} {order} {binder.add(want)} AND {place.type} = 'VARCHAR')"
    rounded = f"TRY_CAST({place.text} AS DOUBLE) {order} {binder.add(float(want))}::DOUBLE"
    if isinstance(want, float) or abs(want) < _EXACT:
        return f"({place.type} IN {NUMBERS} AND {rounded})"
    exact = f"TRY_CAST({place.text} AS HUGEINT) {order} {binder.add(want)}::HUGEINT"
    return (
        f"(CASE WHEN {place.type} IN ('BIGINT', 'UBIGINT') THEN {exact} WHEN {place.type} = 'DOUBLE' THEN {rounded} "
        f"WHEN {place.type} IS NULL THEN NULL ELSE FALSE END)"
    )


def _like(text: str, pattern: str, binder: Binder) -> str:
    """A pattern as the cheapest test that is the same: DuckDB's own LIKE goes back at every star, RE2 never does."""
    pieces = values.like_pieces(pattern)
    match values.plain_pieces(pieces):
        case [whole]:
            return f"{text} = {binder.add(whole)}"
        case [head, ""]:
            return f"starts_with({text}, {binder.add(head)})"
        case ["", tail]:
            return f"suffix({text}, {binder.add(tail)})"
        case ["", middle, ""]:
            return f"contains({text}, {binder.add(middle)})"
    return f"regexp_full_match({text}, {binder.add(values.like_regex(pieces))}, 's')"
