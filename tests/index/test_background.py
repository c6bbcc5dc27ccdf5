"""Sidecars made beside the program: by another process when files are closed, by all cores on demand, whatever is killed."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import whence
from build import an_archive, an_event, append
from build_archive import DEFAULT, some_lines, write_archive
from build_examples import TORTURE
from waiting import until
from whence.archive import names
from whence.archive.reader import Archive, Segment
from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.cli.app import call
from whence.index import background
from whence.index.background import _build, begin_build, build_all, missing_sidecars
from whence.index.sidecar import load_note
from whence.record.settings import read_settings

DEADLINE = 60.0
SMALL = WriterOptions(rotate_bytes=60_000, compress_over=50_000)


def sealed(directory: Path, count: int = 8) -> Path:
    """An archive of closed segments of some size, one chain."""
    write_archive(directory, some_lines(count * 12, size=5_000), SMALL)
    assert len(missing_sidecars(directory)) >= count
    return directory


def segments_of(archive: Path) -> list[Segment]:
    return Archive(archive).segments()


def assert_answers(archive: Path) -> None:
    found, there = list(whence.open(archive).events()), list(Archive(archive).events())
    assert {event.id: event for event in found} == {event.id: event for event in there}
    assert len(found) == len(there)


def children() -> set[int]:
    """The processes that this one started, zombies included."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            found.update(map(int, path.read_text().split()))
    return found


# --- by all cores -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 3, None])
def test_every_sidecar_is_made_by_as_many_processes_as_are_asked_for(tmp_path: Path, processes: int | None) -> None:
    """The notes are those on disk, progress counts to the end, and no process is left."""
    archive = sealed(tmp_path / "x")
    segments = segments_of(archive)
    told: list[tuple[int, int]] = []
    notes = build_all(segments, processes, lambda done, of: told.append((done, of)))
    assert told == [(n, len(segments)) for n in range(1, len(segments) + 1)]
    for segment in segments:
        note = notes[segment.stem]
        assert note is not None and note == load_note(segment)
    assert missing_sidecars(archive) == []
    assert_answers(archive)


