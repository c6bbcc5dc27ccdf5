"""Builders for the filter's tests: events and trees by hypothesis, and a DuckDB table with an event's columns."""

from collections.abc import Iterable
from typing import Any

import duckdb
from hypothesis import strategies as st

from whence.event import flat
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.filter import names, values
from whence.filter.literals import number
from whence.filter.names import Kind
from whence.filter.tree import (
    Among,
    Both,
    Caused,
    CausedBy,
    Compare,
    Contains,
    Either,
    Exists,
    Filter,
    Like,
    Matches,
    Negation,
    Orphan,
    Path,
    Root,
    StartsWith,
    Word,
)

NOW = 1_768_000_000_000_000_000
"""2026-01-09T23:06:40Z."""

COLUMNS = {
    Kind.TEXT: "VARCHAR",
    Kind.NUMBER: "BIGINT",
    Kind.TIME: "BIGINT",
    Kind.DURATION: "BIGINT",
    Kind.SEVERITY: "SMALLINT",
    Kind.LIST: "VARCHAR[]",
    Kind.MAP: "VARCHAR",
}


def row_of(event: Event) -> list[Any]:
    """The event as the contract's columns."""
    row = []
    for name in flat.ORDER:
        value = getattr(event, name)
        match names.KINDS[name]:
            case Kind.MAP:
                value = values.json_text(value) if value else None
            case Kind.LIST:
                value = list(value)
            case Kind.SEVERITY:
                value = None if value is None else int(value)
        row.append(value)
    return row


def table_of(events: Iterable[Event]) -> duckdb.DuckDBPyConnection:
    """A database in memory with these events in the table `events`, in order (column `place`)."""
    database = duckdb.connect(":memory:", config={"threads": 1})
    types = ", ".join(f"{name} {COLUMNS[names.KINDS[name]]}" for name in flat.ORDER)
    database.execute(f"CREATE TABLE events (place BIGINT, {types})")
    marks = ", ".join("?" * (len(flat.ORDER) + 1))
    rows = [[place, *row_of(event)] for place, event in enumerate(events)]
    if rows:
        database.executemany(f"INSERT INTO events VALUES ({marks})", rows)
    return database


