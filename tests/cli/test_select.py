"""Named options and FILTER are one tree of the filter language, and every reading command takes both."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from build import START, an_archive, an_event
from build_cli import Ask
from whence.event.kinds import Severity
from whence.filter.parse import parse
from whence.filter.printer import to_text
from whence.filter.selection import OptionError, selection
from whence.filter.tree import Everything

NOW = 1_800_000_000_000_000_000


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, ""),
        ({"run": "r"}, "run = 'r'"),
        ({"type": ["task.started"]}, "type = 'task.started'"),
        ({"type": ["task.*", "turn_?"]}, r"type LIKE 'task.*' OR type LIKE 'turn\_?'"),
        ({"type": ["100%*"]}, r"type LIKE '100\%*'"),
        ({"agent": ["a", "b", "a"]}, "agent IN ('a', 'b')"),
        ({"kind": ["decision"], "task": ["t"]}, "kind = 'decision' AND task = 't'"),
        ({"correlation": ["c"], "trace": "AB"}, "correlation = 'c' AND trace_id = 'ab'"),
        ({"turn": "3..7"}, "turn >= 3 AND turn <= 7"),
        ({"turn": "..7"}, "turn <= 7"),
        ({"severity": "warn"}, "severity >= WARN"),
        ({"since": "5m", "until": "now"}, "time >= now-5m AND time <= now"),
        ({"run": "r", "filter": "agent = 'a' AND turn = 1"}, "run = 'r' AND agent = 'a' AND turn = 1"),
        ({"run": "r", "filter": "agent = 'a' OR turn = 1"}, "run = 'r' AND (agent = 'a' OR turn = 1)"),
        ({"filter": "x | count"}, None),
    ],
)
def test_options_are_the_tree_of_the_filter_that_says_the_same(options: dict[str, object], text: str | None) -> None:
    """So that there is one notion of selecting; pipes select nothing."""
    if text is None:
        with pytest.raises(Exception, match="without pipes"):
            selection(**options, now=NOW)  # type: ignore[arg-type]
        return
    found = selection(**options, now=NOW)  # type: ignore[arg-type]
    assert found == parse(text, now=NOW)
    assert found == Everything() or parse(to_text(found), now=NOW) == found


def test_times_and_turns_beyond_what_events_can_have_are_brought_to_the_edge() -> None:
    """No filter has a number of more than 64 bits."""
    found = selection(turn="0..99999999999999999999", until="9999-01-01", now=NOW)
    assert "9223372036854775807" in to_text(found)


def test_a_text_that_no_event_can_have_is_a_wrong_usage() -> None:
    """Half a character, as a shell passes on what is no UTF-8."""
    with pytest.raises(OptionError, match="UTF-8"):
        selection(agent=["\udcff"], now=NOW)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three events of two agents, one an error caused by another."""
    first = an_event("task.started", agent="a", correlation="c1", time=START + 1)
    second = an_event("task.failed", first, agent="a", correlation="c1", time=START + 2, severity=Severity.ERROR)
    return an_archive(tmp_path / "archive", [first, second, an_event("note", agent="b", time=START + 3)])


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["agent = 'a'"], ["task.started", "task.failed"]),
        (["type LIKE 'task.*'", "--severity", "error"], ["task.failed"]),
        (["agent = 'b' OR severity >= ERROR", "--agent", "a"], ["task.failed"]),
        (["CAUSED_BY (type = 'task.started')"], ["task.failed"]),
        (["NOT CAUSED (severity >= ERROR)", "--agent", "a"], ["task.failed"]),
        (["failed"], ["task.failed"]),
    ],
)
def test_log_and_export_take_a_filter_beside_their_options(
    archive: Path, tmp_path: Path, whence: Ask, arguments: list[str], found: list[str]
) -> None:
    """Both must hold; causes are asked of the whole archive, however small it is."""
    assert [event["type"] for event in whence("log", *arguments, "-a", archive, "--json").json_lines] == found
    assert whence("log", *arguments, "-a", archive, "--count").out == f"{len(found)}\n"
    where, *options = arguments
    exported = whence("export", "-", "-f", "jsonl", "--where", where, *options, "-a", archive)
    assert [event["type"] for event in exported.json_lines] == found
    single = next(archive.rglob("*.jsonl"))
    assert [event["type"] for event in whence("log", *arguments, "-a", single, "--json").json_lines] == found


