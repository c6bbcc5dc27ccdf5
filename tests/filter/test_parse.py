"""Texts to trees: every spelling, every refusal with its place, and no text that breaks the parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import build_filter as build
from build_examples import examples
from whence.errors import FilterError
from whence.event.model import Event
from whence.filter import names
from whence.filter.match import matcher
from whence.filter.names import Kind
from whence.filter.parse import parse, parse_query
from whence.filter.printer import to_text
from whence.filter.sql import compile_sql
from whence.filter.tree import Causal, Compare, Everything, Head, Path, Query, Word

CANONICAL = [
    ("", ""),
    ("  \n ", ""),
    ("Turn In(5,6) aNd nOt KIND = detail", "turn IN (5, 6) AND NOT kind = 'detail'"),
    ("turn NOT IN (5)", "NOT turn IN (5)"),
    ("turn NOT BETWEEN 1 AND 2", "NOT (turn >= 1 AND turn <= 2)"),
    ("a AND (b AND c)", "'a' AND 'b' AND 'c'"),
    ("a OR b AND c", "'a' OR 'b' AND 'c'"),
    ("(a OR b) AND c", "('a' OR 'b') AND 'c'"),
    ("NOT a AND b", "NOT 'a' AND 'b'"),
    ("NOT (a AND b)", "NOT ('a' AND 'b')"),
    ("((agent_id))", "'agent_id'"),
    ("agent_id = 7", "agent = '7'"),
    ("turn_number = '7'", "turn = 7"),
    ('correlation_id = "it\'s"', "correlation = 'it''s'"),
    ('agent = "a""b"', "agent = 'a\"b'"),
    ("status = true", "status = 'true'"),
    ("payload.ok = TRUE", "payload.ok = true"),
    ("details.x = 1", "payload.details.x = 1"),
    ("PAYLOAD.X = 1", "payload.X = 1"),
    ('payload.""  = 1', 'payload."" = 1'),
    ('payload."a""b"[0] = 1', 'payload."a""b"[0] = 1'),
    ("payload.'odd key' = 1", 'payload."odd key" = 1'),
    ("payload.x = 1e3", "payload.x = 1000.0"),
    ("payload.x = +5", "payload.x = 5"),
    ("payload.x = -.5", "payload.x = -0.5"),
    ("payload.x = 9223372036854775808", "payload.x = 9.223372036854776e+18"),
    ("payload.size > 10KB", "payload.size > 10000"),
    ("payload.size > 64kib", "payload.size > 65536"),
    ("payload.took_ms > 1.5s", "payload.took_ms > 1500"),
    ("payload.took > 250ms", "payload.took > 0.25"),
    ("duration >= 1h30m", "duration_ns >= 90m"),
    ("duration_ns >= 90", "duration_ns >= 90ns"),
    ("elapsed > 0", "elapsed_ns > 0"),
    ("severity >= warning", "severity >= WARN"),
    ("level = 17", "severity = ERROR"),
    ("ts > now", "time > 2026-01-09T23:06:40Z"),
    ("ts > now-1.5s", "time > 2026-01-09T23:06:38.5Z"),
    ("ts > NOW + 1d2h", "time > 2026-01-11T01:06:40Z"),
    ("ts > 2024-01-20", "time > 2024-01-20T00:00:00Z"),
    ("ts > '2024-01-20 10:00+02:00'", "time > 2024-01-20T08:00:00Z"),
    ("payload.at > 2024-01-20T10:00", "payload.at > '2024-01-20T10:00'"),
    ("agent = now", "agent = 'now'"),
    ("now", "'now'"),
    ("count", "'count'"),
    ("pipeline.started", "'pipeline.started'"),
    ("500", "'500'"),
    ("250ms", "'250ms'"),
    ("caused_by = 'x'", "caused_by CONTAINS 'x'"),
    ("caused_by != 'x'", "NOT caused_by CONTAINS 'x'"),
    ("causes IN ('x', 'y')", "caused_by CONTAINS 'x' OR caused_by CONTAINS 'y'"),
    ("caused_by(root) within 10s WITHIN 1 hops", "CAUSED_BY (ROOT) WITHIN 1 HOPS WITHIN 10s"),
    ("payload IS NULL", "NOT EXISTS payload"),
    ("payload.x is not null", "EXISTS payload.x"),
    ("type MATCHES '\\d+'", "type MATCHES '\\d+'"),
    ("| COUNT BY agent , bucket( 1m )", "| count by agent, bucket(1m)"),
    ("a | p095 duration", None),
    ("a | p50.0 duration by type|head 3", "'a' | p50 duration_ns by type | head 3"),
    ("a | sort by ts desc | fields ts, payload.x", "'a' | sort time desc | fields time, payload.x"),
    ("| count by agent_id | sort agent_id asc", "| count by agent | sort agent"),
    ("| max duration by type | sort max desc", "| max duration_ns by type | sort max desc"),
    ("| distinct type, payload.model | head 2", "| distinct type, payload.model | head 2"),
    ("| top 10 payload.model | sort count", "| top 10 payload.model | sort count"),
]


@pytest.mark.parametrize(("text", "canonical"), [case for case in CANONICAL if case[1] is not None])
def test_every_spelling_has_one_canonical_text(text: str, canonical: str) -> None:
    """And the canonical text reads back as the same query."""
    query = parse_query(text, now=build.NOW)
    assert to_text(query) == canonical
    assert parse_query(canonical, now=0) == query


REFUSED = [
    ("agnet = 1", 1, "did you mean agent?"),
    ("http.method = 'GET'", 1, "attributes.http.method"),
    ("agent.x = 1", 1, "agent is a text"),
    ("payload = 1", 1, "payload is a map"),
    ("turn LIKE '1*'", 1, "turn is a number"),
    ("turn = five", 8, "a number"),
    ("turn = 1e999", 8, "below 1.8e308"),
    ("severity > LOUD", 12, "a severity"),
    ("duration > 5", 12, "its unit"),
    ("duration > 5KB", 12, "its unit"),
    ("payload.x > 5xyz", 13, "a quantity"),
    ("ts > 'yesterday'", 6, "a time"),
    ("ts > 9999-01-01", 6, "between the years"),
    ("ts > now-5KB", 6, "a duration"),
    ("payload.x < true", 11, "no order"),
    ("caused_by < 'x'", 11, "is a list"),
    ("caused_by LIKE 'x'", 1, "caused_by is a list"),
    ("type MATCHES '('", 14, "regular expression"),
    ("type MATCHES '(?=x)'", 14, "regular expression"),
    ("type = 'x", 8, "no closing quote"),
    ("type LKE 'x'", 6, "did you mean LIKE?"),
    ("turn = NULL", 8, "a number"),
    ("a b", 3, "AND; OR"),
    ("a AND", 6, "a condition"),
    ("(a", 3, "expected )"),
    ("a)", 2, "')' is not expected"),
    ("turn IN ()", 10, "a value"),
    ("ROOT = 1", 6, "'=' is not expected"),
    ("CAUSED (x) WITHIN 0 HOPS", 19, "at least 1 hop"),
    ("CAUSED (x) WITHIN 1.5 HOPS", 19, "a whole number"),
    ("CAUSED (x) WITHIN 1s WITHIN 2s", 1, "twice"),
    ("''", 1, "a word to search for"),
    ("a |", 4, "COUNT"),
    ("| bogus", 3, "COUNT"),
    ("| head -1", 8, "a whole number"),
    ("| count by bucket(1KB)", 19, "a duration"),
    ("| avg type", 7, "needs numbers"),
    ("| avg ts", 7, "needs numbers"),
    ("| count | count", 11, "sort or head"),
    ("| count | sort agent", 16, "no column 'agent'"),
    ("| fields agent, agent_id", 3, "named twice"),
    ("payload." + ".".join("a" * 80) + " = 1", 135, "too long"),
]


@pytest.mark.parametrize(("text", "column", "says"), REFUSED, ids=[text[:40] for text, _, _ in REFUSED])
def test_what_is_no_filter_is_refused_at_its_place(text: str, column: int, says: str) -> None:
    """The message names the column, has a caret under it, and says what was expected."""
    with pytest.raises(FilterError) as problem:
        parse_query(text, now=build.NOW)
    message = str(problem.value)
    assert f"at column {column}:" in message
    assert says in message
    _, line, caret = message.split("\n")
    assert caret.index("^") <= len(line)


def test_the_place_in_a_filter_of_several_lines_names_its_line() -> None:
    """The line with the problem is shown, not the first."""
    with pytest.raises(FilterError, match=r"line 2, column 5: there is no field 'agnet'"):
        parse("turn = 1\nAND agnet = 2", now=0)


def test_every_field_and_spelling_is_a_name() -> None:
    """In any case."""
    for field, kind in names.KINDS.items():
        tree = parse(f"EXISTS {field.upper()}", now=0)
        assert to_text(tree) == f"EXISTS {field}"
        assert kind in Kind
    for spelling, path in names.SPELLINGS.items():
        assert names.find(spelling.title()) == path


def test_pipes_are_refused_where_only_conditions_make_sense() -> None:
    """`parse` gives a filter alone."""
    with pytest.raises(FilterError, match="without pipes"):
        parse("turn = 1 | head 3", now=0)
    assert parse("", now=0) == Everything()
    assert parse_query("turn = 1 | head 3", now=0) == Query(Compare(Path("turn"), "=", 1), (Head(3),))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("(" * 101 + "x" + ")" * 101, "nested deeper than 100"),
        ("NOT " * 101 + "x", "nested deeper than 100"),
        ("NOT " * 16_000 + "x", "nested deeper than 100"),
        ("(NOT " * 10_000 + "x" + ")" * 10_000, "nested deeper than 100"),
        ("CAUSED_BY (" * 101 + "x" + ")" * 101, "nested deeper than 100"),
        ("(" * 60_000, "ends too early"),
        ("turn IN (" + "1," * 10_000 + "1)", "at most 10,000"),
        ("turn = " + "1" * 65_536, "65,543 bytes"),
        ("é" * 40_000, "80,000 bytes"),
        ("agent = '\ud800'", "UTF-8"),
        ("type MATCHES '((a{1,100}){1,100}){1,100}'", "regular expression"),
        ("type MATCHES '(\\pL{1,900}){1,900}'", "regular expression"),
        ("type MATCHES '.{900}x'", "repeat less"),
    ],
    ids=range(13),
)
def test_hostile_texts_are_refused_with_a_reason(text: str, says: str) -> None:
    """Neither the stack nor the memory gives way first."""
    with pytest.raises(FilterError, match=says):
        parse(text, now=0)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100 + "x" + ")" * 100,
        "NOT " * 100 + "x",
        " OR ".join(["turn = 1"] * 5_000),
        "turn IN (" + "1," * 9_999 + "1)",
        "agent IN (" + ",".join(f"a{number}" for number in range(6_000)) + ")",
        "agent = '" + "x" * 65_000 + "'",
        "(a AND NOT (b OR " * 25 + "c" + "))" * 25,
    ],
    ids=range(7),
)
def test_what_is_just_within_the_limits_works_everywhere(text: str) -> None:
    """Parsed, printed, matched, and asked of DuckDB."""
    tree = parse(text, now=0)
    assert parse(to_text(tree), now=0) == tree
    event = Event(id="e", type="x", time=0, turn=2, agent="x")
    sql = compile_sql(tree)
    answer = build.table_of([event]).execute(f"SELECT {sql.text} FROM events", list(sql.parameters)).fetchall()
    assert answer == [(matcher(tree)(event),)]


EVIL = [
    "(a+)+$",
    "(a|aa)+$",
    "(.*a){25}",
    "(x+x+)+y",
    "((a*)*)*b",
    "(a?){400}a{400}",
    "(.*){1,100}[bc]",
    "(a|b|ab)*c",
    "^(.+)+$",
]


@pytest.mark.parametrize("pattern", EVIL)
def test_no_regular_expression_takes_time_that_explodes(pattern: str) -> None:
    """64 KiB of text against patterns that stop other engines for ever; the test's own time limit is the judge."""
    matches = matcher(parse(f"description MATCHES '{pattern}'", now=0))
    for text in ("a" * 65_536, "ab" * 32_768, "é" * 32_768, "x" * 65_536):
        matches(Event(id="e", type="t", time=0, description=text))


