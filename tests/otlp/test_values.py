"""Values: whatever a program puts into an event comes through, exactly or as text that says so."""

import base64
import enum
import uuid
from collections import UserDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from build_otlp import EXACT, LOSSY, nested, same
from whence.otlp.fragment import UnfaithfulError, attributes_text, value_text
from whence.otlp.value import any_value, decimal, faithful, plain_attributes, plain_value


class Level(enum.IntEnum):
    HIGH = 3


class Color(enum.StrEnum):
    RED = "red"


class Point(BaseModel):
    x: int


@dataclass
class Order:
    total: int


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Odd(str):
    def __str__(self) -> str:
        return Odd("odd")


class Lying(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no")


@given(EXACT)
def test_what_otlp_can_hold_comes_back_as_it_was(value: Any) -> None:
    """The careful path and the fast path write the same AnyValue, and reading it gives the value."""
    written = any_value(value)
    assert faithful(value)[1]
    assert orjson.loads(value_text(value, 32)) == orjson.loads(orjson.dumps(written))
    assert same(plain_value(orjson.loads(orjson.dumps(written))), value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, {}),
        ("", {"stringValue": ""}),
        ([], {"arrayValue": {}}),
        ((), {"arrayValue": {}}),
        ({}, {"kvlistValue": {}}),
        (False, {"boolValue": False}),
        (0, {"intValue": "0"}),
        ((1 << 63) - 1, {"intValue": "9223372036854775807"}),
        (-(1 << 63), {"intValue": "-9223372036854775808"}),
        (float("nan"), {"doubleValue": "NaN"}),
        (float("inf"), {"doubleValue": "Infinity"}),
        (float("-inf"), {"doubleValue": "-Infinity"}),
        (-0.0, {"doubleValue": -0.0}),
        (b"\x00\xff", {"bytesValue": "AP8="}),
        ("a\0\x1f\x7f\u2028 \U0001f600", {"stringValue": "a\0\x1f\x7f\u2028 \U0001f600"}),
        ([None, [1], {"k": None}], {"arrayValue": {"values": [
            {}, {"arrayValue": {"values": [{"intValue": "1"}]}}, {"kvlistValue": {"values": [{"key": "k", "value": {}}]}},
        ]}}),
    ],
)  # fmt: skip
def test_edge_values_are_written_as_otlp_says(value: Any, written: Any) -> None:
    """Empty is not absent, extremes are exact, and what is not finite has its name."""
    assert any_value(value) == written
    assert orjson.loads(value_text(value, 32)) == written
    assert faithful(value)[1]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Level.HIGH, 3),
        (Color.RED, "red"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        (range(3), [0, 1, 2]),
        (deque([1]), [1]),
        (UserDict({"a": Level.HIGH}), {"a": 3}),
    ],
)
def test_other_kinds_of_the_same_values_become_plain(value: Any, plain: Any) -> None:
    """An enum of numbers is its number, of text its text; every sequence is a list, every mapping a map."""
    assert faithful(value) == (plain, True)
    assert type(faithful(value)[0]) is type(plain)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 << 63, "9223372036854775808"),
        (-(1 << 70), "-1180591620717411303424"),
        ("x\ud800y", "x\\ud800y"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00+00:00"),
        (Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("/a/b"), "/a/b"),
        ({1}, "{1}"),
        (Point(x=1), "x=1"),
        (Order(2), "Order(total=2)"),
        (ValueError("no"), "no"),
        (Unprintable(), "(Unprintable that cannot be printed)"),
        (Odd("x"), "x"),
        (Lying(a=1), "{'a': 1}"),
    ],
)
def test_what_otlp_has_no_place_for_becomes_text_and_is_said(value: Any, text: str) -> None:
    """Nothing raises, nothing vanishes: the text stands in its place, and it is known not to be the value."""
    kept, exact = faithful(value)
    assert kept == text
    assert type(kept) is str
    assert exact is isinstance(value, Odd)


@given(nested(LOSSY))
def test_a_value_with_something_lossy_inside_is_said_to_be_lossy(value: Any) -> None:
    """However deep it is; and what is written is JSON that any reader takes."""
    kept, exact = faithful(value)
    assert exact == (kept == value)
    orjson.dumps(any_value(value))


def test_integers_of_any_size_keep_all_their_digits() -> None:
    """Python itself refuses to print more than 4,300."""
    number = 10**20_000 + 7
    assert decimal(-number) == "-1" + "0" * 19_999 + "7"
    assert faithful(number)[0] == decimal(number)


