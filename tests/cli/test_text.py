"""Output safety: no recorded text can steer a terminal or forge a line, through any view."""

import json
import re
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.causality.chains import downstream, upstream
from whence.causality.checks import check
from whence.causality.flat import chain_json
from whence.causality.graph import Graph
from whence.cli.chain_lines import chain_lines, tie_line
from whence.cli.check import finding_json, finding_line
from whence.cli.correlations import _cells as correlation_cells
from whence.cli.errors import group_json, group_lines
from whence.cli.last import ending_json, headline, open_lines
from whence.cli.lines import Origins, row_of, whole
from whence.cli.runs import table
from whence.cli.screen import Screen
from whence.cli.stats import stats_lines
from whence.cli.text import cut, pad, safe, to_json, width_of
from whence.event.flat import to_flat
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.index.correlations import correlations_of
from whence.index.endings import Ending
from whence.index.error_groups import Roots, group_errors
from whence.index.histories import histories, history_json
from whence.index.statistics import statistics_of

DANGEROUS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]")
EVERY_CONTROL = "".join(char for char in map(chr, range(sys.maxunicode + 1)) if DANGEROUS.match(char))

ALL_VIEWS: list[Callable[[str], list[str]]] = []


def a_view(draw: Callable[[Event, Graph, Origins, Screen], list[str]]) -> None:
    """Register one view of an event all of whose texts are the given one."""

    def view(text: str) -> list[str]:
        event = a_hostile_event(text)
        origins = Origins()
        origins.note(event)
        return draw(event, Graph([event]), origins, Screen(width=80))

    ALL_VIEWS.append(view)


def a_hostile_event(text: str) -> Event:
    """An event that has the text wherever a program can put one, with a missing cause, in a cycle with itself."""
    holding = {text: text, "nested": {text: [text]}}
    return Event(
        id=text,
        type=text,
        time=1,
        severity=Severity.ERROR,
        kind=text,
        source=text,
        run=text,
        agent=text,
        task=text,
        stage=text,
        status=text,
        correlation=text,
        description=text,
        caused_by=("gone" + text, text),
        payload={"variable_name": text, "old_value": text, "new_value": [text], "error": text, "name": text, **holding},
        attributes={"exception.message": text, "exception.type": text, **holding},
        resource={"service.name": text, **holding},
        scope=holding,
        schema=text,
        trace_id="0" * 31 + "1",
        span_id="0" * 15 + "1",
    )


@a_view
def _row(event: Event, graph: Graph, origins: Origins, screen: Screen) -> list[str]:
    return [row_of(event, screen).text]


@a_view
def _whole(event: Event, graph: Graph, origins: Origins, screen: Screen) -> list[str]:
    return list(whole(event, screen))


@a_view
def _why(event: Event, graph: Graph, origins: Origins, screen: Screen) -> list[str]:
    return list(chain_lines(upstream(graph, event.id), {event.id: event}, origins, screen))


@a_view
def _effects(event: Event, graph: Graph, origins: Origins, screen: Screen) -> list[str]:
    return list(chain_lines(downstream(graph, event.id), {event.id: event}, origins, screen))


@a_view
def _ties(event: Event, graph: Graph, origins: Origins, screen: Screen) -> list[str]:
    return [tie_line(tie, there, screen) for tie in graph.causes(event.id) for there in (event, None)]


@a_view
def _check(event: Event, graph: Graph, origins: Origins, screen: Screen) -> list[str]:
    return [finding_line(finding, screen) for finding in check(graph)]


@a_view
def _errors(event: Event, graph: Graph, origins: Origins, screen: Screen) -> list[str]:
    (group,) = group_errors([event]).of
    return list(group_lines(group, Roots({event.id: 1}, 2, True), {event.id: event}, screen))


@a_view
def _runs(event: Event, graph: Graph, origins: Origins, screen: Screen) -> list[str]:
    return table([(history, "crashed") for history in histories([event]).values()], screen)


@a_view
def _stats(event: Event, graph: Graph, origins: Origins, screen: Screen) -> list[str]:
    found = [statistics_of([event], by=by, hourly=True) for by in ("type", "agent", "kind", "hour")]
    return [line for of in found for line in stats_lines(of, of.of, screen, hourly=True)]


@a_view
def _correlations(event: Event, graph: Graph, origins: Origins, screen: Screen) -> list[str]:
    return [cell for one in correlations_of([event]).of for cell in correlation_cells(one)]


@a_view
def _last(event: Event, graph: Graph, origins: Origins, screen: Screen) -> list[str]:
    (history,) = histories([event]).values()
    return [
        headline(history, "finished", screen),
        *open_lines(Ending(0, [event], [event], [(event.id, 1)]), origins, screen),
    ]


@a_view
def _json(event: Event, graph: Graph, origins: Origins, screen: Screen) -> list[str]:
    (history,) = histories([event]).values()
    (group,) = group_errors([event]).of
    values = [
        to_flat(event),
        history_json(history, "crashed"),
        chain_json(upstream(graph, event.id), {event.id: event}),
        ending_json(history, "crashed", Ending(0, [event], [event], [(event.id, 1)])),
        group_json(group, Roots({event.id: 1}, 1, False), {event.id: event}),
        *statistics_of([event]).as_json(),
        *(one.as_json() for one in correlations_of([event]).of),
        *map(finding_json, check(graph)),
    ]
    return list(map(to_json, values))


@pytest.mark.parametrize("view", ALL_VIEWS)
def test_no_control_character_of_unicode_passes_any_view(view: Callable[[str], list[str]]) -> None:
    """Every dangerous code point there is, at once and one by one in front of a visible letter."""
    for text in (EVERY_CONTROL, *(char + "x" for char in EVERY_CONTROL if char < "\ud800"), "\ud800x", "x\udfff"):
        lines = view(text)
        assert lines and not any(DANGEROUS.search(line) for line in lines)


@pytest.mark.parametrize("view", ALL_VIEWS)
@given(text=st.text(st.characters(exclude_categories=[]), max_size=30))
def test_no_text_at_all_breaks_a_view(view: Callable[[str], list[str]], text: str) -> None:
    """Any text that a program can have, wherever a text can stand."""
    assert not any(DANGEROUS.search(line) for line in view(text))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=[])),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))  # fmt: skip
def test_escaped_json_is_equal_when_parsed(value: object) -> None:
    """Escaping changes how the text is written, never what it says; even integers of any size and lone surrogates."""
    assert json.loads(to_json(value)) == value


def test_ordinary_text_is_left_alone() -> None:
    """Letters of any script, emoji and combining marks are data."""
    for text in ("plain", "naïve", "日本語", "👩‍💻", "e\u0301", "a\\b", "1 -> 2"):
        assert safe(text) == text


@given(st.text(), st.integers(0, 20))
def test_padding_takes_exactly_the_columns_it_is_given(text: str, width: int) -> None:
    """Wide and combining characters count as terminals count them."""
    assert width_of(cut(text, width)) <= width
    assert width_of(pad(text, width)) == width
