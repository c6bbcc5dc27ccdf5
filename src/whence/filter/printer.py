"""A filter as text, in one canonical spelling that reads back as the same tree, and fits on one line of a URL.

The law: pure; `parse(to_text(tree)) == tree`.
"""

import re
from functools import singledispatch
from typing import Final

from whence.event.flat import format_time
from whence.event.kinds import Severity
from whence.filter.match import is_index
from whence.filter.names import Kind, kind_of
from whence.filter.quantities import duration_text
from whence.filter.tree import (
    Among,
    Both,
    Bucket,
    Caused,
    CausedBy,
    Compare,
    Contains,
    Count,
    Distinct,
    Either,
    Everything,
    Exists,
    Fields,
    Filter,
    Head,
    Key,
    Like,
    Literal_,
    Matches,
    Negation,
    Orphan,
    Path,
    Pipe,
    Query,
    Root,
    Sort,
    StartsWith,
    Stat,
    Top,
    Word,
)

_NAME: Final = re.compile(r"[^\W\d][\w-]*")
_SEVERITIES: Final = {severity.value: severity.name for severity in Severity}


def to_text(tree: Query | Filter) -> str:
    """The canonical text of a query, or of a filter alone."""
    if not isinstance(tree, Query):
        return _show(tree)
    parts = [_show(tree.filter), *(_show_pipe(pipe) for pipe in tree.pipes)]
    return " | ".join(parts).strip()


def path_text(path: Path) -> str:
    """A path: names with dots between, indexes in brackets, everything else in quotes."""
    return path.field + "".join(_key(key) for key in path.keys)


def columns(pipe: Pipe) -> tuple[str, ...] | None:
    """What the columns of the table are called that a pipe makes; None where events stay events, or a table the same."""
    match pipe:
        case Count(by):
            return (*map(_show_key, by), "count")
        case Stat(name, _, by):
            return (*map(_show_key, by), name)
        case Top(_, path):
            return (path_text(path), "count")
        case Fields(paths) | Distinct(paths):
            return tuple(map(path_text, paths))
    return None


def _key(key: str) -> str:
    if is_index(key):
        return f"[{key}]"
    return f".{key}" if _NAME.fullmatch(key) else "." + _quoted(key, '"')


def _quoted(text: str, quote: str = "'") -> str:
    return quote + text.replace(quote, quote * 2) + quote


# --- conditions -----------------------------------------------------------------------------------------------------------


@singledispatch
def _show(tree: Filter) -> str:
    raise TypeError(f"{type(tree).__name__} is no node of a filter")


@_show.register
def _(tree: Everything) -> str:
    return ""


@_show.register
def _(tree: Compare) -> str:
    return f"{path_text(tree.path)} {tree.operator} {_value(tree.path, tree.value)}"


@_show.register
def _(tree: Among) -> str:
    return f"{path_text(tree.path)} IN ({', '.join(_value(tree.path, value) for value in tree.values)})"


@_show.register
def _(tree: Like) -> str:
    return f"{path_text(tree.path)} LIKE {_quoted(tree.pattern)}"


@_show.register
def _(tree: Contains) -> str:
    return f"{path_text(tree.path)} CONTAINS {_value(tree.path, tree.value)}"


@_show.register
def _(tree: StartsWith) -> str:
    return f"{path_text(tree.path)} STARTSWITH {_quoted(tree.text)}"


@_show.register
def _(tree: Matches) -> str:
    return f"{path_text(tree.path)} MATCHES {_quoted(tree.pattern)}"


@_show.register
def _(tree: Exists) -> str:
    return f"EXISTS {path_text(tree.path)}"


@_show.register
def _(tree: Word) -> str:
    return _quoted(tree.text)


@_show.register
def _(tree: Both) -> str:
    return " AND ".join(f"({_show(part)})" if isinstance(part, (Both, Either)) else _show(part) for part in tree.parts)


@_show.register
def _(tree: Either) -> str:
    return " OR ".join(f"({_show(part)})" if isinstance(part, Either) else _show(part) for part in tree.parts)


@_show.register
def _(tree: Negation) -> str:
    inner = _show(tree.part)
    return f"NOT ({inner})" if isinstance(tree.part, (Both, Either)) else f"NOT {inner}"


@_show.register
def _(tree: CausedBy) -> str:
    return f"CAUSED_BY ({_show(tree.by)}){_bounds(tree)}"


@_show.register
def _(tree: Caused) -> str:
    return f"CAUSED ({_show(tree.what)}){_bounds(tree)}"


@_show.register
def _(tree: Root) -> str:
    return "ROOT"


@_show.register
def _(tree: Orphan) -> str:
    return "ORPHAN"


def _bounds(tree: CausedBy | Caused) -> str:
    hops = "" if tree.hops is None else f" WITHIN {tree.hops} HOPS"
    return hops + ("" if tree.ns is None else f" WITHIN {duration_text(tree.ns)}")


def _value(path: Path, value: Literal_) -> str:
    """A literal as it is written beside this path."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    kind = kind_of(path)
    if kind is Kind.TIME:
        return _time(int(value))
    if kind is Kind.DURATION and value > 0:
        return duration_text(int(value))
    if kind is Kind.SEVERITY and value in _SEVERITIES:
        return _SEVERITIES[int(value)]
    return repr(value)


def _time(ns: int) -> str:
    text = format_time(ns)
    if not text.endswith("Z") or len(text) != len("2026-01-01T00:00:00.000000000Z"):
        return str(ns)
    whole, _, fraction = text[:-1].partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


# --- pipes ----------------------------------------------------------------------------------------------------------------


def _show_pipe(pipe: Pipe) -> str:
    match pipe:
        case Count(by):
            return "count" + _by(by)
        case Stat(name, path, by):
            return f"{name} {path_text(path)}{_by(by)}"
        case Top(count, path):
            return f"top {count} {path_text(path)}"
        case Sort(by, descending):
            return f"sort {by if isinstance(by, str) else path_text(by)}{' desc' if descending else ''}"
        case Head(count):
            return f"head {count}"
        case Fields(paths):
            return f"fields {', '.join(map(path_text, paths))}"
        case Distinct(paths):
            return f"distinct {', '.join(map(path_text, paths))}"


def _by(keys: tuple[Key, ...]) -> str:
    return f" by {', '.join(map(_show_key, keys))}" if keys else ""


def _show_key(key: Key) -> str:
    return f"bucket({duration_text(key.ns)})" if isinstance(key, Bucket) else path_text(key)
