"""How one field of OTLP's JSON is read and set by a statement: each kind of field once.

The law: pure. A value of a kind that the field cannot hold raises Failure. A default is a field left out, as JSON has it.
"""

from collections.abc import Callable, MutableMapping
from typing import Any, Final, NamedTuple

from whence.collect.ottl.calculate import kind_name
from whence.collect.ottl.errors import Failure
from whence.collect.ottl.moments import Duration, Time
from whence.collect.records.draft import Draft, written
from whence.collect.records.walk import Place, metric_type
from whence.otlp.value import plain_value, whole

Where = Callable[[Place], Draft]
Read = Callable[[Place], Any]
Write = Callable[[Place, Any], None]
Edit = Callable[[Place], MutableMapping[str, Any]]


class Access(NamedTuple):
    """One field. None for what it has not: no way to be set, no map to be changed."""

    read: Read
    write: Write | None = None
    edit: Edit | None = None
    """The field as a map, changes to which are changes to the record."""


def _want(value: Any, *kinds: type) -> Any:
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise Failure(
            f"cannot set a field to {kind_name(value)}: it holds {' or '.join(_said(kind) for kind in kinds)}"
        )
    return value


def _said(kind: type) -> str:
    return {str: "text", int: "ints", float: "doubles", bool: "bools", bytes: "bytes", Time: "times"}.get(
        kind, kind.__name__
    )


def storable(value: Any) -> Any:
    """A value that an attribute or a body can hold. Raises Failure for times and durations, at any depth."""
    if isinstance(value, (Time, Duration)):
        raise Failure(
            f"cannot store {kind_name(value)}: make it a number or text first, with UnixNano, Seconds or FormatTime"
        )
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {key: storable(item) for key, item in value.items()}
    return value


def text(of: Where, name: str) -> Access:
    """A string."""
    return Access(
        lambda place: of(place).get(name, ""), lambda place, value: of(place).set(name, _want(value, str) or None)
    )


def number(of: Where, name: str) -> Access:
    """A 32-bit integer or an enum: a JSON number."""
    return Access(
        lambda place: whole(of(place).get(name) or 0),
        lambda place, value: of(place).set(name, _want(value, int) or None),
    )


def long(of: Where, name: str) -> Access:
    """A 64-bit integer: a decimal string."""

    def write(place: Place, value: Any) -> None:
        found = _want(value, int)
        of(place).set(name, str(found) if found else None)

    return Access(lambda place: whole(of(place).get(name) or 0), write)


def moment(of: Where, name: str) -> Access:
    """A 64-bit integer that is a time."""

    def write(place: Place, value: Any) -> None:
        ns = _want(value, Time).ns
        if not 0 <= ns < 1 << 64:
            raise Failure("cannot set a time before 1970")
        of(place).set(name, str(ns) if ns else None)

    return Access(lambda place: Time(whole(of(place).get(name) or 0)), write)


def double(of: Where, name: str) -> Access:
    """A 64-bit float."""
    return Access(
        lambda place: float(of(place).get(name) or 0.0),
        lambda place, value: of(place).set(name, written(float(_want(value, float, int)))["doubleValue"]),
    )


def truth(of: Where, name: str) -> Access:
    """A bool."""
    return Access(
        lambda place: bool(of(place).get(name)), lambda place, value: of(place).set(name, _want(value, bool) or None)
    )


def identity(of: Where, name: str, size: int) -> tuple[Access, Access]:
    """An id: as bytes, and as its hex string."""

    def write(place: Place, value: Any) -> None:
        if len(_want(value, bytes)) != size:
            raise Failure(f"cannot set {name}: it has {size} bytes, not {len(value)}")
        of(place).set(name, value.hex() if any(value) else None)

    def write_text(place: Place, value: Any) -> None:
        try:
            write(place, bytes.fromhex(_want(value, str)))
        except ValueError:
            raise Failure(f"cannot set {name}: expected {size * 2} hex digits") from None

    none = "0" * (2 * size)
    return (
        Access(lambda place: bytes.fromhex(of(place).get(name) or none), write),
        Access(lambda place: of(place).get(name) or "", write_text),
    )


def attributes(of: Where, name: str = "attributes") -> Access:
    """A list of key-value pairs: a map whose untouched values stay what they are."""

    def write(place: Place, value: Any) -> None:
        of(place).pairs(name).become(storable(_want(value, dict)))

    return Access(lambda place: of(place).pairs(name).plain(), write, lambda place: of(place).pairs(name))


def any_value(of: Where, name: str) -> Access:
    """A value of any kind, such as a body."""

    def read(place: Place) -> Any:
        found = of(place).get(name)
        return None if found is None else plain_value(found)

    return Access(read, lambda place, value: of(place).set(name, written(storable(value))))


def nested(of: Where, name: str, inner: Callable[[Where, str], Access], field: str) -> Access:
    """A field of an object that is a field, such as `status.code`."""

    def write(place: Place, value: Any) -> None:
        draft = Draft(of(place).get(name) or {})
        access = inner(lambda _: draft, field)
        if access.write is not None:
            access.write(place, value)
            of(place).set(name, draft.result() or None)

    return Access(lambda place: inner(lambda _: Draft(of(place).get(name) or {}), field).read(place), write)


def lists(of: Where, name: str, convert: Callable[[Any], Any]) -> Access:
    """A list of numbers, to be read."""
    return Access(lambda place: [convert(item) for item in of(place).get(name) or ()])


def cache() -> Access:
    """What statements keep while they are at one record."""

    def write(place: Place, value: Any) -> None:
        place.cache = dict(_want(value, dict))

    return Access(lambda place: place.cache, write, lambda place: place.cache)


# --- metrics --------------------------------------------------------------------------------------------------------------

TYPES: Final = {"gauge": 1, "sum": 2, "histogram": 3, "exponentialHistogram": 4, "summary": 5}
"""METRIC_DATA_TYPE_*, by the name of the field that holds the data points."""


def type_of(of: Where) -> Access:
    """Which of the types a metric is; it cannot be set."""
    return Access(lambda place: TYPES.get(metric_type(of(place)) or "", 0))


def of_data(of: Where, inner: Callable[[Where, str], Access], field: str) -> Access:
    """A field of whatever holds a metric's data points."""

    def read(place: Place) -> Any:
        kind = metric_type(of(place))
        return nested(of, kind, inner, field).read(place) if kind else None

    def write(place: Place, value: Any) -> None:
        kind = metric_type(of(place))
        access = nested(of, kind, inner, field) if kind else None
        if access is not None and access.write is not None:
            access.write(place, value)

    return Access(read, write)


def value_as(of: Where, name: str, other: str) -> Access:
    """A number data point's value as one of its two kinds; to set it takes the other away."""
    inner = long if name == "asInt" else double

    def write(place: Place, value: Any) -> None:
        access = inner(of, name)
        if access.write is not None:
            access.write(place, value)
            of(place).set(other, None)
            if of(place).get(name) is None:  # zero: here a field that is there is another thing than none
                of(place).set(name, "0" if name == "asInt" else 0.0)

    return Access(inner(of, name).read, write)
