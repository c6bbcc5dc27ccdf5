"""The filter's tree: frozen nodes, one for each thing that can be asked of an event, and the pipes after it.

The law: data only, and already checked: every name is known, every literal fits its field, every pattern compiles. Several
spellings make one node: `BETWEEN` is two comparisons, `IS NULL` is `NOT EXISTS`.
"""

from dataclasses import dataclass
from typing import Literal

Literal_ = str | int | float | bool
"""A value in a filter. Times and durations are whole nanoseconds, severities their numbers."""
Operator = Literal["=", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Path:
    """Where a value is: a field of the event, and for a map the keys below it, outermost first (an index as its digits)."""

    field: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Everything:
    """Every event: the empty filter."""


@dataclass(frozen=True, slots=True)
class Compare:
    """The value at `path` compared with a literal."""

    path: Path
    operator: Operator
    value: Literal_


@dataclass(frozen=True, slots=True)
class Among:
    """The value at `path` equals one of `values` (`IN`)."""

    path: Path
    values: tuple[Literal_, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """The whole text at `path` fits a pattern of `*` or `%` (any run), `?` or `_` (any one), and backslash escapes."""

    path: Path
    pattern: str


@dataclass(frozen=True, slots=True)
class Contains:
    """The text at `path` has `value` in it, or the list at `path` has it as an item."""

    path: Path
    value: Literal_


@dataclass(frozen=True, slots=True)
class StartsWith:
    """The text at `path` begins with `text`."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Matches:
    """An RE2 regular expression is found somewhere in the text at `path`."""

    path: Path
    pattern: str


@dataclass(frozen=True, slots=True)
class Exists:
    """There is a value at `path`; JSON's null is none."""

    path: Path


@dataclass(frozen=True, slots=True)
class Word:
    """`text` stands in the type, the description, or the JSON of payload or attributes, in any case."""

    text: str


@dataclass(frozen=True, slots=True)
class Both:
    """All of `parts` hold (`AND`); at least two."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Either:
    """One of `parts` holds (`OR`); at least two."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Negation:
    """`part` does not hold (`NOT`); unknown stays unknown."""

    part: "Filter"


@dataclass(frozen=True, slots=True)
class CausedBy:
    """An event that one of the events matching `by` caused: at most `hops` recorded causes and `ns` nanoseconds after it."""

    by: "Filter"
    hops: int | None = None
    ns: int | None = None


@dataclass(frozen=True, slots=True)
class Caused:
    """An event that caused one of the events matching `what`: at most `hops` recorded causes and `ns` before it."""

    what: "Filter"
    hops: int | None = None
    ns: int | None = None


@dataclass(frozen=True, slots=True)
class Root:
    """An event that nothing caused."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """An event that gives no cause and names a span it is in that is nowhere."""


Causal = CausedBy | Caused | Root | Orphan
"""What only the whole archive can tell."""
Filter = (
    Everything
    | Compare
    | Among
    | Like
    | Contains
    | StartsWith
    | Matches
    | Exists
    | Word
    | Both
    | Either
    | Negation
    | Causal
)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The time, cut to whole steps of `ns` nanoseconds since the epoch."""

    ns: int


Key = Path | Bucket


@dataclass(frozen=True, slots=True)
class Count:
    """How many events, for each combination of `by`."""

    by: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Stat:
    """`min`, `max`, `avg`, `sum` or a percentile (`p95`) of the numbers at `path`, for each combination of `by`."""

    name: str
    path: Path
    by: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Top:
    """The `count` most frequent values at `path`, with how often each is there."""

    count: int
    path: Path


@dataclass(frozen=True, slots=True)
class Sort:
    """In the order of `by`: a path of the events, or after a table-making pipe the name of one of its columns."""

    by: Path | str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """The first `count` only."""

    count: int


@dataclass(frozen=True, slots=True)
class Fields:
    """The values at these paths, instead of whole events."""

    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Distinct:
    """Each combination of the values at these paths once."""

    paths: tuple[Path, ...]


Pipe = Count | Stat | Top | Sort | Head | Fields | Distinct


@dataclass(frozen=True, slots=True)
class Query:
    """A filter and what is to become of the events it lets through."""

    filter: Filter
    pipes: tuple[Pipe, ...] = ()