def test_no_like_pattern_takes_time_that_explodes() -> None:
    """Stars are looked for from left to right, never again."""
    text = "a" * 65_536
    for pattern in ("*a" * 200 + "b", "*a?" * 100 + "*b", "%" * 1000 + "b", "?" * 1000 + "*b*" * 20):
        tree = parse(f"description LIKE '{pattern}'", now=0)
        event = Event(id="e", type="t", time=0, description=text)
        assert matcher(tree)(event) is False
        sql = compile_sql(tree)
        assert build.table_of([event]).execute(f"SELECT {sql.text} FROM events", list(sql.parameters)).fetchall() == [
            (False,)
        ]


TOKENS = """
type agent payload payload.x turn ts duration severity caused_by details = != < <= > >= AND OR NOT ( ) IN BETWEEN LIKE CONTAINS
STARTSWITH MATCHES EXISTS IS NULL CAUSED_BY CAUSED WITHIN HOPS ROOT ORPHAN | count by bucket(1m) p95 max top sort desc head
fields distinct , . [ ] [0] 'x' "y" ' " 5 -5 1.5 1e400 250ms 10KB now now-5m 2024-01-20 true false $1 ; -- /* \\ é \x00 word
"""
PIECES = st.sampled_from(TOKENS.split())


def no_causes(tree: Causal) -> set[str]:
    return set()


@examples(100)
@given(
    st.one_of(
        st.lists(PIECES, max_size=12).map(" ".join), st.lists(PIECES, max_size=8).map("".join), st.text(max_size=40)
    )
)
def test_any_text_is_a_filter_or_a_filter_error(text: str) -> None:
    """And what is a filter prints, reads back, matches, and is SQL."""
    try:
        query = parse_query(text, now=build.NOW)
    except FilterError:
        return
    assert parse_query(to_text(query), now=0) == query
    event = Event(id="e", type="x", time=0, payload={"x": 1})
    assert matcher(query.filter, no_causes)(event) in (True, False, None)
    compile_sql(query.filter, no_causes)


def test_a_word_is_what_was_written() -> None:
    """Keywords and names of fields alone are words too, as long as no operator follows."""
    assert parse("payload.x", now=0) == Word("payload.x")
    assert parse('"AND"', now=0) == Word("AND")
