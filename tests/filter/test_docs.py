"""The page on the filter language is true: each example gives what it says, from the closure and from SQL."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

import build_filter as build
from whence.errors import FilterError
from whence.event.flat import from_flat, parse_time
from whence.event.model import Event
from whence.filter import names
from whence.filter.match import matcher
from whence.filter.names import Kind
from whence.filter.parse import grammar, parse, parse_query
from whence.filter.printer import path_text, to_text
from whence.filter.quantities import duration_text
from whence.filter.sql import compile_sql
from whence.filter.sql_pipes import Column, compile_query
from whence.filter.tree import Causal, Caused, CausedBy, Root
from whence.filter.tree import Path as FilterPath

PAGE = (Path(__file__).parents[2] / "docs" / "filter.md").read_text()
NOW = parse_time("2026-01-20T10:05:20Z")
EVENTS = [from_flat(orjson.loads(line)) for line in re.findall(r"```jsonl\n(.*?)```", PAGE, re.DOTALL)[0].splitlines()]
EXAMPLES = [
    tuple(part.strip() for part in line.rsplit("#", 1))
    for block in re.findall(r"```filter\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
SEMANTICS = re.findall(r"^\| `(\{.*?\})` \| `(.*?)` \| (\w+) \|$", PAGE, re.MULTILINE)
ERRORS = re.findall(r"```error\n(.*?)\n(cannot .*?)\n```", PAGE, re.DOTALL)


def causal(tree: Causal) -> set[str]:
    """What the causal questions mean, in as few words as possible, over the page's events."""
    by_id = {event.id: event for event in EVENTS}
    if isinstance(tree, Root):
        return {event.id for event in EVENTS if not event.caused_by and not event.parent_span_id}
    assert isinstance(tree, (Caused, CausedBy))
    back = {event.id: set(event.caused_by) for event in EVENTS}
    forth = {event.id: {other.id for other in EVENTS if event.id in other.caused_by} for event in EVENTS}
    wanted, steps = (tree.by, forth) if isinstance(tree, CausedBy) else (tree.what, back)
    test = matcher(wanted, causal)
    found: set[str] = set()
    for start in [event for event in EVENTS if test(event)]:
        reached = edge = {start.id}
        for _ in range(tree.hops or len(EVENTS)):
            edge = {there for here in edge for there in steps[here]} - reached
            reached = reached | edge
        near = {there for there in reached if tree.ns is None or abs(by_id[there].time - start.time) <= tree.ns}
        found |= near - {start.id}
    return found


def shown(value: Any, column: Column) -> str:
    """A cell as the page shows it."""
    if value is None:
        return "-"
    if column.kind is Kind.TIME:
        return to_text(parse(f"time = {value}", now=0)).removeprefix("time = ")
    if column.kind is Kind.DURATION:
        return duration_text(int(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize(("text", "answer"), EXAMPLES, ids=[text for text, _ in EXAMPLES])
def test_the_examples_answer_as_the_page_says(text: str, answer: str) -> None:
    """Events by closure and by SQL, tables by SQL; and the canonical text means the same."""
    query = parse_query(text, now=NOW)
    assert parse_query(to_text(query), now=0) == query
    database = build.table_of(EVENTS)
    compiled = compile_query(query, "events", causal)
    rows = database.execute(compiled.text, list(compiled.parameters)).fetchall()
    if compiled.columns is not None:
        cells = [
            " ".join(shown(value, column) for value, column in zip(row, compiled.columns, strict=True)) for row in rows
        ]
        assert ", ".join(cells) == answer
        return
    test = matcher(query.filter, causal)
    assert " ".join(event.id for event in EVENTS if test(event)) == answer
    assert " ".join(sorted(row[1] for row in rows)) == answer


@pytest.mark.parametrize(
    ("payload", "text", "answer"), SEMANTICS, ids=[f"{payload} {text}" for payload, text, _ in SEMANTICS]
)
def test_the_table_of_missing_and_mixed_values_is_true(payload: str, text: str, answer: str) -> None:
    """Each row, from the closure and from SQL."""
    wanted = {"true": True, "false": False, "unknown": None}[answer]
    event = Event(id="e", type="t", time=0, payload=orjson.loads(payload))
    tree = parse(text, now=NOW)
    assert matcher(tree)(event) is wanted
    sql = compile_sql(tree)
    assert build.table_of([event]).execute(f"SELECT {sql.text} FROM events", list(sql.parameters)).fetchall() == [
        (wanted,)
    ]


@pytest.mark.parametrize(("text", "message"), ERRORS, ids=[text for text, _ in ERRORS])
def test_the_errors_read_as_the_page_shows_them(text: str, message: str) -> None:
    """The sentence, the line and the caret."""
    with pytest.raises(FilterError) as problem:
        parse(text, now=NOW)
    assert str(problem.value) == message


def test_the_page_shows_the_grammar_as_it_is() -> None:
    """The whole file, unchanged."""
    assert f"```lark\n{grammar()}```" in PAGE


def test_the_page_lists_every_field_and_spelling() -> None:
    """The table of names is the code's."""
    also: dict[str, list[str]] = {}
    for spelling, path in names.SPELLINGS.items():
        also.setdefault(path_text(path), []).append(f"`{spelling}`")
    rows = [(FilterPath(field), kind) for field, kind in names.KINDS.items()]
    for path, kind in [*rows, (FilterPath("payload", ("details",)), Kind.ANY)]:
        others = ", ".join(also.get(path_text(path), []))
        assert f"| `{path_text(path)}` | {kind} | {others + ' ' if others else ''}|" in PAGE


def test_the_python_on_the_page_runs(tmp_path: Path) -> None:
    """As a reader would paste it."""
    program = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
