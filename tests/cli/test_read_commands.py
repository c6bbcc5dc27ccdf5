"""`runs`, `log`, `show`, `errors`: reading what an archive has."""

import re
from pathlib import Path

import pytest

from build import START, a_run, a_span, an_archive, an_event
from build_cli import Ask
from whence.event.kinds import Severity

SECOND = 1_000_000_000


def test_runs_lists_each_run_with_its_state(tmp_path: Path, whence: Ask) -> None:
    """Finished, crashed and unknown; counts; oldest first."""
    error = an_event("boom", run="b", severity=Severity.ERROR)
    events = [*a_run(an_event(run="a"), run="a"), *a_run(error, run="b", finished=False), an_event(run="c")]
    an_archive(tmp_path / "x", events)
    answer = whence("runs", "-a", tmp_path / "x", "--json")
    assert answer.code == 0 and answer.err == ""
    found = {run["run"]: run for run in answer.json_lines}
    assert {id: (run["state"], run["events"], run["errors"]) for id, run in found.items()} == {
        "a": ("finished", 3, 0), "b": ("crashed", 2, 1), "c": ("unknown", 1, 0),
    }  # fmt: skip
    text = whence("runs", "-a", tmp_path / "x").out.splitlines()
    assert len(text) == 4 and text[0].startswith("run ") and "crashed" in text[2] and "tests" in text[2]


def test_log_is_in_order_of_time_then_id_over_all_files(tmp_path: Path, whence: Ask) -> None:
    """However the events lie in the files."""
    events = [
        an_event(f"t{n}", id=f"01KDV{n:021d}", time=START + time, run=f"r{n % 2}")
        for n, time in enumerate((9, 5, 5, 1))
    ]
    an_archive(tmp_path, events)
    assert [event["type"] for event in whence("log", "-a", tmp_path, "--json").json_lines] == ["t3", "t1", "t2", "t0"]
    assert [event["type"] for event in whence("log", "-a", tmp_path, "--json", "--tail", 2).json_lines] == ["t2", "t0"]
    assert [event["type"] for event in whence("log", "-a", tmp_path, "--json", "--limit", 2).json_lines] == ["t3", "t1"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--type", "task.*"], ["task.started", "task.failed"]),
        (["--type", "task.*", "--type", "price"], ["task.started", "price", "task.failed"]),
        (["--kind", "state"], ["price"]),
        (["--agent", "b"], ["task.failed"]),
        (["--task", "t1"], ["task.started"]),
        (["--correlation", "order-7"], ["price"]),
        (["--turn", "2"], ["price"]),
        (["--turn", "2.."], ["price", "task.failed"]),
        (["--severity", "warn"], ["task.failed"]),
        (["--run", "other"], ["elsewhere"]),
        (["--run", "run-1", "--since", "2026-01-01T00:00:02Z", "--until", "2026-01-01T00:00:03Z"], ["price", "task.failed"]),
        (["--type", "nothing"], []),
    ],
)  # fmt: skip
def test_log_shows_what_every_condition_lets_through(
    tmp_path: Path, whence: Ask, options: list[str], found: list[str]
) -> None:
    """Conditions are joined by and, repeated ones by or."""
    an_archive(
        tmp_path,
        [
            an_event("task.started", time=START + SECOND, agent="a", turn=1, kind="action", task="t1"),
            an_event("price", time=START + 2 * SECOND, agent="a", turn=2, kind="state", correlation="order-7"),
            an_event("task.failed", time=START + 3 * SECOND, agent="b", turn=3, severity=Severity.ERROR),
            an_event("elsewhere", time=START + 9 * SECOND, run="other"),
        ],
    )
    answer = whence("log", "-a", tmp_path, "--json", *options)
    assert [event["type"] for event in answer.json_lines] == found and answer.code == 0


