"""An event told in one line: what changed, how long, since when."""

import pytest

from whence.cli.lines import change_of, clock_text, duration_text, elapsed_text, story_of
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.filter.selection import OptionError, parse_duration, parse_moment, parse_severity, parse_turns

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"variable_name": "price", "old_value": 3, "new_value": 5}, "price 3 -> 5"),
        ({"decision_type": "sell", "old_value": "no", "new_value": "yes"}, "sell no -> yes"),
        ({"old_value": [1], "new_value": {"a": 2}}, '[1] -> {"a":2}'),
        ({"variable_name": "price", "old_value": None, "new_value": 5}, "price = 5"),
        ({"old_phase": "plan", "new_phase": "act"}, "phase plan -> act"),
        ({"variable_name": "x", "old_value": 0.1 + 0.2, "new_value": 5.0}, "x 0.3 -> 5"),
        ({"new_value": 5}, "= 5"),
        ({"variable_name": "price"}, ""),
    ],
)
def test_a_change_is_told_from_the_payload(payload: dict[str, object], said: str) -> None:
    """Old and new values are what a chain of causes is read for."""
    assert change_of(payload) == said


def test_a_story_says_each_thing_once() -> None:
    """The change stands beside the description unless that tells it already; without either, the payload does."""
    changed = {"variable_name": "x", "old_value": 1, "new_value": 2}
    assert story_of(Event(id="1", type="t", time=1, description="rises", payload=changed)) == "rises (x 1 -> 2)"
    assert story_of(Event(id="1", type="t", time=1, description="now x 1 -> 2", payload=changed)) == "now x 1 -> 2"
    assert story_of(Event(id="1", type="t", time=1, payload={"a": 1, "b": None, "c": "d"})) == "a=1 c=d"
    assert story_of(Event(id="1", type="t", time=1, duration_ns=2_500_000)) == "took 2.5 ms"


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "+0.000000s"),
        (1_204_567_891, "+1.204567s"),
        (-5_000, "-0.000005s"),
        (123 * SECOND, "+2:03.000000"),
        (3723 * SECOND, "+1:02:03.000000"),
    ],
)
def test_elapsed_time_reads_at_a_glance(ns: int, text: str) -> None:
    """Seconds, then minutes, then hours."""
    assert elapsed_text(ns) == text


def test_durations_and_moments_have_one_form() -> None:
    """In the unit that suits."""
    assert [duration_text(ns) for ns in (1_700, 4_200_000, 3_100_000_000, 125 * SECOND, 11_040 * SECOND)] == [
        "1.7 us", "4.2 ms", "3.1 s", "2 min 5 s", "3 h 4 min",
    ]  # fmt: skip
    assert clock_text(1_767_225_600_000_006_000) == "2026-01-01 00:00:00.000006"


def test_what_options_say_is_understood() -> None:
    """Durations, moments, turns and severities as people write them."""
    assert parse_duration("1h30m") == 5400 * SECOND
    assert parse_moment("5m", now=600 * SECOND) == parse_moment("now-5m", now=600 * SECOND) == 300 * SECOND
    assert parse_moment("now", now=7) == 7
    assert parse_moment("1970-01-01T00:00:01Z", now=0) == parse_moment("1970-01-01T01:00:01+01:00", now=0) == SECOND
    assert [parse_turns(text) for text in ("5", "3..7", "3..", "..7")] == [(5, 5), (3, 7), (3, None), (None, 7)]
    assert parse_severity("Warn") is Severity.WARN


@pytest.mark.parametrize(
    ("parse", "text"),
    [(parse_duration, "5"), (parse_duration, "5x"), (parse_turns, ".."), (parse_turns, "a"), (parse_severity, "bad")],
)
def test_what_cannot_be_understood_is_a_wrong_usage(parse: object, text: str) -> None:
    """And the message quotes it."""
    with pytest.raises(OptionError, match="expected"):
        parse(text)  # type: ignore[operator]
    with pytest.raises(OptionError, match="yesterday"):
        parse_moment("yesterday", now=0)
