"""A whole query as SQL for DuckDB: the filter, then each pipe around what came before.

The law: pure; the same as `sql.py`: bound parameters only. The columns of a table are called `c1`, `c2`, ... in SQL, and by
their names in `Table.columns`.
"""

from dataclasses import dataclass
from typing import Any, Final

from whence.filter.names import Kind, kind_of
from whence.filter.printer import columns
from whence.filter.sql import NUMBERS, Binder, Causes, Place, condition
from whence.filter.tree import Bucket, Count, Distinct, Fields, Head, Key, Path, Pipe, Query, Sort, Stat, Top

IN_TIME: Final = "time, id"
"""The order of events where none is asked for."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an answer. `kind`: times and durations are ns, a severity its number, `any` JSON text (NULL: missing)."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Table:
    """A SELECT with parameters `$1`, `$2`, ... . `columns`: of the table it gives; None where it gives whole events."""

    text: str
    parameters: tuple[Any, ...]
    columns: tuple[Column, ...] | None


def compile_query(query: Query, relation: str, causal: Causes | None = None) -> Table:
    """The SELECT that answers a query over `relation`, which is SQL text of the caller's own: a name, or a SELECT in brackets.

    Raises FilterError where the filter asks for causes and no `causal` answers.
    """
    binder = Binder(causal)
    steps = _Steps(relation, condition(query.filter, binder), binder)
    for pipe in query.pipes:
        steps.take(pipe)
    return Table(steps.select(), tuple(binder.parameters), steps.columns)


class _Steps:
    """The SQL so far: what is selected from, in which order it comes, and its columns once it is a table."""

    def __init__(self, relation: str, where: str, binder: Binder) -> None:
        self.binder = binder
        self.source = f"{relation} WHERE {where}"
        self.order = IN_TIME
        self.columns: tuple[Column, ...] | None = None

    def select(self) -> str:
        shown = ", ".join(f"c{place}" for place in range(1, len(self.columns) + 1)) if self.columns else "*"
        return f"SELECT {shown} FROM {self.source} ORDER BY {self.order}"  # noqa: S608 - our own names, and places of parameters

    def take(self, pipe: Pipe) -> None:
        """Puts one more pipe around."""
        match pipe:
            case Sort(by, descending):
                key = self.place_of(by) if isinstance(by, str) else self.sortable(by)
                way = "DESC" if descending else "ASC"
                self.order = ", ".join([*(f"{part} {way} NULLS LAST" for part in key), self.order])
            case Head(count):
                most = f"ORDER BY {self.order} LIMIT {self.binder.add(count)}"
                self.source = f"(SELECT * FROM {self.source} {most})"  # noqa: S608 - as above
            case Count(by):
                self.group(pipe, by, "count(*)", Kind.NUMBER)
            case Stat(name, path, by):
                self.group(pipe, by, self.statistic(name, path), _kind_of_statistic(name, path))
            case Top(count, path):
                self.group(pipe, (path,), "count(*)", Kind.NUMBER, missing=False)
                self.take(Head(count))
            case Distinct(paths):
                self.group(pipe, paths, None, Kind.ANY)
            case Fields(paths):
                shown = [f"{self.value(path)} AS c{place}" for place, path in enumerate(paths, 1)]
                place = f"row_number() OVER (ORDER BY {self.order}) AS place"
                self.source = f"(SELECT {', '.join([*shown, place])} FROM {self.source})"  # noqa: S608 - as above
                self.order = "place"
                self.columns = _columns(pipe, [kind_of(path) for path in paths])

    def group(self, pipe: Pipe, by: tuple[Key, ...], measure: str | None, kind: Kind, *, missing: bool = True) -> None:
        """Makes a table of groups: keys, then the measure; in the order of time where that is a key, else the most first."""
        keys = [self.value(key) for key in by]
        shown = [f"{text} AS c{place}" for place, text in enumerate([*keys, *([measure] if measure else [])], 1)]
        grouped = f" GROUP BY {', '.join(keys)}" if keys else ""
        if not missing:
            grouped += f" HAVING {keys[0]} IS NOT NULL"
        self.source = f"(SELECT {', '.join(shown)} FROM {self.source}{grouped})"  # noqa: S608 - as above
        order = [f"c{place} ASC NULLS LAST" for place in range(1, len(keys) + 1)]
        if measure and not any(isinstance(key, Bucket) for key in by):
            order.insert(0, f"c{len(keys) + 1} DESC NULLS LAST")
        self.order = ", ".join(order)
        kinds = [Kind.TIME if isinstance(key, Bucket) else kind_of(key) for key in by]
        self.columns = _columns(pipe, [*kinds, *([kind] if measure else [])])

    def value(self, key: Key) -> str:
        """SQL of what is shown or grouped by."""
        if isinstance(key, Bucket):
            return f"(time - time % {self.binder.add(key.ns)}::BIGINT)"
        return Place.of(key, self.binder).json if key.keys else key.field

    def sortable(self, path: Path) -> list[str]:
        """SQL of what events are sorted by: below a map numbers as such and first, then texts."""
        if kind_of(path) is not Kind.ANY:
            return [path.field]
        place = Place.of(path, self.binder)
        return [_number(place), place.text]

    def place_of(self, name: str) -> list[str]:
        """The same for a column of the table."""
        found = self.columns or ()
        place = next(place for place, column in enumerate(found, 1) if column.name == name)
        if found[place - 1].kind is not Kind.ANY:
            return [f"c{place}"]
        return [_number(Place(f"json_type(c{place})", f"(c{place} ->> '$')")), f"(c{place} ->> '$')"]

    def statistic(self, name: str, path: Path) -> str:
        number = _number(Place.of(path, self.binder)) if path.keys else path.field
        if name[0] == "p":
            return f"quantile_cont({number}, {self.binder.add(float(name[1:]) / 100)}::DOUBLE)"
        return f"{name}({number})"


def _number(place: Place) -> str:
    return f"(CASE WHEN {place.type} IN {NUMBERS} THEN TRY_CAST({place.text} AS DOUBLE) END)"


def _kind_of_statistic(name: str, path: Path) -> Kind:
    kind = kind_of(path)
    return Kind.NUMBER if kind in (Kind.ANY, Kind.SEVERITY) else kind


def _columns(pipe: Pipe, kinds: list[Kind]) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name, kind in zip(columns(pipe) or (), kinds, strict=True))