def test_a_line_of_the_log_tells_the_event(tmp_path: Path, whence: Ask) -> None:
    """When, what kind, whose, what type, what changed, how many causes."""
    cause = an_event("start", time=START, elapsed_ns=0)
    change = {"variable_name": "price", "old_value": 3, "new_value": 5}
    event = an_event("price", cause, kind="state", agent="a7", task="sell", payload=change, time=START + SECOND)
    an_archive(tmp_path, [event, cause])
    lines = whence("log", "-a", tmp_path).out.splitlines()
    assert lines[1].split() == ["+1.000000s", "=", "a7/sell", "price", "price", "3", "->", "5", "←1"]


def test_show_gives_the_whole_event_and_its_neighbours(tmp_path: Path, whence: Ask) -> None:
    """By a unique end of its id; recorded and inferred neighbours marked."""
    span = a_span(span="a" * 16)
    cause = an_event("cause", "nowhere")
    event = an_event("event", cause, span="a" * 16, description="two\nlines", payload={"k": [1, {"d": None}]})
    effect = an_event("effect", event)
    an_archive(tmp_path, [effect, event, cause, span])
    shown = whence("show", event.id[-6:], "-a", tmp_path, "--json").json
    assert shown["event"]["id"] == event.id and shown["event"]["payload"] == {"k": [1, {"d": None}]}
    assert shown["causes"] == [
        {"id": cause.id, "basis": "recorded", "recorded": True},
        {"id": span.id, "basis": "enclosing_span", "recorded": False},
    ]
    assert shown["effects"] == [{"id": effect.id, "basis": "recorded", "recorded": True}]
    text = whence("show", event.id, "-a", tmp_path).out
    assert "    two\n    lines\n" in text and f"╌▶ {span.id}" in text and f"─▶ {effect.id}" in text
    assert "nowhere in this archive" in whence("show", cause.id, "-a", tmp_path).out


def test_an_id_that_fits_several_events_or_none_is_refused(tmp_path: Path, whence: Ask) -> None:
    """Never is one picked by chance."""
    an_archive(tmp_path, [an_event(id="01KDVAAA"), an_event(id="01KDVBBB")])
    several = whence("show", "01KDV", "-a", tmp_path)
    assert several.code == 2 and "fits 2 events" in several.err and several.out == ""
    for text in ("zzz", ""):
        none = whence("show", text, "-a", tmp_path)
        assert none.code == 1 and none.err.count("\n") == 1 and none.out == ""
    other_run = whence("show", "01KDVAAA", "-a", tmp_path, "--run", "else")
    assert other_run.code == 1


def test_errors_puts_like_ones_together_with_their_root_cause(tmp_path: Path, whence: Ask) -> None:
    """The most frequent first; failed spans are errors too."""
    root = an_event("disk.full", description="no room")
    step = an_event("step", root)
    failures = [
        an_event("write", step, severity=Severity.ERROR, attributes={"exception.message": "ENOSPC"}, agent=f"a{n}")
        for n in range(3)
    ]
    an_archive(tmp_path, [root, step, *failures, a_span("GET /", span="a" * 16, failed="500"), an_event("fine")])
    groups = whence("errors", "-a", tmp_path, "--json").json_lines
    assert [(group["type"], group["message"], group["count"]) for group in groups] == [
        ("write", "ENOSPC", 3), ("GET /", "500", 1),
    ]  # fmt: skip
    assert [event["id"] for event in groups[0]["roots"]] == [root.id] and groups[1]["roots"] == []
    text = whence("errors", "-a", tmp_path).out
    assert "3×  write  ENOSPC" in text and "root cause: disk.full" in text
    assert whence("errors", "-a", tmp_path, "--run", "none such").out == "no errors\n"


@pytest.mark.parametrize("command", [["runs"], ["log"], ["show", "x"], ["why", "x"], ["effects", "x"], ["check"],
                                     ["errors"], ["last"], ["verify"], ["seal"]])  # fmt: skip
def test_where_there_is_no_archive_every_command_says_so(tmp_path: Path, whence: Ask, command: list[str]) -> None:
    """In one line on standard error, with exit code 1."""
    answer = whence(*command, "-a", tmp_path / "nowhere")
    assert answer.code == 1 and answer.out == ""
    assert answer.err.count("\n") == 1 and "nowhere" in answer.err and "Traceback" not in answer.err


