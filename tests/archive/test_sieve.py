"""Sieves: a line that holds a match is never left out, whoever wrote it; of the others most are."""

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st

import build_filter
import build_sieve as build
from build import TRACE, an_event
from build_examples import examples
from whence.archive.holds import held_in
from whence.archive.reader import Archive, list_segments
from whence.archive.retention import OTHERS, Policy, deciding
from whence.archive.rules import rule_of
from whence.archive.sieve import Sieve
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.filter.match import matcher
from whence.filter.parse import parse
from whence.filter.printer import to_text
from whence.filter.tree import Filter
from whence.native import CORE
from whence.otlp.decode import Place, decode

UNSHRUNK = [Phase.explicit, Phase.reuse, Phase.generate]
"""Of properties of a seed, which does not shrink."""
PLACE = Place("logs-20260101T000000Z-host-1-ab-1", 4096)


def keeps(tree: Filter, line: bytes) -> bool:
    (kept,) = Sieve(tree).kept([line])
    assert Sieve(tree, native=False).kept([line]) == [kept], "the two cores differ"
    return kept


def matching(tree: Filter, events: list[Event]) -> list[str]:
    """The events that match, as text, in which NaN is NaN."""
    return [repr(event) for event in filter(matcher(tree), events)]


def stays(tree: Filter, line: bytes, whole: list[Event]) -> None:
    """Where a filter holds for an event of a line, the line is kept and the event is left in it."""
    if found := matching(tree, whole):
        assert keeps(tree, line), (to_text(tree), line)
        left = Sieve(tree).left(line)
        assert left is line or matching(tree, decode(left, PLACE, thin=True).events) == found, (to_text(tree), line)


@examples(20, phases=UNSHRUNK)
@given(st.lists(build_filter.events(), min_size=1, max_size=3), st.integers(0, 2**32))
def test_a_line_with_a_match_is_kept_however_it_is_spelled(events: list[Event], seed: int) -> None:
    """Filters about everything an event has, over lines of any writer."""
    random = Random(seed)
    line = build.line_of(events, random)
    whole = decode(line, PLACE).events
    for event in whole:
        asked = list(build.asking(event, random))
        for tree in [*asked, *(build.joined(asked, random) for _ in range(4))]:
            stays(tree, line, whole)


@examples(20, phases=UNSHRUNK)
@given(build.SHOWN, st.lists(st.sampled_from(build.SHOWN_AS), min_size=1, max_size=3).map(tuple), st.integers(0, 2**32))
def test_lists_and_maps_where_texts_are_expected_are_found_as_they_are_shown(
    value: Any, places: tuple[str, ...], seed: int
) -> None:
    """Ids, types and other texts that are lists, maps, bytes or numbers: any part of what Python or JSON shows of them."""
    random = Random(seed)
    line = build.line_showing(value, places, random)
    whole = decode(line, PLACE).events
    for event in whole[:1]:
        for _ in range(4):
            for tree in build.asking(event, random):
                stays(tree, line, whole)


@examples(20, phases=UNSHRUNK)
@given(st.lists(build_filter.events(), min_size=1, max_size=3), build_filter.filters(), st.integers(0, 2**32))
def test_a_line_left_out_holds_no_match(events: list[Event], tree: Filter, seed: int) -> None:
    """Any filter over any line."""
    line = build.line_of(events, Random(seed))
    if not keeps(tree, line):
        assert not matching(tree, decode(line, PLACE).events), (to_text(tree), line)


