"""Pace: when what is due, on a clock that the tests turn."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_examples import examples
from whence.errors import ConfigError
from whence.replay.pace import FASTEST, SLOWEST, Give, Pace, Wait, decide, parse_speed, shifted

S = 1_000_000_000
speeds = st.fractions(min_value=SLOWEST, max_value=FASTEST, max_denominator=1000)
moments = st.integers(0, 10**18)


@given(event=moments, since=moments, time=moments, speed=speeds)
def test_an_event_is_due_at_the_first_moment_at_which_the_replay_has_come_to_it(
    event: int, since: int, time: int, speed: Fraction
) -> None:
    """Where it is at a moment, and when it is somewhere, are one thing."""
    pace = Pace(event, since, speed)
    due = pace.due(time)
    assert due is not None and due >= since and pace.at(due) >= time
    if due > since:
        assert pace.at(due - 1) < time


@examples(100)
@given(
    gaps=st.lists(st.integers(0, 5 * S), min_size=1, max_size=30),
    speed=speeds,
    late=st.lists(st.integers(0, S), min_size=30, max_size=30),
)
def test_events_come_in_their_order_each_when_it_is_due_however_late_others_were(
    gaps: list[int], speed: Fraction, late: list[int]
) -> None:
    """A slow taker shifts nothing but what it held up: the last is due by its own distance from the first."""
    times = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    now = 7 * S
    pace = Pace(times[0], now, speed)
    given: list[int] = []
    for n, time in enumerate(times):
        while isinstance(found := decide(pace, 0, time, now), Wait):
            assert found.ns is not None and found.ns > 0
            now += found.ns
        exact = 7 * S + (time - times[0]) / speed
        assert now >= exact and (now - exact < 1 or given[-1] + late[n - 1] >= now)
        given.append(now)
        now += late[n]
    assert given == sorted(given)


Deed = st.tuples(st.sampled_from(["pause", "resume", "speed"]), st.integers(0, 10 * S), speeds)


@examples(100)
@given(deeds=st.lists(Deed, max_size=12), speed=speeds)
def test_the_place_never_jumps_whatever_is_asked_for(deeds: list[tuple[str, int, Fraction]], speed: Fraction) -> None:
    """Pausing, going on and another speed change how it goes on, never where it is; paused, it stays."""
    pace, now, exact, going = Pace(1_000, 0, speed), 0, Fraction(1_000), True
    for what, later, other in deeds:
        exact += (later * speed) if going else 0
        now += later
        before = pace.at(now)
        if what == "pause":
            pace, going = pace.pause(now), False
        elif what == "resume":
            pace, going = pace.resume(now), True
        else:
            pace, speed = pace.at_speed(other, now), other
        assert pace.at(now) == before
        assert exact - len(deeds) <= before <= exact
        assert pace.paused is not going


def test_what_is_stepped_or_as_fast_as_possible_waits_for_nothing() -> None:
    """And what is paused waits until it is told, what is at its end for what may still be asked."""
    assert decide(Pace(0, 5, None), 0, 10**18, 5) == Give()
    assert decide(Pace(0, None), 1, 10**18, 5) == Give()
    assert decide(Pace(0, None), 0, 0, 5) == Wait(None)
    assert decide(Pace(0, 5), 3, None, 5) == Wait(None)
    assert decide(Pace(0, 5, Fraction(10)), 0, 10 * S, 5) == Wait(S)


def test_shifted_events_have_the_time_at_which_they_are_due() -> None:
    """Ten times as fast they are ten times as near; as fast as possible, as far from each other as they were."""
    offset, began = 50 * S, 52 * S
    ten = Pace(100 * S, 2 * S, Fraction(10))
    assert [shifted(time * S, ten, 100 * S, began, offset) for time in (100, 110, 200)] == [52 * S, 53 * S, 62 * S]
    most = Pace(100 * S, 2 * S, None)
    assert [shifted(time * S, most, 100 * S, began, offset) for time in (100, 110, 200)] == [52 * S, 62 * S, 152 * S]


@pytest.mark.parametrize(
    ("text", "speed"),
    [(1, 1), ("0.1", Fraction(1, 10)), ("1000x", 1000), (2.5, Fraction(5, 2)), ("max", None), ("MAX", None)],
)
def test_speeds_are_read(text: float | str, speed: Fraction | None) -> None:
    """As numbers, with an x, or max."""
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0", "0.09", "1001", "-1", "fast", "", "1/0", "nan"])
def test_speeds_that_are_none_are_refused_with_what_was_expected(text: str) -> None:
    """From 0.1 to 1,000."""
    with pytest.raises(ConfigError, match=r"expected 0\.1 to 1000, or max"):
        parse_speed(text)
