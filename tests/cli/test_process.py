"""The command as people run it: its own process, signals, pipes, a writer at work beside it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from build import a_run, a_span, an_archive, an_event, append
from build_cli import Ask
from whence.archive.writer import ArchiveWriter

WHENCE = [sys.executable, "-c", "from whence.cli import main; main()"]


def run_whence(*arguments: object, **options: object) -> "subprocess.CompletedProcess[bytes]":
    """The real entry point, to its end."""
    return subprocess.run([*WHENCE, *map(str, arguments)], capture_output=True, timeout=60, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def tail(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`whence tail --json --from-start` of an archive that does not exist yet."""
    command = [*WHENCE, "tail", "-a", str(tmp_path / "x"), "--json", "--from-start"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def next_lines(process: "subprocess.Popen[bytes]", count: int) -> list[str]:
    """The types of the next `count` events that the process prints; fails after two minutes."""
    found: list[str] = []
    rest = b""
    deadline = time.monotonic() + 120
    assert process.stdout is not None
    while len(found) < count:
        assert time.monotonic() < deadline, f"only {found} came"
        if select.select([process.stdout], [], [], 0.1)[0]:
            rest += os.read(process.stdout.fileno(), 1 << 16)
            *lines, rest = rest.split(b"\n")
            found += [json.loads(line)["type"] for line in lines]
    assert rest == b""
    return found


def test_the_entry_point_answers_and_exits_with_the_commands_code(tmp_path: Path) -> None:
    """0 done, 1 no, 2 usage; UTF-8 whatever the locale."""
    an_archive(tmp_path, [an_event("größe", "nowhere", description="→ 日本")])
    log = run_whence("log", "-a", tmp_path, env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert log.returncode == 0 and b"gr\\xf6\\xdfe" in log.stdout
    assert "größe" in run_whence("log", "-a", tmp_path, env={**os.environ, "PYTHONIOENCODING": "utf-8"}).stdout.decode()
    assert run_whence("check", "-a", tmp_path).returncode == 1
    assert run_whence("log", "--bogus").returncode == 2
    assert run_whence().stdout.startswith(b"Usage: whence")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """`whence log | head -1` is quiet."""
    an_archive(tmp_path, [an_event(f"event-{n}", description="x" * 500) for n in range(1000)])
    process = subprocess.Popen([*WHENCE, "log", "-a", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(90) == 141


def test_tail_shows_events_of_all_processes_as_they_come_across_sealing(
    tmp_path: Path, tail: "subprocess.Popen[bytes]"
) -> None:
    """Once each, from an archive that is made after it started, until Ctrl-C, which is quiet."""
    with_one, with_other = ArchiveWriter(tmp_path / "x"), ArchiveWriter(tmp_path / "x")
    append(with_one, [an_event("one")])
    assert next_lines(tail, 1) == ["one"]
    append(with_other, [an_event("two"), a_span("three", span="a" * 16)])
    assert sorted(next_lines(tail, 2)) == ["three", "two"]
    with_one.close()
    with_other.close()
    an_archive(tmp_path / "x", [an_event("four")])
    assert next_lines(tail, 1) == ["four"]
    tail.send_signal(signal.SIGINT)
    assert tail.wait(90) == 130
    assert tail.stderr is not None and tail.stderr.read().count(b"\n") <= 1


def test_tail_shows_what_a_filter_lets_through(tmp_path: Path) -> None:
    """Beside the named options, event by event; a value that is missing matches nothing."""
    command = [
        *WHENCE,
        "tail",
        "payload.size > 5 OR boom",
        "--agent",
        "a",
        "-a",
        str(tmp_path / "x"),
        "--json",
        "--from-start",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        an_archive(
            tmp_path / "x",
            [
                an_event("small", agent="a", payload={"size": 1}),
                an_event("big", agent="a", payload={"size": 9}),
                an_event("foreign", agent="b", payload={"size": 9}),
                an_event("none", agent="a"),
                an_event("boom", agent="a"),
            ],
        )
        assert next_lines(process, 2) == ["big", "boom"]
    finally:
        process.kill()
        process.communicate()


def test_a_run_being_written_is_running_until_its_writer_is_killed(tmp_path: Path, whence: Ask) -> None:
    """The lock of its file tells, not a guess by age; what was torn is set aside by `seal`, and no event lost."""
    script = (
        "import sys, build; from pathlib import Path; from whence.archive.writer import ArchiveWriter\n"
        "writer = ArchiveWriter(Path(sys.argv[1]))\n"
        "build.append(writer, build.a_run(build.an_event('task.started', task='a'), finished=False))\n"
        "print('written', flush=True); sys.stdin.read()"
    )
    where = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "x")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": where},
    )
    assert process.stdout is not None and process.stdout.readline() == b"written\n"
    assert [run["state"] for run in whence("runs", "-a", tmp_path / "x", "--json").json_lines] == ["running"]
    assert "is running" in whence("last", "-a", tmp_path / "x").out
    assert "it is being written" in whence("seal", "-a", tmp_path / "x").out
    assert whence("verify", "-a", tmp_path / "x").code == 0

    process.kill()
    process.communicate()
    (segment,) = (tmp_path / "x").rglob("*.jsonl")
    segment.write_bytes(segment.read_bytes() + b'{"resourceLogs":[{"torn')
    assert [run["state"] for run in whence("runs", "-a", tmp_path / "x", "--json").json_lines] == ["crashed"]
    last = whence("last", "-a", tmp_path / "x", "--json").json
    assert last["state"] == "crashed" and [event["type"] for event in last["open"]] == ["task.started"]
    repairs = whence("seal", "-a", tmp_path / "x", "--json")
    assert [repair["kind"] for repair in repairs.json_lines] == ["torn", "sealed", "compressed"] and repairs.code == 0
    assert whence("seal", "-a", tmp_path / "x").out == "nothing to do\n"
    assert whence("verify", "-a", tmp_path / "x").code == 0
    assert len(whence("log", "-a", tmp_path / "x", "--json").json_lines) == 2


def test_verify_names_every_fault_and_its_place(tmp_path: Path, whence: Ask) -> None:
    """A changed byte of a sealed file, a line that is no OTLP in another writer's."""
    an_archive(tmp_path, a_run(an_event("step", description="original")))
    sound = whence("verify", "-a", tmp_path)
    assert sound.code == 0 and "1 sealed: 3 records" in sound.out and sound.err == ""
    (segment,) = tmp_path.rglob("*.jsonl")
    segment.write_bytes(segment.read_bytes().replace(b"original", b"0riginal"))
    (tmp_path / "other.jsonl").write_bytes(an_event().line + b'{"no": "otlp"}\n')
    answer = whence("verify", "-a", tmp_path, "--json")
    assert answer.code == 1 and not answer.json["ok"]
    assert sorted(problem["kind"] for problem in answer.json["problems"]) == ["bad line", "changed"]
    text = whence("verify", "-a", tmp_path)
    assert text.code == 1 and "other at byte" in text.out and "2 faults" in text.err


def test_a_follower_of_a_file_is_told_so(tmp_path: Path, whence: Ask) -> None:
    """Only a directory can be followed."""
    (tmp_path / "file").touch()
    answer = whence("tail", "-a", tmp_path / "file")
    assert answer.code == 2 and answer.err.count("\n") == 1


def test_reading_commands_do_not_load_the_sdk(tmp_path: Path) -> None:
    """What only reads starts fast."""
    an_archive(tmp_path, [an_event()])
    script = (
        "import sys; from whence.cli.app import call; code = call(sys.argv[1:]);"
        "print({'opentelemetry', 'opentelemetry.sdk', 'rich.console'} & set(sys.modules), file=sys.stderr)"
    )
    for command in ("log", "runs", "check", "last", "verify"):
        done = subprocess.run(
            [sys.executable, "-c", script, command, "-a", str(tmp_path)], capture_output=True, timeout=60
        )
        assert done.stderr == b"set()\n", command
