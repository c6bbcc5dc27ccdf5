"""Errors together with their like: what the pure fold says, where they began, and that the columns say the same."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build import START, a_bare_archive, a_span, an_archive, an_event
from build_examples import examples
from whence.archive.reader import Archive
from whence.causality.graph import Graph
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.filter.tree import Everything
from whence.index.engine import Engine
from whence.index.error_groups import KEPT_LANES, TRACED, ErrorGroup, group_errors, message_of, roots_of, said, whose
from whence.index.error_summary import error_groups
from whence.index.failures import is_error


def an_error(number: int, *caused_by: str, **fields: Any) -> Event:
    """An error event that happened at that nanosecond."""
    return Event(id=f"e{number}", type="boom", time=number, severity=Severity.ERROR, caused_by=caused_by, **fields)


@pytest.mark.parametrize(
    ("attributes", "payload", "description", "message"),
    [
        ({"exception.type": "OSError", "exception.message": "ENOSPC"}, {"error": "other"}, "failed", "OSError: ENOSPC"),
        ({}, {"error": "no room", "error_type": "Full"}, "failed", "Full: no room"),
        ({}, {"message": "late"}, "failed", "late"),
        ({}, {"error": False, "message": ""}, "failed", "failed"),
        ({"exception.message": 7}, {}, None, "7"),
        ({}, {"error": {"code": 5}}, None, '{"code":5}'),
        ({}, {}, None, ""),
    ],
)
def test_an_error_says_what_its_exception_says_else_its_own(
    attributes: dict[str, Any], payload: dict[str, Any], description: str | None, message: str
) -> None:
    """The first of these that says anything; what is no text as JSON."""
    assert message_of(an_error(1, attributes=attributes, payload=payload, description=description)) == message


def test_a_group_keeps_little_however_many_errors_it_has() -> None:
    """The earliest and their lanes; counts and times are of all, in any order."""
    errors = [an_error(number, agent=f"a{number:04d}") for number in range(2 * KEPT_LANES)]
    for order in (errors, errors[::-1]):
        ((group,), total) = group_errors(order)
        assert (group.count, group.last, group.first, total) == (len(errors), errors[-1].time, "e0", 1)
        assert [id for _, id in group.earliest] == [f"e{number}" for number in range(TRACED)]
        assert sorted(group.lanes) == [f"a{number:04d}" for number in range(KEPT_LANES)]


def test_roots_are_those_of_most_errors_first() -> None:
    """Recorded causes only; a cause that is nowhere begins nothing; an error that began itself has no root."""
    graph = Graph(
        [
            Event(id="disk", type="disk.full", time=1),
            Event(id="net", type="net.down", time=2),
            Event(id="step", type="step", time=3, caused_by=("disk",)),
            *(errors := [an_error(10, "step"), an_error(11, "step", "net"), an_error(12, "nowhere"), an_error(13)]),
        ]
    )
    (group,) = group_errors(errors).of
    roots = roots_of(graph, group)
    assert list(roots.counts.items()) == [("disk", 2), ("net", 1)]
    assert (roots.traced, roots.cut) == (4, False)


def test_a_cycle_has_no_beginning_and_a_long_way_up_is_cut() -> None:
    """The walk ends, and says when it gave up."""
    one, other = an_error(1, "e2"), an_error(2, "e1")
    (group,) = group_errors([one, other]).of
    assert roots_of(Graph([one, other]), group) == ({}, 2, False)
    chain = [Event(id=f"c{n}", type="c", time=n, caused_by=(f"c{n - 1}",) if n else ()) for n in range(12_000)]
    (group,) = group_errors([last := an_error(20_000, "c11999")]).of
    assert roots_of(Graph([*chain, last]), group) == ({}, 1, True)
    (group,) = group_errors([last := an_error(20_000, "c900")]).of
    assert roots_of(Graph([*chain, last]), group) == ({"c0": 1}, 1, False)


@pytest.mark.parametrize(
    ("fields", "lane"),
    [
        ({"agent": "a", "task": "t", "stage": "s"}, "a/t"),
        ({"stage": "s", "source": "x"}, "s"),
        ({"source": "x", "resource": {"service.name": "shop"}}, "x"),
        ({"source": "whence", "resource": {"service.name": "shop"}}, "shop"),
        ({"source": "opentelemetry.instrumentation.flask", "resource": {"service.name": "shop"}}, "shop"),
        ({"source": "whence"}, "whence"),
        ({}, ""),
    ],
)
def test_an_event_is_its_agents_else_its_services(fields: dict[str, Any], lane: str) -> None:
    """A library that only recorded it is not whose it is."""
    assert whose(an_error(1, **fields)) == lane


SAID = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(["", "x", "ü", '"q"', "7", "a: b", [], {}, [1, {"a": None}], {"k": 1.5}, 0, 0.0, 1e16, 1e-7]),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
)
FIELD = st.sampled_from([None, "", "x", "y"])
ERRORS = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["boom", "write", ""]),
            "attributes": st.dictionaries(st.sampled_from(["exception.message", "exception.type"]), SAID),
            "payload": st.dictionaries(st.sampled_from(["error", "message", "error_type"]), SAID),
            "description": FIELD,
            "resource": st.sampled_from([{}, {"service.name": "shop"}, {"service.name": 7}, {"service.name": ""}]),
            "source": st.sampled_from([None, "whence", "opentelemetry.instrumentation.x", "lib"]),
            "agent": FIELD,
            "task": FIELD,
            "stage": FIELD,
            "time": st.integers(START, START + 3),
            "severity": st.sampled_from([Severity.WARN, Severity.ERROR, Severity.FATAL]),
        }
    ),
    max_size=15,
)


@examples(10)
@given(ERRORS, st.sampled_from([1, 2, 100]))
def test_the_columns_make_the_same_groups(
    tmp_path_factory: pytest.TempPathFactory, errors: list[dict[str, Any]], limit: int
) -> None:
    """Whatever they say and whoever says it, and of many groups the same ones."""
    built = [an_event(**fields) for fields in errors]
    built.append(a_span("GET /", span="a" * 16, failed="timed out"))
    directory = a_bare_archive(tmp_path_factory.mktemp("archive"), built)
    expected = group_errors(filter(is_error, Archive(directory).events()), limit=limit)
    assert error_groups(Engine(directory), Everything(), limit=limit) == expected


def test_numbers_are_said_as_json_writes_them(tmp_path: Path) -> None:
    """In columns and out of them."""
    numbers = [1.0, 1e16, 1.5e300, 5e-324, 0.1, -0.0, 123456789.123, 2**63 - 1]
    events = [an_event("boom", payload={"error": number}, severity=Severity.ERROR) for number in numbers]
    found = error_groups(Engine(an_archive(tmp_path / "x", events)), Everything(), limit=100).of
    assert {group.message for group in found} == {said(number) for number in numbers}
    assert all(isinstance(group, ErrorGroup) for group in found)