def test_an_archive_that_is_a_file_is_no_archive(tmp_path: Path, whence: Ask) -> None:
    """And is not read as one."""
    (tmp_path / "file").write_text("hello")
    answer = whence("runs", "-a", tmp_path / "file")
    assert answer.code in (1, 3) and answer.err.count("\n") == 1


def test_an_empty_archive_has_empty_answers(tmp_path: Path, whence: Ask) -> None:
    """Nothing recorded is not an error."""
    assert whence("log", "-a", tmp_path).out == ""
    assert whence("runs", "-a", tmp_path, "--json").out == ""
    assert whence("check", "-a", tmp_path).code == 0
    assert whence("last", "-a", tmp_path).code == 1


def test_damaged_places_are_counted_on_standard_error(tmp_path: Path, whence: Ask) -> None:
    """They hide nothing, and the answer stays clean."""
    directory = tmp_path / "run-1"
    directory.mkdir()
    good, better = an_event("good"), an_event("better")
    (directory / "logs-other.jsonl").write_bytes(good.line + b"\x00garbage}{\n" + better.line + b'{"torn')
    answer = whence("log", "-a", tmp_path, "--json")
    assert [event["type"] for event in answer.json_lines] == ["good", "better"]
    assert answer.code == 0 and answer.err.count("\n") == 1 and "whence verify" in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["log", "--turn", "x"],
        ["log", "--since", "yesterday"],
        ["log", "--severity", "loud"],
        ["log", "--kind", "fun"],
        ["log", "--limit", "-1"],
        ["log", "--limit", "1", "--tail", "1"],
        ["runs", "unexpected"],
        ["log", "one", "two"],
        ["show"],
        ["why", "x", "--recorded", "--all"],
        ["why", "x", "--depth", "0"],
        ["check", "--ignore", "everything"],
        ["check", "--tolerance", "soon"],
        ["import"],
        ["no-such-command"],
        ["--no-such-option"],
    ],
)
def test_wrong_usage_is_told_in_one_line(tmp_path: Path, whence: Ask, arguments: list[str]) -> None:
    """Exit code 2, nothing on standard output, and where to read on."""
    target = [] if arguments[0].startswith("--no") else ["-a", str(tmp_path)]
    answer = whence(*arguments, *(target if arguments[0] != "no-such-command" else []))
    assert answer.code == 2 and answer.out == ""
    assert answer.err.startswith("whence: ") and answer.err.count("\n") == 1 and "--help" in answer.err


@pytest.mark.parametrize("command", [["runs"], ["log"], ["errors"], ["check"], ["last"], ["why", "01KDVAAA"]])
def test_colour_changes_nothing_but_colour(
    tmp_path: Path, whence: Ask, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """A pipe gets none of it; where it is forced, taking it away gives the same text."""
    error = an_event("boom", "gone", kind="decision", severity=Severity.ERROR, description="\x1b[2Jgotcha")
    an_archive(tmp_path, a_run(error, an_event("after", error, id="01KDVAAA", kind="state"), finished=False))
    plain = whence(*command, "-a", tmp_path).out
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = whence(*command, "-a", tmp_path).out
    assert "\x1b" not in plain and "\x1b[" in coloured
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert whence(*command, "-a", tmp_path).out == plain


def test_log_counts(tmp_path: Path, whence: Ask) -> None:
    """`--count` answers with a number and nothing else, after the same conditions."""
    an_archive(tmp_path, [an_event("e", agent="a"), an_event("e", agent="a"), an_event("e", agent="b")])
    assert whence("log", "-a", tmp_path, "--count", "--agent", "a").out == "2\n"


@pytest.mark.parametrize("command", [[], ["runs"], ["run"]])
def test_a_short_option_shows_the_help_too(command: list[str], whence: Ask) -> None:
    """`-h` is what many type first."""
    told = whence(*command, "--help")
    assert told.code == 0 and "-h, --help" in told.out
    assert whence(*command, "-h") == told
