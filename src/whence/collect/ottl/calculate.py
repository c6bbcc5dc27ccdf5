"""What comparing and calculating mean, for values of any kinds.

The law: pure. Comparing never raises: values of different kinds are unequal and have no order. Calculating raises Failure.
"""

from collections.abc import Callable
from typing import Any, Final

from whence.collect.ottl.errors import Failure
from whence.collect.ottl.moments import Duration, Time
from whence.collect.ottl.tree import ArithmeticOperator, ComparisonOperator
from whence.otlp.value import INT_MAX, INT_MIN

_ORDERED: Final = (str, bytes, bool, Time, Duration)

Two = Callable[[Any, Any], Any]


def kind_name(value: Any) -> str:
    """A value's kind, in words."""
    for kind, name in _NAMES:
        if isinstance(value, kind):
            return name
    return type(value).__name__


_NAMES: Final[tuple[tuple[type, str], ...]] = (
    (type(None), "nil"), (bool, "a bool"), (int, "an int"), (float, "a double"), (str, "a text"), (bytes, "bytes"),
    (dict, "a map"), (list, "a list"), (Time, "a time"), (Duration, "a duration"),
)  # fmt: skip


def _comparable(left: Any, right: Any) -> bool:
    """Whether two values have an order."""
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool)
    if isinstance(left, (int, float)):
        return isinstance(right, (int, float))
    return type(left) is type(right) and isinstance(left, _ORDERED)


def equal(left: Any, right: Any) -> bool:
    """Whether two values are of one kind and the same; of lists and maps, all that they hold."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(value, right[key]) for key, value in left.items())
    return (left is None and right is None) or (_comparable(left, right) and bool(left == right))


COMPARE: Final[dict[ComparisonOperator, Callable[[Any, Any], bool]]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": lambda left, right: _comparable(left, right) and left < right,
    "<=": lambda left, right: _comparable(left, right) and left <= right,
    ">": lambda left, right: _comparable(left, right) and left > right,
    ">=": lambda left, right: _comparable(left, right) and left >= right,
}


def calculate(operator: ArithmeticOperator, left: Any, right: Any) -> Any:
    """Two numbers, or times and durations, calculated with. Whole numbers stay whole: `/` drops the fraction."""
    if _number(left) and _number(right):
        try:
            found = _WHOLE[operator](left, right) if type(left) is type(right) is int else _REAL[operator](left, right)
        except ZeroDivisionError:
            raise Failure("cannot divide by zero") from None
        except OverflowError:
            raise Failure(f"cannot calculate with {operator}: the result is too large") from None
        return _fitting(found) if isinstance(found, int) else found
    if operator in ("+", "-"):
        sign = 1 if operator == "+" else -1
        match left, right:
            case (Time(), Time()) if operator == "-":
                return Duration(left.ns - right.ns)
            case (Time(), Duration()):
                return Time(left.ns + sign * right.ns, left.zone)
            case (Duration(), Time()) if operator == "+":
                return Time(left.ns + right.ns, right.zone)
            case (Duration(), Duration()):
                return Duration(left.ns + sign * right.ns)
            case (0, Duration()):
                return Duration(sign * right.ns)
    raise Failure(f"cannot calculate {kind_name(left)} {operator} {kind_name(right)}")


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _fitting(number: int) -> int:
    if INT_MIN <= number <= INT_MAX:
        return number
    raise Failure("cannot hold the result: whole numbers have 64 bits")


def _quotient(left: int, right: int) -> int:
    found = abs(left) // abs(right)
    return found if (left < 0) == (right < 0) else -found


_REAL: Final[dict[ArithmeticOperator, Two]] = {
    "+": lambda left, right: float(left + right),
    "-": lambda left, right: float(left - right),
    "*": lambda left, right: float(left * right),
    "/": lambda left, right: float(left / right),
}
_WHOLE: Final[dict[ArithmeticOperator, Two]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _quotient,
}
