"""Every reading command says the same out of the index as it does line after line."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from build import START, TRACE, Built, a_run, a_span, an_archive, an_event
from build_cli import Answer, Ask
from build_examples import TORTURE, often
from whence.event.kinds import Severity

MINUTE = 60_000_000_000
LOG = [
    ["log"],
    ["log", "--run", "run-1"],
    ["log", "--run", "none such"],
    ["log", "--limit", "7"],
    ["log", "--tail", "7"],
    ["log", "--tail", "5", "--run", "run-0"],
    ["log", "--limit", "0"],
    ["log", "--count"],
    ["log", "--count", "--type", "task.*", "--type", "turn_start"],
    ["log", "--kind", "decision", "--kind", "state", "--agent", "a1", "--agent", "a2"],
    ["log", "--turn", "2..4", "--severity", "warn"],
    ["log", "--since", "2026-01-01T00:01:00Z", "--until", "2026-01-01T02:00:00Z"],
    ["log", "--task", "t1", "--correlation", "c1", "--correlation", "c2"],
    ["log", "--trace", TRACE],
    ["log", "payload.size > 5 AND NOT agent = 'a1'"],
    ["log", "boom OR type LIKE 'task.*'", "--run", "run-1"],
]
OTHERS = [
    ["runs"],
    ["last"],
    ["last", "--run", "run-1", "-n", "3"],
    ["errors"],
    ["errors", "--run", "run-0", "--limit", "2"],
    ["errors", "agent = 'a1' OR signal = 'span'"],
    ["stats"],
    ["stats", "--by", "agent", "--hourly"],
    ["stats", "--by", "severity", "severity >= INFO"],
    ["stats", "--by", "minute", "--run", "run-1"],
    ["stats", "--by", "turn", "--limit", "2"],
    ["stats", "agent = 'none such'"],
    ["correlations"],
    ["correlations", "--limit", "1", "severity >= INFO"],
    ["check"],
    ["export", "-", "-f", "csv", "--severity", "warn"],
    ["export", "-", "-f", "otlp", "--where", "agent = 'a1'"],
    ["export", "-", "-f", "jsonl"],
]


def a_muddle(seed: int) -> Iterator[Built]:
    """Some runs, finished and not, of every kind of event: errors, spans, causes that are nowhere, times that tie."""
    chance = random.Random(seed)
    for number in range(chance.choice((1, 3))):
        run = f"run-{number}"
        events: list[Built] = []
        for n in range(60):
            span = chance.choice("abc") * 16
            time = START + chance.randrange(4) * 17 * MINUTE + chance.randrange(30)
            if n % 9 == 4:
                events.append(
                    a_span(
                        f"work {n % 2}",
                        span=f"{number:08x}{n:08x}",
                        parent=chance.choice((None, span)),
                        run=run,
                        time=time,
                        took=chance.randrange(1, 10**10),
                        failed=chance.choice((None, None, "500", "timed out")),
                    )
                )
                continue
            type = chance.choice(
                ["task.started", "task.completed", "task.failed", "turn_start", "turn_end", "note", ""]
            )
            fields = {
                "kind": chance.choice([None, "decision", "state"]),
                "agent": chance.choice([None, "a1", "a2", "a3"]),
                "task": chance.choice([None, "t1", "t2"]),
                "turn": chance.choice([None, 1, 2, 3, 4]),
                "correlation": chance.choice([None, None, "c1", "c2", "c3"]),
                "elapsed_ns": chance.choice([None, time - START]),
            }
            message = chance.choice([None, "boom", "no room", 7, 1.5])
            events.append(
                an_event(
                    type,
                    *chance.choices([*events[-5:], "nowhere"], k=chance.choice((0, 1, 1, 2)) if events else 0),
                    run=run,
                    time=time,
                    severity=chance.choice([Severity.INFO, Severity.WARN, Severity.ERROR]),
                    span=chance.choice((None, None, span)),
                    description=chance.choice([None, "what happened"]),
                    payload=chance.choice([None, {"size": n, "error": message}]),
                    attributes=chance.choice([None, {"exception.message": message, "exception.type": "OSError"}]),
                    uid=n % 7 != 3,
                    **fields,
                )
            )
        events.append(events[0])  # a line written twice is one event
        yield from a_run(*events, run=run, finished=chance.random() < 0.5) if chance.random() < 0.7 else events


@pytest.fixture
def ask_both(whence: Ask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Asks without the index and then with it; both must say the same."""

    def ask(*arguments: object) -> Answer:
        monkeypatch.setattr("whence.cli.reading.INDEXED_BYTES", 1 << 60)
        without = whence(*arguments)
        monkeypatch.setattr("whence.cli.reading.INDEXED_BYTES", 0)
        assert whence(*arguments) == without, arguments
        return without

    yield ask


@pytest.mark.parametrize(("seed", "form"), [(0, ()), (1, ("--json",)), (2, ()), (3, ("--json",))])
def test_any_archive_is_told_the_same(tmp_path: Path, ask_both: Ask, seed: int, form: tuple[str, ...]) -> None:
    """For people and for programs, whatever was recorded, from the first byte to the exit code.

    Here every second question of two archives and the rest of two others; in the long version all questions of each.
    """
    archive = an_archive(tmp_path / "archive", a_muddle(seed))
    asked = [*LOG, *OTHERS] if TORTURE else [*LOG, *OTHERS][seed // 2 :: 2]
    for command in asked:
        json = () if command[0] == "export" or "--count" in command else form
        assert ask_both(*command, *json, "-a", archive).code in (0, 1)
    ids = [event["id"] for event in ask_both("log", "-a", archive, "--json").json_lines]
    for command in ("why", "effects", "show"):
        for id in random.Random(seed).choices(ids, k=often(1, 3)):
            assert ask_both(command, id, "-a", archive, *form).code == 0


def test_damage_is_told_the_same(tmp_path: Path, ask_both: Ask) -> None:
    """What was skipped is counted once, and hides nothing."""
    directory = tmp_path / "run-1"
    directory.mkdir()
    (directory / "logs-other.jsonl").write_bytes(an_event("good").line + b"\x00garbage}{\n" + an_event("better").line)
    for command in ("log", "runs", "errors", "stats", "check", "last", "correlations"):
        answer = ask_both(command, "-a", tmp_path)
        assert answer.code == 0 and answer.err.count("\n") == 1 and "whence verify" in answer.err


def test_a_long_log_is_told_the_same_as_a_short_one(
    tmp_path: Path, ask_both: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many events are held before it is asked how far they reach: times are elapsed, or of the clock."""
    events = [an_event("step", time=START + n * MINUTE, elapsed_ns=n * MINUTE or None) for n in range(100)]
    archive = an_archive(tmp_path / "archive", events)
    short = ask_both("log", "-a", archive)
    monkeypatch.setattr("whence.cli.indexed._HELD", 10)
    assert ask_both("log", "-a", archive) == short and "+1:39:00.000000" in short.out
    an_archive(archive, [an_event("elsewhere", run="other", time=START + 200 * MINUTE)])
    assert "+49:00.000000" in ask_both("log", "-a", archive, "--limit", 50).out
    assert "2026-01-01 01:39:00.000000" in ask_both("log", "-a", archive).out
