"""Other tools' lines, whatever stands in them: a record that reads back, or an error of ours."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.errors import DataError
from whence.event.kinds import Severity
from whence.otlp.decode import Place, decode
from whence.otlp.foreign import level_of, otlp_of, time_of
from whence.otlp.from_eliot import from_eliot, is_eliot
from whence.otlp.from_structlog import from_structlog, is_structlog

PLACE = Place("app", 0)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=12)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
KEYS = st.sampled_from(
    [
        *("event", "message", "level", "timestamp", "ts", "logger", "exception", "trace_id", "span_id", "request_id"),
        *(
            "lineno",
            "task_uuid",
            "task_level",
            "action_type",
            "action_status",
            "message_type",
            "reason",
            "service",
            "x",
        ),
    ]
)
LINES = st.dictionaries(KEYS | st.text(max_size=5), VALUES, max_size=8)


@pytest.mark.parametrize("take", [from_structlog, from_eliot])
@given(LINES)
def test_any_line_is_a_record_or_an_error_of_ours(take, line) -> None:  # type: ignore[no-untyped-def]
    """Records are read back with nothing left out."""
    is_structlog(line), is_eliot(line)
    try:
        found = take(line)
    except DataError:
        return
    back = decode(orjson.loads(orjson.dumps(otlp_of(found, "app"))), PLACE)
    assert back.bad == []
    (event,) = back.events
    assert (event.time, event.description) == (found.time, found.text)


@given(LINES, st.text(min_size=1), st.integers(0, 4_000_000_000))
def test_what_structlog_said_is_all_there(line: dict[str, object], said: str, at: int) -> None:
    """Every key that has no field of its own is in the payload as it was."""
    found = from_structlog({**line, "event": said, "timestamp": at})
    assert (found.time, found.text) == (at * 10**9, said)
    taken = {"event", "timestamp"} | {key for key in line if key not in found.payload}
    own = {"level", "logger", "exception", "trace_id", "span_id", "request_id", "lineno", "service"}
    assert taken <= {"event", "timestamp"} | own
    assert all(found.payload[key] == value for key, value in line.items() if key not in taken)


@pytest.mark.parametrize(
    ("value", "ns"),
    [
        (1_795_242_042, 1_795_242_042_000_000_000),
        (1_795_242_042.4050708, 1_795_242_042_405_071_000),
        (1_795_242_042_405, 1_795_242_042_405_000_000),
        (1_795_242_042_405_071, 1_795_242_042_405_071_000),
        (1_795_242_042_405_071_123, 1_795_242_042_405_071_123),
        ("2026-11-21T06:20:42.0199757Z", 1_795_242_042_019_975_700),
    ],
)
def test_times_are_understood_by_their_size(value: object, ns: int) -> None:
    """Seconds, milliseconds, microseconds, nanoseconds, ISO 8601."""
    assert time_of(value) == ns


@given(st.floats(0, 4e9))
def test_seconds_as_floating_point_are_right_to_the_microsecond(value: float) -> None:
    """As Python's own datetime reads them."""
    moment = datetime.fromtimestamp(value, UTC)
    assert time_of(value) == int(moment.timestamp()) * 10**9 + moment.microsecond * 1_000


@pytest.mark.parametrize("value", [None, True, -1, 1 << 70, float("inf"), float("nan"), [], "noon"])
def test_no_time_is_an_error(value: object) -> None:
    """Of ours, with what was there."""
    with pytest.raises(DataError, match="time"):
        time_of(value)


def test_levels_of_logging_and_of_structlog() -> None:
    """In any case; an unknown one stays as text."""
    assert level_of("WARNING") == (Severity.WARN, "WARNING")
    assert level_of("exception")[0] is Severity.ERROR
    assert level_of("verbose") == (None, "verbose")
    assert level_of(30) == (None, None)
