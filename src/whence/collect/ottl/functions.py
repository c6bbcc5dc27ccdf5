"""What functions are: how one is written, and how a call is checked against it.

The law: pure. A function is a Python function; the annotations of its parameters say what it takes, and its arguments are
checked against them: when the configuration is read where they are constants, else on each record. Editors take the place
and what they change first. The tables `EDITORS` and `CONVERTERS` are filled where the functions stand.
"""

import inspect
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple, get_args, get_origin

from whence.collect.ottl.calculate import kind_name
from whence.collect.ottl.errors import Failure
from whence.collect.ottl.moments import Duration, Time
from whence.collect.records.patterns import pattern
from whence.collect.records.plain import as_string
from whence.collect.records.walk import Place

LONGEST: Final = 16 << 20
"""Characters of a text that a function gives: what would grow without end is refused."""


Regex = Annotated[Any, "a regular expression"]
"""A parameter that is a regular expression: given as its text, taken compiled."""
Text = Annotated[str, "a text"]
"""A parameter that is text; numbers and truths become it."""
Number = Annotated[float, "a number"]
"""A parameter that is an int or a double."""
Taken = Annotated[Callable[[Any], Any] | None, "a converter"]
"""A parameter that is the name of a converter with one parameter: taken as a function of one value."""
Now = Annotated[int, "now"]
"""A parameter that nobody gives and stands first: nanoseconds since the epoch. So does one that is a Place."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an editor changes: a path."""

    read: Callable[[Place], Any]
    write: Callable[[Place, Any], None]
    edit: Callable[[Place], MutableMapping[str, Any]] | None = None
    """As a map, changes to which are changes to the record."""

    def change(self, place: Place, do: Callable[[MutableMapping[str, Any]], None]) -> None:
        """Does something to the map that stands here; where nothing stands here, nothing. Raises Failure for no map."""
        if self.edit is not None:
            do(self.edit(place))
            return
        value = self.read(place)
        if value is None:
            return
        if not isinstance(value, dict):
            raise Failure(f"expected a map to change, not {kind_name(value)}")
        do(value)
        self.write(place, value)


class Parameter(NamedTuple):
    """One parameter of a function."""

    name: str
    kind: Any
    required: bool
    default: Any


@dataclass(frozen=True, slots=True)
class Function:
    """One function of OTTL."""

    name: str
    call: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    """What is given, in order."""
    hidden: tuple[Any, ...] = ()
    """What nobody gives and comes first: Now or Place, or nothing."""


EDITORS: Final[dict[str, Function]] = {}
CONVERTERS: Final[dict[str, Function]] = {}

Call = Callable[..., Any]


def editor(call: Call) -> Call:
    """Adds an editor, under its own name without the `_` that keeps it from Python's words."""
    name = call.__name__.rstrip("_")
    EDITORS[name] = _function(name, call)
    return call


def converter(name: str) -> Callable[[Call], Call]:
    """Adds a converter."""

    def add(call: Call) -> Call:
        CONVERTERS[name] = _function(name, call)
        return call

    return add


def _function(name: str, call: Call) -> Function:
    all_ = list(inspect.signature(call).parameters.values())
    hidden = tuple(one.annotation for one in all_ if one.annotation in (Now, Place))
    given = tuple(
        Parameter(
            one.name, _kind(one.annotation), one.default is one.empty, None if one.default is one.empty else one.default
        )
        for one in all_
        if one.annotation not in (Now, Place)
    )
    return Function(name, call, given, hidden)


def _kind(annotation: Any) -> Any:
    """`list[Any]` is list, `str | None` is str."""
    if annotation in (Regex, Text, Number, Taken):
        return annotation
    if type(None) in get_args(annotation):
        return _kind(next(one for one in get_args(annotation) if one is not type(None)))
    return get_origin(annotation) or annotation


def fitting(function: str, parameter: Parameter, value: Any, *, constant: bool = False) -> Any:
    """A value as a parameter takes it. Raises Failure where it does not; of a constant, it may tell the value."""
    kind = parameter.kind
    if kind is Any or (value is None and not parameter.required):
        return value
    if kind is Regex and isinstance(value, str):
        try:
            return pattern(value)
        except ValueError as problem:
            raise Failure(
                f"{function}: {problem if constant else 'not a regular expression that can be used'}"
            ) from None
    if kind is Text and value is not None and not isinstance(value, (Time, Duration)):
        return as_string(value)
    if kind is Number and isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if kind in _KINDS and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise Failure(
        f"{function}: expected {_SAID.get(kind, 'another value')} for {parameter.name}, not {kind_name(value)}"
    )


_KINDS: Final = (str, int, float, bool, bytes, list, dict, Time, Duration)
_SAID: Final[dict[Any, str]] = {
    str: "a text", int: "an int", float: "a double", bool: "a bool", bytes: "bytes", list: "a list", dict: "a map",
    Time: "a time", Duration: "a duration", Regex: "a regular expression", Text: "a text", Number: "a number",
}  # fmt: skip


def bounded(function: str, value: Any) -> Any:
    """What a function gave. Raises Failure where it has grown too large."""
    if isinstance(value, (str, bytes)) and len(value) > LONGEST:
        raise Failure(f"{function}: the result has {len(value):,} characters, of at most {LONGEST:,}")
    return value
