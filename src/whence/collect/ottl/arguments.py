"""A call's arguments: which parameter each is for, and how each is read.

The law: pure. What a constant cannot be is said when the configuration is read.
"""

from collections.abc import Callable
from typing import Any, Protocol

from whence.collect.ottl.errors import Failure, complaint, nearest
from whence.collect.ottl.functions import Function, Now, Parameter, Taken, Target, fitting
from whence.collect.ottl.tree import Call, Constant, Value
from whence.collect.records.walk import Place

Read = Callable[[Place], Any]


class Compiler(Protocol):
    """What reads values; `compile.py` is it."""

    def read(self, value: Value) -> Read: ...
    def target(self, value: Value, function: str) -> Target: ...
    def function_of(self, value: Value) -> Callable[[Any], Any]: ...


def bind(function: Function, call: Call, text: str) -> list[tuple[Parameter, Value | None]]:
    """Each parameter with what is given for it, None for its default. Raises OttlError where they do not fit."""
    given: dict[str, Value] = {}
    names = [parameter.name for parameter in function.parameters]
    for n, argument in enumerate(call.arguments):
        at = argument.value.at
        if argument.name is None and len(given) > n:
            raise complaint(text, at, "an argument without a name stands behind one with a name")
        if argument.name is None and n >= len(names):
            raise complaint(text, at, f"{call.name} takes {len(names)} arguments: {', '.join(names)}")
        name = names[n] if argument.name is None else argument.name
        if name not in names:
            raise complaint(text, at, f"{call.name} has no parameter {name}{nearest(name, names)}")
        if name in given:
            raise complaint(text, at, f"{name} is given twice")
        given[name] = argument.value
    for parameter in function.parameters:
        if parameter.required and parameter.name not in given:
            raise complaint(text, call.at, f"{call.name} needs {parameter.name}: {call.name}({', '.join(names)})")
    return [(parameter, given.get(parameter.name)) for parameter in function.parameters]


def reader(compiler: Compiler, text: str, function: Function, parameter: Parameter, value: Value | None) -> Read:
    """How an argument is read: as its parameter takes it. Raises OttlError for a constant that it does not take."""
    if value is None:
        default = parameter.default
        return lambda place: default
    if parameter.kind is Target:
        target = compiler.target(value, function.name)
        return lambda place: target
    if parameter.kind == Taken:
        taken = compiler.function_of(value)
        return lambda place: taken
    read, name = compiler.read(value), function.name
    if parameter.kind is Any:
        return read
    if isinstance(value, Constant):
        try:
            constant = fitting(name, parameter, value.value, constant=True)
        except Failure as problem:
            raise complaint(text, value.at, str(problem)) from None
        return lambda place: constant
    return lambda place: fitting(name, parameter, read(place))


def hidden(function: Function, now: Callable[[], int]) -> Read | None:
    """How what nobody gives is read; None where the function takes nothing of the kind."""
    if not function.hidden:
        return None
    return (lambda place: now()) if function.hidden[0] == Now else (lambda place: place)