def test_errors_stats_and_correlations_take_a_filter(archive: Path, whence: Ask) -> None:
    """The same one."""
    assert [group["type"] for group in whence("errors", "agent = 'a'", "-a", archive, "--json").json_lines] == [
        "task.failed"
    ]
    assert whence("errors", "agent = 'b'", "-a", archive).out == "no errors\n"
    assert [of["type"] for of in whence("stats", "agent = 'b'", "-a", archive, "--json").json_lines] == ["note"]
    assert whence("correlations", "agent = 'b'", "-a", archive).out == "no correlation ids\n"


def test_tail_refuses_what_only_the_whole_archive_knows(archive: Path, whence: Ask) -> None:
    """At once, not when the first event comes."""
    answer = whence("tail", "agent = 'a' AND NOT CAUSED_BY (failed)", "-a", archive)
    assert answer.code == 2 and answer.out == ""
    assert answer.err == (
        "whence: cannot ask for causes here: only a whole archive knows them; leave the causal part out\n"
    )


@pytest.mark.parametrize("command", ["log", "tail", "errors", "stats", "correlations"])
def test_a_wrong_filter_is_shown_with_its_place(archive: Path, whence: Ask, command: str) -> None:
    """One line, the expression, and a caret."""
    answer = whence(command, "agnt = 1", "-a", archive)
    assert answer.code == 2 and answer.out == ""
    said, expression, caret = answer.err.splitlines()
    assert "did you mean agent" in said and expression[caret.index("^") :].startswith("agnt")


def test_the_chain_of_one_event_is_not_selected(archive: Path, tmp_path: Path, whence: Ask) -> None:
    """An option that would do nothing is refused."""
    answer = whence("export", tmp_path / "x.dot", "--of", "01", "--agent", "a", "-a", archive)
    assert answer.code == 2 and "--of" in answer.err


def test_without_the_extra_options_select_and_a_filter_says_what_to_install(archive: Path, tmp_path: Path) -> None:
    """A light installation reads; neither the grammar's package nor the index is there."""
    script = (
        "import json, os, sys\n"
        "for name in ('lark', 're2', 'duckdb', 'pyarrow', 'numpy'): sys.modules[name] = None\n"
        "import whence.cli.reading; whence.cli.reading.INDEXED_BYTES = 0\n"
        "from whence.cli.app import call\n"
        "for n, command in enumerate(json.loads(sys.argv[1])):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        for end, name in ((1, 'out'), (2, 'err')): os.dup2(os.open(f'{n}.{name}', os.O_CREAT | os.O_WRONLY), end)\n"
        "        sys.exit(call(command))\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)\n"
    )
    read = [["log", "--type", "task.*", "--agent", "a"], ["runs"], ["errors"], ["last"], ["stats"], ["check"],
            ["correlations"], ["export", "-", "-f", "jsonl", "--severity", "warn"]]  # fmt: skip
    refused = [["log", "agent = 'a'"], ["tail", "agent = 'a'"], ["export", "-", "-f", "jsonl", "--where", "x"]]
    commands = [[*command, "-a", str(archive)] for command in (*read, *refused)]
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(commands)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    codes = list(map(int, done.stdout.split()))
    assert codes == [0] * len(read) + [3] * len(refused)
    for n, command in enumerate(commands):
        out, err = ((tmp_path / f"{n}.{name}").read_text() for name in ("out", "err"))
        if codes[n] == 0:
            assert err == "", command
            assert "task.failed" in out or command[0] in ("runs", "check")
        else:
            assert out == ""
            assert err == "whence: cannot go on: the package lark is not installed; pip install 'whence[query]'\n"
