"""A statement or condition as a tree.

The law: data only. `at` is the place in the text, in characters from its start.
"""

from dataclasses import dataclass
from typing import Any, Literal

ComparisonOperator = Literal["==", "!=", "<", "<=", ">", ">="]
ArithmeticOperator = Literal["+", "-", "*", "/"]


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal; None is `nil`."""

    value: Any
    at: int


@dataclass(frozen=True, slots=True)
class Name:
    """A word in capitals without brackets: an enum's value, or a function handed over."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple["Value", ...]
    at: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """A map."""

    pairs: tuple[tuple[str, "Value"], ...]
    at: int


@dataclass(frozen=True, slots=True)
class Path:
    """`resource.attributes["a"]["b"]`: names with dots between them, and keys behind the last."""

    names: tuple[str, ...]
    keys: tuple["Value", ...]
    at: int


@dataclass(frozen=True, slots=True)
class Argument:
    """What a function is given, perhaps by name."""

    name: str | None
    value: "Value"


@dataclass(frozen=True, slots=True)
class Call:
    """An editor or a converter; keys look into what a converter gives."""

    name: str
    arguments: tuple[Argument, ...]
    keys: tuple["Value", ...]
    at: int


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two values calculated with."""

    operator: ArithmeticOperator
    left: "Value"
    right: "Value"
    at: int


Value = Constant | Name | Items | Pairs | Path | Call | Arithmetic


@dataclass(frozen=True, slots=True)
class Compare:
    """Two values compared."""

    operator: ComparisonOperator
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Truth:
    """A constant, or a converter that gives a truth."""

    value: Constant | Call


@dataclass(frozen=True, slots=True)
class Negation:
    """Not."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class Both:
    """All parts."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Any part."""

    parts: tuple["Condition", ...]


Condition = Compare | Truth | Negation | Both | Either


@dataclass(frozen=True, slots=True)
class Statement:
    """An editor, run where the condition is true."""

    editor: Call
    where: Condition | None