def test_a_program_without_a_guard_asks_with_threads_running(tmp_path: Path) -> None:
    """Its main module runs once; workers are no forks of it."""
    archive = sealed(tmp_path / "x")
    script = tmp_path / "unguarded.py"
    script.write_text(
        "import sys, threading\n"
        "print('begun')\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "from pathlib import Path\n"
        "from whence.index.background import build_all, missing_sidecars\n"
        "build_all(missing_sidecars(Path(sys.argv[1])), 2)\n"
        "print(len(missing_sidecars(Path(sys.argv[1]))))\n"
    )
    done = subprocess.run([sys.executable, str(script), str(archive)], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("begun\n0\n", "")


def test_a_worker_that_dies_costs_its_own_segment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are made; the one is not, and is made at the next look."""
    archive = sealed(tmp_path / "x")
    segments = segments_of(archive)
    victim = segments[3].stem
    deadly = (
        "import json, os, sys; sys.path[:] = json.loads(sys.argv[1])\n"
        "import whence.index.build as build\n"
        "real = build.build_sidecar\n"
        f"build.build_sidecar = lambda one: os.kill(os.getpid(), 9) if one.stem == {victim!r} else real(one)\n"
    )
    monkeypatch.setattr(background, "_BOOT", deadly + background._BOOT)
    notes = build_all(segments, 2)
    assert {stem for stem, note in notes.items() if note is None} == {victim}
    assert [segment.stem for segment in missing_sidecars(archive)] == [victim]
    assert_answers(archive)


def test_metrics_and_what_is_encrypted_are_left_alone(tmp_path: Path) -> None:
    """So is what is not sealed yet, and files of other writers."""
    archive = an_archive(tmp_path / "x", [an_event("a")])
    (archive / "other.jsonl").write_bytes(an_event("b").line)
    writer = ArchiveWriter(archive)
    append(writer, [an_event("c")])
    assert [segment.signal for segment in missing_sidecars(archive)] == ["logs"]
    (path,) = [path for path in archive.rglob("*.jsonl") if path.with_name(path.stem + names.SEALED).exists()]
    path.rename(path.with_name(path.stem + names.ENCRYPTED))
    assert missing_sidecars(archive) == []
    writer.close()


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_module_makes_what_is_missing_in_a_directory(tmp_path: Path) -> None:
    """A second time there is nothing to do."""
    archive = sealed(tmp_path / "x")
    command = [sys.executable, "-m", "whence.index.background", str(archive)]
    for _ in range(2):
        assert subprocess.run(command, timeout=120, check=False).returncode == 0
        assert missing_sidecars(archive) == []
    assert_answers(archive)


def test_it_gives_way_to_every_other_process(tmp_path: Path) -> None:
    """The lowest priority there is; its workers inherit it."""
    code = "import os, sys; from whence.index.background import main; main(sys.argv[1:]); print(os.nice(0))"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "19\n"


def test_only_one_is_at_an_archive(tmp_path: Path) -> None:
    """A second one leaves the work to the first."""
    archive = sealed(tmp_path / "x", 2)
    with background._alone(archive) as free:
        assert free
        assert _build(archive, 1) == 0
        assert missing_sidecars(archive)
    assert _build(archive, 1) == 0
    assert not missing_sidecars(archive)


def test_a_kill_at_any_moment_leaves_right_answers(tmp_path: Path) -> None:
    """SIGKILL to all of them while the n-th sidecar is being made; the next one makes the rest."""
    for n in range(6 if TORTURE else 3):
        archive = sealed(tmp_path / str(n), 6)
        command = [sys.executable, "-m", "whence.index.background", str(archive), "--processes", "2"]
        process = subprocess.Popen(command, start_new_session=True)
        deadline = time.monotonic() + DEADLINE
        while len(list(archive.rglob("*.index.*"))) <= 4 * n and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert_answers(archive)
        assert _build(archive, 1) == 0
        assert missing_sidecars(archive) == []
        assert_answers(archive)


# --- beside a program -------------------------------------------------------------------------------------------------


def test_closed_files_are_indexed_while_the_program_goes_on(tmp_path: Path) -> None:
    """By a process that is no zombie afterwards, though nobody asks about it."""
    options = WriterOptions(rotate_bytes=1_200_000, compress_over=None, on_sealed=begin_build)
    writer = ArchiveWriter(tmp_path / "x", options)
    lines = some_lines(200, size=10_000)
    for line in lines:
        writer.append("run", "logs", [line])
    until(lambda: list((tmp_path / "x").rglob("*" + names.INDEX_NOTE)))
    known = background._beside[(tmp_path / "x").resolve()]
    process = known.process
    assert process is not None
    until(lambda: process.pid not in children())
    writer.close()
    assert_answers(tmp_path / "x")


def test_the_end_of_a_program_starts_nothing(tmp_path: Path) -> None:
    """What closing seals is left to the first question."""
    told: list[int] = []
    options = WriterOptions(rotate_bytes=1 << 30, on_sealed=lambda root, closed: told.append(closed))
    writer = ArchiveWriter(tmp_path / "x", options)
    for line in some_lines(200, size=10_000):
        writer.append("run", "logs", [line])
    writer.close()
    assert writer.status.segments_sealed == 1
    assert told == []


def test_trouble_with_it_is_no_trouble_of_the_writer(tmp_path: Path) -> None:
    """What the hook raises is logged, and everything is sealed."""

    def fail(root: Path, closed: int) -> None:
        raise RuntimeError("no process to be had")

    writer = ArchiveWriter(tmp_path / "x", WriterOptions(rotate_bytes=1, on_sealed=fail))
    for line in some_lines(5):
        writer.append("run", "logs", [line])
    until(lambda: writer.status.segments_sealed >= 4)
    assert writer.close().segments_unsealed == 0


def test_little_is_left_to_the_first_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where nothing can be built, nothing is started."""
    monkeypatch.setattr(background, "_start", lambda *_, **__: pytest.fail("it was started"))
    begin_build(tmp_path, background.WORTHWHILE - 1)
    monkeypatch.setattr(background, "find_spec", lambda _: None)
    begin_build(tmp_path, 1 << 40)


def test_a_setting_says_no() -> None:
    """By variable as any other."""
    assert read_settings({}, {}).writer_options().on_sealed is begin_build
    assert read_settings({}, {"WHENCE_INDEX_CLOSED": "no"}).writer_options() == DEFAULT


@pytest.mark.parametrize("command", ["seal", "import"])
def test_commands_leave_the_index_to_a_process(tmp_path: Path, command: str) -> None:
    """They end at once; the sidecars are there soon after."""
    lines = [line.data for line in some_lines(300, size=10_000)]
    if command == "import":
        (tmp_path / "lines.jsonl").write_bytes(b"".join(lines))
        assert call(["import", str(tmp_path / "lines.jsonl"), "-a", str(tmp_path / "x")]) == 0
    else:
        write_archive(tmp_path / "x", some_lines(300, size=10_000))
        assert call(["seal", "-a", str(tmp_path / "x")]) == 0
    until(lambda: list((tmp_path / "x").rglob("*" + names.INDEX_NOTE)))


def test_recording_loads_nothing_that_makes_sidecars() -> None:
    """A light installation has none of it."""
    code = (
        "import sys, whence, whence.record.settings as s; s.read_settings({}, {}).writer_options();"
        "print([name for name in ('pyarrow', 'numpy', 'duckdb', 'lark', 'whence.index.build') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
