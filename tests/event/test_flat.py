"""The JSON form of an event loses nothing, and times survive to the nanosecond."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.errors import DataError
from whence.event.flat import ORDER, format_time, from_flat, parse_time, plain, to_flat
from whence.event.kinds import Severity
from whence.event.model import Event

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INTS = st.integers(-(1 << 63), (1 << 63) - 1)
PLAIN = st.recursive(
    st.none() | st.booleans() | INTS | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
MAPS = st.dictionaries(TEXT, PLAIN, max_size=3)
EVENTS = st.builds(
    Event,
    id=TEXT,
    type=TEXT,
    time=st.integers(-(1 << 62), 1 << 63),
    signal=st.sampled_from(["log", "span", "span_event"]),
    observed_time=st.none() | INTS,
    severity=st.none() | st.sampled_from(Severity),
    caused_by=st.lists(TEXT, max_size=3).map(tuple),
    payload=MAPS,
    attributes=MAPS,
    resource=MAPS,
    scope=MAPS,
    dropped=st.integers(0, 1 << 31),
    **{name: st.none() | INTS for name in ("seq", "elapsed_ns", "turn", "duration_ns")},
    **{name: st.none() | TEXT for name in ("kind", "source", "run", "agent", "task", "stage", "status", "correlation")},
    **{name: st.none() | TEXT for name in ("description", "schema", "trace_id", "span_id", "parent_span_id")},
)


@given(EVENTS)
def test_an_event_comes_back_from_its_json_as_it_was(event: Event) -> None:
    """Through real JSON text and back, every field is the same."""
    assert from_flat(orjson.loads(orjson.dumps(to_flat(event)))) == event


@given(EVENTS)
def test_fields_are_shown_in_one_order_and_absent_ones_left_out(event: Event) -> None:
    """A person finds the id first, always."""
    shown = list(to_flat(event))
    assert shown == [name for name in ORDER if name in shown]
    assert None not in to_flat(event).values()


def test_every_field_of_an_event_has_its_place_in_the_order() -> None:
    """A field added to the model and forgotten here would be lost in every export."""
    assert set(ORDER) == set(Event.__dataclass_fields__)


@given(st.integers(-(1 << 66), 1 << 66))
def test_times_survive_to_the_nanosecond(ns: int) -> None:
    """Before 1970, past the year 9999: what was written is read."""
    assert parse_time(format_time(ns)) == ns


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-01-02T03:04:05Z", 1767323045_000000000),
        ("2026-01-02T03:04:05.000000006Z", 1767323045_000000006),
        ("2026-01-02T03:04:05.5+02:00", 1767315845_500000000),
        ("2026-01-02T03:04:05,25Z", 1767323045_250000000),
        ("2026-01-02 03:04:05", 1767323045_000000000),
        ("2026-01-02", 1767312000_000000000),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("1767323045.5", 1767323045_500000000),
    ],
)
def test_times_are_read_as_people_write_them(text: str, ns: int) -> None:
    """With and without fraction and zone; without a zone they are UTC."""
    assert parse_time(text) == ns


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-01-02T03:04:05.5.5Z", "--5", "²", "2026-01-02T25:00:00Z", "-"]
)
def test_what_is_no_time_is_said_to_be_none(text: str) -> None:
    """The error shows what a time looks like."""
    with pytest.raises(DataError, match="RFC 3339"):
        parse_time(text)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (b"\x00\xff", "AP8="),
        ({"a": [b"x", (1, 2)]}, {"a": ["eA==", [1, 2]]}),
        (1 << 70, 1 << 70),
    ],
)
def test_what_json_has_no_place_for_is_shown_as_text(value: Any, shown: Any) -> None:
    """Non-finite numbers and bytes, at any depth."""
    assert plain(value) == shown


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"colour": "red"}, "colour"),
        ({"id": None}, "id"),
        ({"time": "soon"}, "soon"),
        ({"time": 7}, "time"),
        ({"seq": "3"}, "seq"),
        ({"turn": True}, "turn"),
        ({"severity": "LOUD"}, "LOUD"),
        ({"caused_by": "e1"}, "caused_by"),
        ({"payload": []}, "payload"),
        ({"signal": "smoke"}, "signal"),
        ({"agent": 7}, "agent"),
    ],
)
def test_json_that_is_no_event_is_an_error_that_names_the_field(change: dict[str, Any], named: str) -> None:
    """Unknown, missing and malformed fields."""
    flat = {"id": "e1", "type": "x", "time": "2026-01-02T03:04:05Z", **change}
    with pytest.raises(DataError, match=named):
        from_flat({name: value for name, value in flat.items() if not (name == "id" and value is None)})