# --- events ---------------------------------------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.sampled_from(["", "a", "A", "ab", "a.b", "error", "ERROR", "Timeout", "NaN", "5", "true", "null", "[1]", "ß", "İ", "Σας",
                     "a*b", "a%b", "a_b", "a?b", "a\\b", '"q"', "it's", "a\nb", "\x00", "é", "e\u0301", "日本", "🙂", "\u2028"]),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6),
    st.text(alphabet="ab.*_%?\\'\"é", max_size=6),
)  # fmt: skip
INTEGERS = st.one_of(
    st.integers(-3, 7),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 10**15]),
    st.integers(-(2**63), 2**63 - 1),
)
FLOATS = st.one_of(
    st.sampled_from(
        [0.0, -0.0, 0.5, 5.0, 1e300, -1e300, 5e-324, 1.7976931348623157e308, 9007199254740993.0, 0.1, 1e16, 2.0**63]
    ),
    st.floats(allow_nan=True, allow_infinity=True),
)
SCALARS = st.one_of(TEXTS, INTEGERS, FLOATS, st.booleans(), st.none(), st.binary(max_size=4))
KEYS = st.sampled_from(
    ["a", "b", "c", "a.b", "0", "1", "01", "odd key", 'q"k', "x/y", "~", "", "é", "$", "*", "and", "count"]
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
MAPS = st.dictionaries(KEYS, VALUES, max_size=4)
WHOLE = st.none() | st.integers(0, 7) | st.integers(0, 2**63 - 1)
NAME = st.none() | TEXTS


def events() -> st.SearchStrategy[Event]:
    """Events of any kind, with anything in their maps."""
    return st.builds(
        Event, id=st.sampled_from([f"e{number}" for number in range(8)]), type=TEXTS, time=st.sampled_from([0, NOW, NOW - 1])
        | st.integers(-(2**63), 2**63 - 1), observed_time=WHOLE, kind=NAME, source=NAME, run=NAME, seq=WHOLE, elapsed_ns=WHOLE,
        severity=st.none() | st.sampled_from(list(Severity)), agent=NAME, turn=WHOLE, task=NAME, stage=NAME, status=NAME,
        correlation=NAME, description=NAME, caused_by=st.lists(TEXTS, max_size=3).map(tuple), payload=MAPS, attributes=MAPS,
        resource=MAPS, scope=MAPS, schema=NAME, trace_id=NAME, span_id=NAME, parent_span_id=NAME, duration_ns=WHOLE,
        dropped=st.integers(0, 5), signal=st.sampled_from(["log", "span", "span_event"]),
    )  # fmt: skip


# --- trees ----------------------------------------------------------------------------------------------------------------

OF_KIND = {kind: [name for name, its in names.KINDS.items() if its is kind] for kind in Kind}
BELOW = st.builds(
    Path,
    st.sampled_from(["payload", "payload", "attributes", "resource", "scope"]),
    st.lists(KEYS, min_size=1, max_size=3).map(tuple),
)
TEXT_PATHS = st.one_of(st.sampled_from(OF_KIND[Kind.TEXT]).map(Path), BELOW, BELOW)
ORDERS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
NUMBERS = st.one_of(
    INTEGERS, FLOATS.filter(lambda value: abs(value) < float("inf")).map(lambda value: number(repr(value)))
)
PATTERNS = st.one_of(
    st.sampled_from(
        ["a", "^a", "b$", "a.b", "(?i)ERROR", "[ab]+", "\\.", "", "(?s)a.b", "^$", "\\pL", "é", "(a|b)*c", "\\bab"]
    )
)
LIKES = st.one_of(TEXTS, st.text(alphabet="ab.*_%?\\é", max_size=6))


def conditions() -> st.SearchStrategy[Filter]:
    """One condition of any kind that SQL and closure answer alone."""
    numeric = OF_KIND[Kind.NUMBER] + OF_KIND[Kind.TIME] + OF_KIND[Kind.DURATION]
    return st.one_of(
        st.builds(Compare, BELOW, ORDERS, TEXTS | NUMBERS),
        st.builds(Compare, BELOW, st.sampled_from(["=", "!="]), st.booleans()),
        st.builds(Compare, st.sampled_from(OF_KIND[Kind.TEXT]).map(Path), ORDERS, TEXTS),
        st.builds(Compare, st.sampled_from(numeric).map(Path), ORDERS, INTEGERS),
        st.builds(Compare, st.sampled_from(OF_KIND[Kind.NUMBER]).map(Path), ORDERS, NUMBERS),
        st.builds(Compare, st.just(Path("severity")), ORDERS, st.integers(0, 30)),
        st.builds(Among, BELOW, st.lists(TEXTS | NUMBERS | st.booleans(), min_size=1, max_size=4).map(tuple)),
        st.builds(Among, st.just(Path("agent")), st.lists(TEXTS, min_size=1, max_size=120).map(tuple)),
        st.builds(Contains, BELOW, TEXTS | NUMBERS | st.booleans()),
        st.builds(Contains, st.sampled_from(["type", "description", "caused_by"]).map(Path), TEXTS),
        st.builds(Like, TEXT_PATHS, LIKES),
        st.builds(StartsWith, TEXT_PATHS, TEXTS),
        st.builds(Matches, TEXT_PATHS, PATTERNS),
        st.builds(Exists, BELOW | st.sampled_from(list(names.KINDS)).map(Path)),
        st.builds(Word, TEXTS.filter(bool)),
    )


def causal(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    """Questions for the whole archive."""
    hops, ns = st.none() | st.integers(1, 9), st.none() | st.integers(1, 2**62)
    return st.one_of(
        st.builds(CausedBy, inner, hops, ns), st.builds(Caused, inner, hops, ns), st.just(Root()), st.just(Orphan())
    )


def filters(leaves: st.SearchStrategy[Filter] | None = None) -> st.SearchStrategy[Filter]:
    """Trees of conditions, as the parser would make them (no AND directly in an AND)."""
    return st.recursive(
        conditions() if leaves is None else leaves,
        lambda inner: st.one_of(_joined(Both, inner), _joined(Either, inner), st.builds(Negation, inner)),
        max_leaves=5,
    )


def _joined(kind: type[Both] | type[Either], inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    parts = st.lists(inner.filter(lambda part: not isinstance(part, kind)), min_size=2, max_size=3)
    return parts.map(lambda found: kind(tuple(found)))
