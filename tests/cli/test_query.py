"""`whence query` and `whence sql`, and the commands that ask the index saying what they say without it."""

import sys
from pathlib import Path

import pytest

from build import a_run, a_span, an_archive, an_event
from build_cli import Ask
from whence.event.kinds import Severity


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A run with a chain, an error and a span."""
    first = an_event("rate.changed", agent="bank", turn=1, payload={"new_rate": 7, "old_rate": 3})
    second = an_event("loan.called", first, agent="bank", turn=2, severity=Severity.WARN)
    third = an_event("shop.closed", second, agent="baker", turn=3, severity=Severity.ERROR, description="no money")
    inside = an_event("note", span="00000000000000aa", agent="baker")
    return an_archive(tmp_path / "archive", a_run(first, second, third, a_span(span="00000000000000aa"), inside))


def test_query_gives_events_by_time_and_as_json(whence: Ask, archive: Path) -> None:
    """A line an event for people, JSON Lines for programs."""
    shown = whence("query", "agent = 'bank'", "-a", archive)
    assert [word in shown.out for word in ("rate.changed", "loan.called", "shop.closed")] == [True, True, False]
    found = whence("query", "agent = 'bank'", "-a", archive, "--json", "--limit", 1).json_lines
    assert [event["type"] for event in found] == ["rate.changed"]


def test_query_follows_causes(whence: Ask, archive: Path) -> None:
    """Causal conditions look at the whole archive."""

    def types(expression: str) -> list[str]:
        return [event["type"] for event in whence("query", expression, "-a", archive, "--json").json_lines]

    assert types("CAUSED_BY (type = 'rate.changed')") == ["loan.called", "shop.closed"]
    assert types("CAUSED_BY (type = 'rate.changed') WITHIN 1 HOPS") == ["loan.called"]
    assert types("CAUSED (severity >= ERROR)") == ["rate.changed", "loan.called"]
    assert types("CAUSED_BY (CAUSED_BY (type = 'rate.changed')) AND agent = 'baker'") == ["shop.closed"]
    assert types("ROOT AND agent = 'bank'") == ["rate.changed"]


def test_query_makes_tables(whence: Ask, archive: Path) -> None:
    """Pipes give a table: columns for people, an object a row for programs."""
    assert whence("query", "agent EXISTS | count", "-a", archive).code == 2
    table = whence("query", "severity >= WARN | count by agent | sort agent", "-a", archive)
    assert [line.split() for line in table.out.splitlines()] == [["agent", "count"], ["baker", "1"], ["bank", "1"]]
    rows = whence("query", "severity >= WARN | count by severity | sort severity", "-a", archive, "--json").json_lines
    assert rows == [{"severity": "WARN", "count": 1}, {"severity": "ERROR", "count": 1}]


def test_sql_answers_and_refuses(whence: Ask, archive: Path) -> None:
    """One SELECT runs; anything that could change something is a wrong usage."""
    assert whence("sql", "SELECT agent, count(*) AS n FROM events WHERE agent IS NOT NULL GROUP BY 1 ORDER BY 1", "-a", archive,
                  "--json").json_lines == [{"agent": "baker", "n": 2}, {"agent": "bank", "n": 2}]  # fmt: skip
    assert whence("sql", "SELECT cause FROM causes", "-a", archive).out.count("\n") == 3
    for text in ("COPY events TO 'x'", "SELECT * FROM read_csv('/etc/passwd')", "SELECT nope FROM events"):
        answer = whence("sql", text, "-a", archive)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("whence: cannot run this")


@pytest.mark.parametrize("indexed", [0, 1 << 60])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_when_the_time_is_over_the_part_that_is_there_is_marked(
    whence: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indexed: int, form: tuple[str, ...]
) -> None:
    """On standard error and by the exit code, with the index and without; what was given is part of the answer."""
    monkeypatch.setattr("whence.cli.reading.INDEXED_BYTES", indexed)
    archive = an_archive(tmp_path / "x", [an_event(f"e{n % 3}", correlation="c", time=n + 1) for n in range(1_000)])
    for command in (["log"], ["stats"], ["correlations"]):
        part = whence(*command, *form, "-a", archive, "--timeout", "0")
        assert part.code == 4, command
        assert part.err == "whence: partial: the time was over before the answer was whole\n"
        whole = whence(*command, *form, "-a", archive, "--timeout", "60s")
        assert (whole.code, whole.err) == (0, "")
        if command == ["log"] and form:
            assert set(part.out.splitlines()) < set(whole.out.splitlines())
    for expression in ("type = 'e1'", "type = 'e1' | count by type"):
        part = whence("query", expression, "-a", archive, *form, "--timeout", "0s")
        assert (part.code, part.err) == (4, "whence: partial: the time was over before the answer was whole\n")


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "1e9", ""])
def test_a_limit_of_time_is_a_duration_or_seconds(whence: Ask, archive: Path, text: str) -> None:
    """Anything else is a wrong usage."""
    answer = whence("log", "-a", archive, f"--timeout={text}")
    assert answer.code == 2 and "duration" in answer.err


def test_a_wrong_expression_is_shown_with_a_caret_under_its_place(tmp_path: Path, whence: Ask) -> None:
    """What is wrong, the nearest right name, and the place; wrong usage, exit code 2."""
    an_archive(tmp_path, [an_event("e")])
    answer = whence("query", "-a", tmp_path, "type = 'e' AND agnt = 3")
    assert answer.code == 2
    said, expression, caret = answer.err.splitlines()
    assert "did you mean agent" in said
    assert expression[caret.index("^") :].startswith("agnt")


def test_without_the_extra_a_question_says_what_to_install(
    tmp_path: Path, whence: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, no traceback; commands that only read need nothing more."""
    an_archive(tmp_path, [an_event("e")])
    for name in [
        name for name in sys.modules if name.startswith(("whence.filter", "whence.index", "whence.cli.query"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("lark", "duckdb", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    answer = whence("query", "-a", tmp_path, "type = 'e'")
    assert answer.code == 3
    assert answer.err == "whence: cannot go on: the package lark is not installed; pip install 'whence[query]'\n"
    assert whence("log", "-a", tmp_path, "--count").out == "1\n"
