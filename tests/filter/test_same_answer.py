"""SQL and closure give the same answer on any event; canonical text reads back as the same tree."""

from hypothesis import given
from hypothesis import strategies as st

import build_filter as build
from build_examples import examples
from whence.event.model import Event
from whence.filter.match import matcher
from whence.filter.parse import parse
from whence.filter.printer import to_text
from whence.filter.sql import compile_sql
from whence.filter.tree import Causal, Filter

IDS = {"e0", "e3", "e5"}


def chosen(tree: Causal) -> set[str]:
    """A resolver that needs no archive: some ids, others for each kind of question."""
    return {"e1"} if type(tree).__name__ == "Root" else IDS


def answers(events: list[Event], trees: list[Filter]) -> tuple[list[list[bool | None]], list[list[bool | None]]]:
    """What the closure and what DuckDB say, tree by tree."""
    database = build.table_of(events)
    closure, sql = [], []
    for tree in trees:
        asked = compile_sql(tree, chosen)
        rows = database.execute(f"SELECT {asked.text} FROM events ORDER BY place", list(asked.parameters)).fetchall()
        sql.append([row[0] for row in rows])
        test = matcher(tree, chosen)
        closure.append([test(event) for event in events])
    database.close()
    return closure, sql


@examples(20)
@given(st.lists(build.events(), min_size=1, max_size=8), st.lists(build.conditions(), min_size=6, max_size=12))
def test_sql_and_closure_agree_on_every_condition(events: list[Event], trees: list[Filter]) -> None:
    """True, false and unknown alike, each condition alone."""
    closure, sql = answers(events, trees)
    for tree, mine, theirs in zip(trees, closure, sql, strict=True):
        assert mine == theirs, to_text(tree)


@examples(20)
@given(
    st.lists(build.events(), min_size=1, max_size=6),
    st.lists(build.filters(st.one_of(build.conditions(), build.causal(build.conditions()))), min_size=3, max_size=6),
)
def test_sql_and_closure_agree_on_every_tree(events: list[Event], trees: list[Filter]) -> None:
    """AND, OR, NOT over unknown values, and causal questions answered by a resolver."""
    closure, sql = answers(events, trees)
    for tree, mine, theirs in zip(trees, closure, sql, strict=True):
        assert mine == theirs, to_text(tree)


@examples(70)
@given(build.filters(st.one_of(build.conditions(), build.causal(build.filters()))))
def test_canonical_text_reads_back_as_the_same_tree(tree: Filter) -> None:
    """A filter can live in a URL: printing and parsing change nothing."""
    again = parse(to_text(tree), now=0)
    assert again == tree
    assert repr(again) == repr(tree)
    assert to_text(again) == to_text(tree)
