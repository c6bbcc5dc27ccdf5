"""Statistics and correlations: what the pure folds say, and that the columns say the same."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import whence
from build import START, Built, a_bare_archive, a_span, an_archive, an_event
from build_examples import examples
from whence.archive.reader import Archive
from whence.errors import FilterError
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.filter.match import matcher
from whence.filter.parse import parse
from whence.index.correlations import correlations_of
from whence.index.statistics import HOUR, Durations, durations_of, key_of, name_of, statistics_of

FAILED = Severity.ERROR


def an(type: str, time: int, severity: Severity | None = None, **fields: object) -> Event:
    """An event at that nanosecond."""
    return Event(id=f"{type}@{time}", type=type, time=time, severity=severity, **fields)  # type: ignore[arg-type]


def test_counts_shares_rates_and_errors_by_type() -> None:
    """The most frequent first; the rate is over the time from the first event of all to the last."""
    events = [an("a", 0), an("b", 10**9, FAILED), an("b", 2 * 10**9), an("b", 4 * 10**9)]
    found = statistics_of(events)
    assert [(one.value, one.count, one.errors, one.first, one.last) for one in found.of] == [
        ("b", 3, 1, 10**9, 4 * 10**9), ("a", 1, 0, 0, 0),
    ]  # fmt: skip
    assert [found.share(one) for one in found.of] == [0.75, 0.25]
    assert [found.rate(one) for one in found.of] == [0.75, 0.25]
    assert found.count == 4 and found.seconds == 4.0


def test_of_one_moment_there_is_no_rate_and_of_nothing_no_statistic() -> None:
    """Nothing is divided by nothing."""
    found = statistics_of([an("a", 7)])
    assert found.rate(found.of[0]) is None and "rate" not in found.as_json()[0]
    assert statistics_of([]).of == [] and statistics_of([]).as_json() == []


def test_percentiles_lie_on_the_line_between_two_durations() -> None:
    """Of one, all are that one; of none, there are none."""
    assert durations_of([]) is None
    assert durations_of([7]) == Durations(7, 7, 7, 7, 7)
    assert durations_of(range(101)) == Durations(0, 50, 95, 99, 100)
    assert durations_of([10, 20]) == Durations(10, 15, 20, 20, 20)


def test_steps_of_time_come_in_their_order_and_hours_are_those_of_the_day() -> None:
    """Not the busiest first."""
    events = [an("a", 25 * HOUR), an("a", HOUR + 5), an("a", HOUR + 6), an("a", 3 * HOUR)]
    found = statistics_of(events, by="hour", hourly=True)
    assert [(one.value, one.count) for one in found.of] == [(HOUR, 2), (3 * HOUR, 1), (25 * HOUR, 1)]
    assert found.as_json()[0]["hour"] == "1970-01-01T01:00:00.000000000Z"
    whole = statistics_of(events, hourly=True).of[0]
    assert [hour for hour, count in enumerate(whole.hours) if count] == [1, 3] and whole.hours[1] == 3


@pytest.mark.parametrize(
    ("by", "name"), [("type", "type"), ("agent_id", "agent"), ("Level", "severity"), ("HOUR", "hour")]
)
def test_events_are_counted_by_any_spelling_of_a_field(by: str, name: str) -> None:
    """The filter language's names."""
    assert name_of(by) == name


@pytest.mark.parametrize(
    ("by", "said"),
    [("agnt", "did you mean agent"), ("payload", "map"), ("time", "time"), ("caused_by", "list"), ("", "no field")],
)
def test_what_events_cannot_be_counted_by_is_refused(by: str, said: str) -> None:
    """With the nearest name, or what it is."""
    with pytest.raises(FilterError, match=said):
        key_of(by)


def test_a_correlation_is_told_by_its_first_and_last_event() -> None:
    """In any order; the one that something happened in last comes first; it finished where the last event ended something."""
    events = [
        an("order.completed", 9, correlation="a"),
        an("order.started", 1, correlation="a"),
        an("charge", 5, FAILED, correlation="a"),
        an("order.started", 4, correlation="b"),
        an("note", 20),
    ]
    first, second = correlations_of(events).of
    assert (first.id, first.events, first.errors, first.first, first.last) == ("a", 3, 1, 1, 9)
    assert (first.first_type, first.last_type, first.finished) == ("order.started", "order.completed", True)
    assert (second.id, second.events, second.finished) == ("b", 1, False)
    assert correlations_of(events, limit=1) == ([first], 2, False)


def a_record(n: int, agent: str | None, correlation: str | None, step: int, took: int | None, failed: bool) -> Built:
    """One event or span of a generated archive."""
    time = START + step * HOUR // 3
    if took is not None:
        return a_span(f"s{n % 2}", span=f"{n + 1:016x}", time=time, took=took, failed="x" if failed else None)
    severity = FAILED if failed else Severity.INFO
    return an_event(f"t{n % 3}", agent=agent, correlation=correlation, time=time, severity=severity, turn=step)


RECORDS = st.lists(
    st.tuples(
        st.sampled_from([None, "a", "b", "ü"]),
        st.sampled_from([None, "c1", "c2"]),
        st.integers(0, 30),
        st.none() | st.integers(0, 10**12),
        st.booleans(),
    ),
    max_size=25,
)


@examples(8)
@given(RECORDS, st.sampled_from(["", "agent = 'a'", "severity >= ERROR OR duration > 1s", "NOT turn = 3"]))
def test_the_columns_say_what_the_folds_say(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[object, ...]], text: str
) -> None:
    """Of any events, any filter, and by anything; with a limit of time that suffices as well."""
    built = [a_record(n, *record) for n, record in enumerate(records)]  # type: ignore[arg-type]
    directory = a_bare_archive(tmp_path_factory.mktemp("archive"), built)
    answers, wanted = whence.open(directory), matcher(parse(text, now=0))
    events = [event for event in Archive(directory).events() if wanted(event)]
    for by in ("type", "agent", "turn", "severity", "signal", "hour"):
        expected = statistics_of(events, by=by, hourly=True)
        assert answers.stats(text, by=by, hourly=True) == expected
        assert answers.stats(text, by=by, hourly=True, timeout=600) == expected
    for limit in (None, 1):
        assert answers.correlations(text, limit=limit) == correlations_of(events, limit=limit)


def test_a_question_whose_time_is_over_is_marked(tmp_path: Path) -> None:
    """And gives no more than there is."""
    directory = an_archive(tmp_path / "x", [an_event("e", correlation="c") for _ in range(10)])
    found = whence.open(directory).stats(timeout=0.0)
    assert found.partial and sum(one.count for one in found.of) <= 10