SEEN = an_event(
    "task.completed",
    description="order 5f3a1c is paid",
    agent="agent-17",
    turn=5,
    correlation="corr-9",
    severity=Severity.INFO,
    payload={"status": "fine", "amount": 12.5, "to": 'a "b"'},
    attributes={"http.route": "/orders/{id}", "note": "naïve"},
    span="b7ad6b7169203331",
)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("type = 'task.completed'", True),
        ("type = 'task.complete'", False),
        ("type LIKE 'task.*'", True),
        ("type LIKE 'tool.*'", False),
        ("agent = 'agent-1'", False),
        ("agent IN ('agent-1', 'agent-17')", True),
        ("agent = 'agent-1' OR correlation = 'corr-9'", True),
        ("agent = 'agent-17' AND correlation = 'corr-10'", False),
        ("payload.status = 'error'", False),
        ("payload.missing > 3", False),
        ("payload.to = 'a \"b\"'", True),
        ("payload.to CONTAINS 'c \"b'", False),
        ("attributes.'http.route' STARTSWITH '/orders'", True),
        ("attributes.'http.route' STARTSWITH 'orders'", False),
        ("attributes.note CONTAINS 'naïv'", True),
        ("attributes.note CONTAINS 'naïf'", False),
        ("PAID AND 5F3A1C", True),
        ("5f3a1d", False),
        ("severity >= ERROR", False),
        ("severity >= INFO", True),
        ("status = 'error'", False),
        (f"trace_id = '{TRACE}'", True),
        (f"trace_id = '{'b' * 32}'", False),
        ("time >= '2030-01-01'", False),
        ("time >= '2020-01-01' AND time < '2021-01-01'", False),
        ("time >= '2020-01-01'", True),
        ("NOT agent = 'agent-17'", True),
    ],
)
def test_the_bytes_of_a_line_tell_of_most_filters(asked: str, kept: bool) -> None:
    """What cannot match is left out, however the filter asks; NOT is asked of events only."""
    assert keeps(parse(asked, now=0), SEEN.line) is kept


def test_a_line_that_hides_what_it_says_is_kept() -> None:
    """Behind escapes of other writers, or in a projection of an event."""
    tree = parse("agent = 'agent-18'", now=0)
    assert not keeps(tree, SEEN.line)
    assert not keeps(tree, SEEN.line.replace(b"is paid", rb"\u001b[1m is \n \"paid\""))
    assert keeps(tree, SEEN.line.replace(b"is paid", rb"is p\u0061id"))
    assert keeps(tree, SEEN.line.replace(b'"note"', b'"whence.projection"'))
    assert keeps(parse("kelvin", now=0), SEEN.line.replace(b"is paid", "300 \u212aelvin".encode()))


def test_only_lines_that_may_match_are_read(tmp_path: Path) -> None:
    """The archive gives the others marked so, or no event of them; damage between lines is told as ever."""
    lines = [an_event(agent=f"agent-{n}").line for n in range(5)]
    (tmp_path / "some.jsonl").write_bytes(b"".join([*lines[:2], b"rubbish\n", *lines[2:]]))
    sieve = Sieve(parse("agent = 'agent-3'", now=0))
    archive = Archive(tmp_path)
    assert [line.kept for line in archive.lines(sieve=sieve)] == [False, False, False, True, False]
    assert [event.agent for event in archive.events(sieve=sieve)] == ["agent-3"]
    assert [problem.kind for problem in archive.problems] == ["bad line"]


def test_of_a_line_only_records_that_may_match_are_read(tmp_path: Path) -> None:
    """By the native core; the others' numbers count on, so that an id made of a place stays the same."""
    records = [an_event(agent=f"agent-{n}", uid=False).data["resourceLogs"][0] for n in range(3)]
    data = {"resourceLogs": [*records, {"scopeLogs": [{"logRecords": ["no record"]}]}]}
    (tmp_path / "some.jsonl").write_bytes(orjson.dumps(data) + b"\n")
    (line,) = Archive(tmp_path).lines()
    tree = parse("agent = 'agent-2'", now=0)
    found = line.decoded(Sieve(tree)).events
    assert len(found) == (1 if CORE.module else 3)
    assert matching(tree, found) == matching(tree, line.decoded().events) != []
    assert line.decoded(Sieve(tree, native=False)).events == line.decoded().events


@examples(10, phases=UNSHRUNK)
@given(st.lists(build_filter.events(), min_size=1, max_size=6), st.integers(0, 2**32))
def test_retention_finds_the_rules_of_every_line_without_decoding_each(events: list[Event], seed: int) -> None:
    """The same rules as asking every event, whoever wrote the lines."""
    random = Random(seed)
    filters = ["agent = 'error'", "payload.a CONTAINS 'b' OR type LIKE 'a*'", "timeout"]
    rules = Policy(keep=tuple(rule_of(text, days, 0) for days, text in enumerate(filters))).rules()
    with TemporaryDirectory() as directory:
        lines = [build.line_of([event], random) for event in events]
        Path(directory, "some.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        (segment,) = list_segments(Path(directory))
        found = held_in(segment, rules, noting=False)
    every = {text for line in lines for event in decode(line, PLACE).events for text in deciding(rules)(event)}
    assert found - {OTHERS} == every - {OTHERS} and (OTHERS in found or OTHERS not in every)
