"""The pipes of a query, checked one after the other: what each may follow, and what its columns are called.

The law: pure. Pipes go over events until one makes a table of them; a table can only be sorted and cut.
"""

from typing import Any, cast

from lark import Token, Tree

from whence.filter import names
from whence.filter.build import ConditionBuilder, Named
from whence.filter.names import Kind, kind_of
from whence.filter.printer import columns
from whence.filter.tree import (
    Bucket,
    Count,
    Distinct,
    Everything,
    Fields,
    Head,
    Key,
    Path,
    Pipe,
    Query,
    Sort,
    Stat,
    Top,
)

_ORDERED = (Kind.NUMBER, Kind.DURATION, Kind.SEVERITY, Kind.TIME, Kind.ANY)


class QueryBuilder(ConditionBuilder):
    """Makes a `Query` of a whole parse tree."""

    def query(self, tree: Tree[Token]) -> Query:
        """The whole query. Goes bottom up with no recursion, however deep the tree."""
        built: dict[int, Any] = {}
        for part in tree.iter_subtrees():
            children = [built[id(child)] if isinstance(child, Tree) else child for child in part.children]
            built[id(part)] = getattr(self, part.data)(children)
        return cast(Query, built[id(tree)])

    def start(self, parts: list[Any]) -> Query:
        """The filter and its pipes; a sort is settled here, as what it may name depends on the pipes before it."""
        found, *written = parts
        pipes: list[Pipe] = []
        table: tuple[str, ...] | None = None
        for at, pipe in written:
            if isinstance(pipe, _Sorting):
                pipes.append(self.sorting(pipe, table))
            elif table is not None and not isinstance(pipe, Head):
                self.fail(at, f"the events are a table by now (of {', '.join(table)}): expected sort or head")
            else:
                pipes.append(pipe)
                table = columns(pipe) or table
                if table and len(set(table)) < len(table):
                    self.fail(at, "a column is named twice: expected each once")
        return Query(Everything() if found is None else found, tuple(pipes))

    def count(self, parts: list[Any]) -> tuple[int, Pipe]:
        return _place(parts[0]), Count(_keys(parts[1:]))

    def stat(self, parts: list[Any]) -> tuple[int, Pipe]:
        name, named, *keys = parts
        path = self.path_of(named)
        kind, statistic = kind_of(path), str(name).lower()
        if kind not in _ORDERED or (kind is Kind.TIME and statistic not in ("min", "max")):
            self.fail(named.at, f"{statistic} needs numbers, and {named.first} is a {kind}")
        if statistic[0] == "p":
            statistic = f"p{float(statistic[1:]):g}"
        return _place(name), Stat(statistic, path, _keys(keys))

    def top(self, parts: list[Any]) -> tuple[int, Pipe]:
        return _place(parts[0]), Top(self.count_of(parts[1]), self.path_of(parts[2]))

    def sort(self, parts: list[Any]) -> "tuple[int, _Sorting]":
        return _place(parts[0]), _Sorting(parts[1], parts[2] is not None and parts[2].lower() == "desc")

    def head(self, parts: list[Any]) -> tuple[int, Pipe]:
        return _place(parts[0]), Head(self.count_of(parts[1]))

    def fields(self, parts: list[Any]) -> tuple[int, Pipe]:
        return _place(parts[0]), Fields(tuple(self.path_of(named, whole_map=True) for named in parts[1:]))

    def distinct(self, parts: list[Any]) -> tuple[int, Pipe]:
        return _place(parts[0]), Distinct(tuple(self.path_of(named) for named in parts[1:]))

    def key(self, parts: list[Any]) -> Key:
        return parts[0] if isinstance(parts[0], Bucket) else self.path_of(parts[0])

    def bucket(self, parts: list[Token]) -> Bucket:
        return Bucket(self.span_of(parts[0]))

    def sorting(self, pipe: "_Sorting", table: tuple[str, ...] | None) -> Sort:
        """A sort of events by a path, or of a table by one of its columns in any of its spellings."""
        if table is None:
            return Sort(self.path_of(pipe.by), pipe.descending)
        if pipe.by.text in table:
            return Sort(pipe.by.text, pipe.descending)
        if names.find(pipe.by.first) is not None:
            (column,) = columns(Fields((self.path_of(pipe.by, whole_map=True),))) or ("",)
            if column in table:
                return Sort(column, pipe.descending)
        return self.fail(pipe.by.at, f"there is no column {pipe.by.text[:60]!r} by now: expected {', '.join(table)}")


class _Sorting:
    """A sort, before it is known whether events or a table are sorted."""

    def __init__(self, by: Named, descending: bool) -> None:
        self.by = by
        self.descending = descending


def _place(token: Token) -> int:
    return int(token.start_pos or 0)


def _keys(found: list[Any]) -> tuple[Path | Bucket, ...]:
    return tuple(key for key in found if key is not None)