def test_a_list_that_contains_itself_ends() -> None:
    """Each place where it starts again is text; what is beside it is kept."""
    knot: list[Any] = [1]
    knot += [knot, {"again": knot}]
    kept, exact = faithful(knot)
    assert not exact
    assert kept == [1, "[1, [...], {'again': [...]}]", {"again": "[1, [...], {'again': [...]}]"}]


def test_the_same_list_twice_is_no_knot() -> None:
    """Only what is inside itself is cut."""
    shared = [1]
    assert faithful([shared, shared]) == ([[1], [1]], True)


@pytest.mark.parametrize("depth", [1, 2, 32])
def test_nesting_beyond_the_limit_becomes_text(depth: int) -> None:
    """The limit counts AnyValue levels, the outermost included; the fast path refuses what the careful path cuts."""
    allowed: Any = 1
    for _ in range(depth - 1):
        allowed = [allowed]
    assert faithful(allowed, depth) == (allowed, True)
    assert value_text(allowed, depth)
    assert not faithful([allowed], depth)[1]
    with pytest.raises(UnfaithfulError):
        value_text([allowed], depth)


def test_a_bottomless_value_is_kept_as_far_as_it_can_be() -> None:
    """A hundred thousand levels: more than Python itself can print."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    kept, exact = faithful(deep)
    assert not exact
    assert str(kept).endswith("(list that cannot be printed)'" + "]" * 31)
    while deep:
        deep = deep.pop()  # let go level by level: freeing it at once would be as deep


def test_keys_that_are_not_text_become_text() -> None:
    """And the map is said to be lossy."""
    assert faithful({1: "a", "\ud800": "b"}) == ({"1": "a", "\\ud800": "b"}, False)
    with pytest.raises(TypeError):
        attributes_text({1: "a"}, 32)  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ({}, None),
        ({"intValue": "7"}, 7),
        ({"intValue": 7}, 7),
        ({"intValue": 7.0}, 7),
        ({"intValue": "1180591620717411303424"}, "1180591620717411303424"),
        ({"doubleValue": "-Infinity"}, float("-inf")),
        ({"doubleValue": 1}, 1.0),
        ({"boolValue": "false"}, False),
        ({"bytesValue": "_-8"}, b"\xff\xef"),
        ({"bytesValue": ""}, b""),
        ({"stringValue": None}, None),
        ({"stringValue": 5}, "5"),
        ({"arrayValue": {"values": [{}, None, {"intValue": "1", "new": 2}]}}, [None, None, 1]),
        (
            {"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": True}}, {"value": {}}]}},
            {"a": True, "": None},
        ),
        ({"unheardOf": 1}, None),
    ],
)
def test_reading_is_liberal(written: Any, value: Any) -> None:
    """Whatever protobuf's JSON mapping lets a writer choose is taken, and a little more."""
    assert same(plain_value(written), value)


@pytest.mark.parametrize(
    "written",
    [
        {"intValue": "seven"}, {"intValue": 1.5}, {"intValue": True}, {"boolValue": 1}, {"doubleValue": "x"},
        {"doubleValue": 10**400}, {"bytesValue": "*"}, {"bytesValue": 1}, {"arrayValue": 1}, {"arrayValue": {"values": "ab"}},
        {"kvlistValue": {"values": [1]}}, {"stringValue": {}}, {"intValue": "9" * 5000}, [], 1, "text",
    ],
)  # fmt: skip
def test_what_no_value_can_be_is_refused(written: Any) -> None:
    """By an error that the decoder takes for a bad record."""
    with pytest.raises((ValueError, TypeError, AttributeError, OverflowError)):
        plain_value(written)


def test_reading_ends_at_a_depth_no_protobuf_reader_takes() -> None:
    """Instead of at the end of Python's stack, wherever that happens to be."""
    written: Any = {}
    for _ in range(64):
        written = {"arrayValue": {"values": [written]}}
    with pytest.raises(ValueError, match="nested deeper than 64 levels"):
        plain_value(written)


@given(st.binary(max_size=9))
def test_bytes_are_read_in_either_alphabet(data: bytes) -> None:
    """With and without padding."""
    assert plain_value({"bytesValue": base64.b64encode(data).decode()}) == data
    assert plain_value({"bytesValue": base64.urlsafe_b64encode(data).decode().rstrip("=")}) == data


def test_of_two_attributes_with_one_key_the_last_counts() -> None:
    """OTLP forbids them; readers must still say something."""
    assert plain_attributes(
        [{"key": "a", "value": {"intValue": "1"}}, {"key": "a", "value": {"stringValue": "b"}}]
    ) == {"a": "b"}
