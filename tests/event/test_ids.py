"""ULIDs ascend whatever the clock does, sort as text, and span ids are read back as they were written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.event.ids import (
    ENTROPY_BITS,
    is_ulid,
    next_ulid,
    parse_span_id,
    span_event_id_of,
    span_id_of,
    ulid_text,
)

MILLISECONDS = st.integers(0, (1 << 48) - 1)
ENTROPY = st.integers(0, (1 << ENTROPY_BITS) - 1)
ULIDS = st.integers(0, (1 << 128) - 1)
TRACES = st.text("0123456789abcdef", min_size=32, max_size=32)
SPANS = st.text("0123456789abcdef", min_size=16, max_size=16)


@given(st.lists(st.tuples(st.integers(0, 1 << 47), ENTROPY), min_size=2, max_size=30))
def test_ulids_ascend_strictly_whatever_the_clock_does(readings: list[tuple[int, int]]) -> None:
    """A clock that stands still or jumps back never makes an id equal to, or less than, the one before."""
    made = [0]
    for milliseconds, entropy in readings:
        made.append(next_ulid(made[-1], milliseconds, entropy))
    texts = [ulid_text(ulid) for ulid in made]
    assert texts == sorted(set(texts))


@given(ULIDS, ULIDS)
def test_ulids_sort_as_text_as_they_do_as_numbers(one: int, other: int) -> None:
    """The text form keeps the order, so that files and databases sort events by time without understanding ids."""
    assert (one < other) == (ulid_text(one) < ulid_text(other))
    assert is_ulid(ulid_text(one))


def test_a_ulid_is_written_as_the_specification_has_it() -> None:
    """The specification's own numbers: the time part is the first ten characters, the greatest ULID is 7ZZ..."""
    assert ulid_text(next_ulid(0, 1469918176385, 0))[:10] == "01ARYZ6S41"
    assert ulid_text((1 << 128) - 1) == "7" + "Z" * 25


@given(MILLISECONDS, ENTROPY)
def test_a_ulid_in_a_fresh_millisecond_is_that_time_and_that_entropy(milliseconds: int, entropy: int) -> None:
    """Where order does not force another number, nothing is added."""
    assert (
        next_ulid(0, milliseconds, entropy) == (milliseconds << ENTROPY_BITS | entropy) or milliseconds == entropy == 0
    )


def test_after_the_last_ulid_there_is_none() -> None:
    """The year 10889 ends with an error, not with an id that sorts before all others."""
    with pytest.raises(OverflowError):
        next_ulid((1 << 128) - 1, 0, 0)


@pytest.mark.parametrize(
    "text", ["", "01ARYZ6S41", "8" + "0" * 25, "01ARYZ6S41TSV4RRFFQ69G5FAU", "01aryz6s41tsv4rrffq69g5fav"]
)
def test_what_is_no_ulid_is_told_apart(text: str) -> None:
    """Too short, too great, letters outside the alphabet, lower case."""
    assert not is_ulid(text)


@given(TRACES, SPANS, st.integers(0, 10_000))
def test_span_ids_are_read_back(trace: str, span: str, n: int) -> None:
    """A span's id, and a span event's, name the same trace and span."""
    assert parse_span_id(span_id_of(trace, span)) == (trace, span)
    assert parse_span_id(span_event_id_of(trace, span, n)) == (trace, span)


@pytest.mark.parametrize(
    "text", ["", "span:", "01ARYZ6S41TSV4RRFFQ69G5FAV", "span:" + "a" * 32 + "-" + "b" * 15, "log:abc"]
)
def test_other_ids_name_no_span(text: str) -> None:
    """Only the exact form is a span's id."""
    assert parse_span_id(text) is None
