"""A filter as one closure over an event: for streams, processors, and archives with no index.

The law: pure. The tree is looked at once, when the closure is made; an event costs the tests it needs and no more.
"""

from collections.abc import Callable, Container
from functools import singledispatch
from operator import attrgetter
from typing import Any

from whence.errors import FilterError
from whence.event.model import Event
from whence.filter import values
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
    Matches,
    Negation,
    Orphan,
    Path,
    Root,
    StartsWith,
    Word,
)

Matcher = Callable[[Event], bool | None]
"""Whether an event matches: yes, no, or None where that hangs on a value it does not have (so it does not match)."""
Causes = Callable[[Causal], Container[str]]
"""Given by the engine: the ids of the events for which a causal question is answered with yes."""


def matcher(tree: Filter, causal: Causes | None = None) -> Matcher:
    """The tree as a closure. Raises FilterError where it asks for causes and no `causal` answers."""
    return _compile(tree, causal)


@singledispatch
def _compile(tree: Filter, causal: Causes | None) -> Matcher:
    raise TypeError(f"{type(tree).__name__} is no node of a filter")


@_compile.register
def _(tree: Everything, causal: Causes | None) -> Matcher:
    return lambda event: True


@_compile.register
def _(tree: Compare, causal: Causes | None) -> Matcher:
    return _asking(tree.path, values.compare(tree.operator, tree.value))


@_compile.register
def _(tree: Among, causal: Causes | None) -> Matcher:
    return _asking(tree.path, values.among(tree.values))


@_compile.register
def _(tree: Like, causal: Causes | None) -> Matcher:
    return _asking(tree.path, values.like(tree.pattern))


@_compile.register
def _(tree: Contains, causal: Causes | None) -> Matcher:
    return _asking(tree.path, values.contains(tree.value))


@_compile.register
def _(tree: StartsWith, causal: Causes | None) -> Matcher:
    return _asking(tree.path, values.starts_with(tree.text))


@_compile.register
def _(tree: Matches, causal: Causes | None) -> Matcher:
    return _asking(tree.path, values.matches(tree.pattern))


@_compile.register
def _(tree: Exists, causal: Causes | None) -> Matcher:
    find = reader(tree.path)
    return lambda event: find(event) is not None


@_compile.register
def _(tree: Word, causal: Causes | None) -> Matcher:
    word = values.fold(tree.text)
    inside = values.fold(values.json_inside(tree.text))
    fold, json_text = values.fold, values.json_text

    def test(event: Event) -> bool:
        return (
            word in fold(event.type)
            or (event.description is not None and word in fold(event.description))
            or (bool(event.payload) and inside in fold(json_text(event.payload)))
            or (bool(event.attributes) and inside in fold(json_text(event.attributes)))
        )

    return test


@_compile.register
def _(tree: Both, causal: Causes | None) -> Matcher:
    parts = [_compile(part, causal) for part in tree.parts]

    def test(event: Event) -> bool | None:
        answer: bool | None = True
        for part in parts:
            found = part(event)
            if found is False:
                return False
            if found is None:
                answer = None
        return answer

    return test


@_compile.register
def _(tree: Either, causal: Causes | None) -> Matcher:
    parts = [_compile(part, causal) for part in tree.parts]

    def test(event: Event) -> bool | None:
        answer: bool | None = False
        for part in parts:
            found = part(event)
            if found:
                return True
            if found is None:
                answer = None
        return answer

    return test


@_compile.register
def _(tree: Negation, causal: Causes | None) -> Matcher:
    part = _compile(tree.part, causal)
    return lambda event: None if (found := part(event)) is None else not found


@_compile.register(CausedBy)
@_compile.register(Caused)
@_compile.register(Root)
@_compile.register(Orphan)
def _(tree: Causal, causal: Causes | None) -> Matcher:
    if causal is None:
        raise FilterError("cannot ask for causes here: only a whole archive knows them; leave the causal part out")
    ids = causal(tree)
    return lambda event: event.id in ids


def _asking(path: Path, test: values.Test) -> Matcher:
    find = reader(path)
    return lambda event: test(find(event))


# --- reading a path -------------------------------------------------------------------------------------------------------


def reader(path: Path) -> Callable[[Event], Any]:
    """The value at a path of an event, None where there is none."""
    field = attrgetter(path.field)
    if not path.keys:
        return (lambda event: field(event) or None) if kind_of(path) in (Kind.LIST, Kind.MAP) else field
    if len(path.keys) == 1:
        key = path.keys[0]
        return lambda event: _one(field(event), key)
    routes = keys_of(path)

    def read(event: Event) -> Any:
        for route in routes:
            value = field(event)
            for key in route:
                value = _one(value, key)
                if value is None:
                    break
            else:
                return value
        return None

    return read


def keys_of(path: Path) -> list[tuple[str, ...]]:
    """The ways a path of several keys is read: as one key with dots in it, as OpenTelemetry's are, else level by level."""
    names = 0
    while names < len(path.keys) and not is_index(path.keys[names]):
        names += 1
    if names < 2:
        return [path.keys]
    return [(".".join(path.keys[:names]), *path.keys[names:]), path.keys]


def is_index(key: str) -> bool:
    """Whether a key can be a place in a list: decimal digits with no zero before them."""
    return key.isascii() and key.isdigit() and (key == "0" or key[0] != "0")


def _one(value: Any, key: str) -> Any:
    """What stands under a key of a map, or at an index of a list."""
    try:
        if value.__class__ is dict or hasattr(value, "keys"):
            return value.get(key)
        if isinstance(value, (list, tuple)) and is_index(key):
            at = int(key)
            return value[at] if at < len(value) else None
    except (TypeError, ValueError, AttributeError):
        return None
    return None
