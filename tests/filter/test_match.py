"""Closures over events: nothing an event holds makes them fail, and causes are asked of whoever knows them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import build_filter as build
from build_examples import examples
from whence.errors import FilterError
from whence.event.kinds import Kind, Severity
from whence.event.model import Event
from whence.filter.match import matcher
from whence.filter.parse import parse
from whence.filter.sql import Sql, compile_sql
from whence.filter.tree import CausedBy, Compare, Filter, Path

STRANGE: list[Any] = [
    10**400, -(10**400), "\ud800", b"\xff", bytearray(b"x"), {1, 2}, object(), {1: 2}, {None: [object()]}, (1, "a"), float("nan"),
    Kind.DETAIL, Severity.ERROR, range(3), {"a": {"a": {"a": None}}}, [[[]]], complex(1, 2), Exception("x"),
]  # fmt: skip


@examples(50)
@given(build.filters(), st.sampled_from(STRANGE), st.sampled_from(["a", "b", "0", "a.b"]))
def test_no_value_makes_a_filter_fail(tree: Filter, value: Any, key: str) -> None:
    """Also what no archive holds: a program's own events are matched before they are written."""
    event = Event(id="e", type="t", time=0, payload={key: value, "c": {key: value}}, attributes={key: [value]})
    assert matcher(tree)(event) in (True, False, None)


def test_enums_are_their_values() -> None:
    """An event built by hand may hold a member where an archive gives the text or number."""
    event = Event(id="e", type="t", time=0, kind=Kind.DETAIL, severity=Severity.ERROR)
    for text in (
        "kind = detail",
        "kind LIKE 'det*'",
        "kind IN (detail)",
        "kind MATCHES 'tai'",
        "severity = ERROR",
        "severity >= 17",
    ):
        assert matcher(parse(text, now=0))(event) is True, text


def test_causes_are_asked_of_the_resolver_once_for_each_question() -> None:
    """The engine sees the very node, and gives ids, or for SQL a condition of its own."""
    tree = parse("CAUSED_BY (turn = 1) WITHIN 2 HOPS OR ROOT", now=0)
    asked: list[Any] = []

    def resolve(node: Any) -> set[str]:
        asked.append(node)
        return {"e1"} if isinstance(node, CausedBy) else {"e2"}

    test = matcher(tree, resolve)
    assert [test(Event(id=f"e{number}", type="t", time=0)) for number in range(4)] == [False, True, True, False]
    assert asked[0] == CausedBy(Compare(Path("turn"), "=", 1), hops=2)
    assert len(asked) == 2
    sql = compile_sql(tree, lambda node: Sql("_found"))
    assert sql == Sql("((_found) OR (_found))", ())


def test_causes_without_a_resolver_are_refused() -> None:
    """A stream has no archive to ask."""
    for text in ("ROOT", "ORPHAN", "turn = 1 AND NOT CAUSED (turn = 2)"):
        for make in (matcher, compile_sql):
            with pytest.raises(FilterError, match="only a whole archive"):
                make(parse(text, now=0))


def test_parameters_are_numbered_from_where_the_engine_says() -> None:
    """So that a condition can stand inside other SQL; the same value is bound once."""
    sql = compile_sql(parse("agent = 'x' AND task = 'x' AND payload.x LIKE 'x*y'", now=0), first=3)
    assert "$3" in sql.text
    assert "$1" not in sql.text
    assert sql.parameters == ("x", "/x", "x.*y")


@examples(40)
@given(build.filters())
def test_no_text_of_a_filter_stands_in_its_sql(tree: Filter) -> None:
    """All that a person wrote is in the parameters: the SQL is made of a fixed set of letters."""
    marked = compile_sql(_marked(tree))
    assert "MARK" not in marked.text


def _marked(tree: Any) -> Any:
    """The same tree with every text in it marked."""
    if isinstance(tree, str):
        return f"MARK{tree}"
    if isinstance(tree, tuple):
        return tuple(_marked(item) for item in tree)
    if isinstance(tree, Path):
        return Path(tree.field, _marked(tree.keys))
    if not hasattr(tree, "__slots__"):
        return tree
    values = {name: getattr(tree, name) for name in tree.__slots__}
    return type(tree)(**{name: value if name == "operator" else _marked(value) for name, value in values.items()})
