"""Any value becomes plain, and a copy; what people see of it is short."""

import enum
from collections import OrderedDict, UserDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from whence.event.plain import MAX_DEPTH, brief, to_plain


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Item(BaseModel):
    name: str
    when: datetime
    colour: Colour = Colour.RED


@dataclass
class Point:
    x: int
    y: Any


class Number:
    """As numpy's numbers are."""

    def tolist(self) -> float:
        return 2.5


class Angry:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__

    @property
    def tolist(self) -> Any:
        raise RuntimeError("no")


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(PLAIN)
def test_plain_values_stay_as_they_are(value: Any) -> None:
    """Nothing is changed that the archive can hold already."""
    assert to_plain(value) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Item(name="a", when=NOON), {"name": "a", "when": "2026-01-02T12:00:00Z", "colour": "red"}),
        (Point(1, [Colour.RED]), {"x": 1, "y": ["red"]}),
        (NOON, "2026-01-02T12:00:00Z"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("/a/b"), "/a/b"),
        ((1, (2,)), [1, [2]]),
        ({"a"}, ["a"]),
        (OrderedDict(a=1), {"a": 1}),
        (UserDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({1: "a", Colour.RED: "b", None: "c"}, {"1": "a", "red": "b", "None": "c"}),
        (bytearray(b"x"), b"x"),
        (Number(), 2.5),
        ([Number()], [2.5]),
        (SecretStr("hunter2"), "**********"),
        (timedelta(seconds=90), "PT1M30S"),
    ],
)
def test_other_values_become_plain_ones(value: Any, expected: Any) -> None:
    """Models, enums, times, numbers of other kinds and containers of other kinds."""
    found = to_plain(value)
    assert found == expected
    assert type(found) is type(expected)


def test_numpy_values_become_pythons_own() -> None:
    """Simulations are full of numpy numbers and arrays."""
    numpy = pytest.importorskip("numpy")
    found = to_plain({"a": numpy.int64(3), "b": numpy.float64(0.5), "c": numpy.arange(3), "d": numpy.bool_(True)})
    assert found == {"a": 3, "b": 0.5, "c": [0, 1, 2], "d": True}
    assert [type(value) for value in found.values()] == [int, float, list, bool]


def test_what_contains_itself_ends() -> None:
    """A list in itself becomes finite, however it is nested."""
    loop: list[Any] = [1]
    loop.append(loop)
    found: Any = to_plain(loop)
    depth = 0
    while isinstance(found, list):
        found, depth = found[1], depth + 1
    assert depth == MAX_DEPTH
    assert "deeper" in found


def test_a_value_whose_own_code_fails_costs_nothing_else() -> None:
    """The event is recorded, with a note where that value would be."""
    assert to_plain({"good": 1, "bad": Angry()}) == {"good": 1, "bad": "(Angry that cannot be printed)"}


def test_what_the_program_changes_later_does_not_change_the_event() -> None:
    """Lists and dicts are copied, at every depth."""
    given_ = {"a": [1, {"b": 2}]}
    found = to_plain(given_)
    given_["a"][1]["b"] = 3  # type: ignore[index]
    assert found == {"a": [1, {"b": 2}]}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (12, "12"),
        (0.1 + 0.2, "0.3"),
        (True, "True"),
        (None, "None"),
        ("open", "open"),
        ("x" * 100, "x" * 60 + "..."),
        (1 << 10_000, "(integer of 10001 bits)"),
        (list(range(10**6)), "[1000000 items]"),
        ({"a": 1}, "{1 fields}"),
        (b"abc", "(3 bytes)"),
        (Colour.RED, "red"),
        (Point(1, 2), "Point"),
        (Decimal("1.5"), "1.5"),
        (Angry(), "(Angry that cannot be printed)"),
    ],
)
def test_people_see_a_value_in_a_few_characters(value: Any, shown: str) -> None:
    """However large it is, and whatever its own code does."""
    assert brief(value) == shown
