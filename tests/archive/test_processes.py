"""Several processes and forks at one archive: each writes its own files, and the dead ones' are put right by the living."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from build_archive import a_line, run_script, some_lines, stored_uids, write_archive
from build_examples import often
from whence.archive.recovery import recover
from whence.archive.verify import verify
from whence.archive.writer import ArchiveWriter, Durability, WriterOptions
from whence.errors import NotFoundError


def in_child(work: Callable[[], None]) -> int:
    """Run work in a forked child that ends without cleaning up; its exit status, 0 if it did not raise."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


@pytest.mark.parametrize("durability", list(Durability))
def test_a_forked_child_starts_its_own_files(tmp_path: Path, durability: Durability) -> None:
    """What the parent holds unsynced is not written twice; the child's lines are in files with its own pid; both go on."""
    writer = ArchiveWriter(tmp_path, WriterOptions(durability, sync_seconds=60, rotate_bytes=1_000, compress_over=None))
    for line in some_lines(10):
        writer.append("run", "logs", [line])

    def work() -> None:
        for n in range(10):
            writer.append("run", "logs", [a_line(f"child-{n}")])
        assert writer.sync(20)
        assert writer.close(60).reason is None

    assert in_child(work) == 0
    for line in some_lines(10, first=10):
        writer.append("run", "logs", [line])
    assert writer.close().reason is None
    found = stored_uids(tmp_path)
    assert sorted(found) == sorted([*map(str, range(20)), *(f"child-{n}" for n in range(10))])
    assert verify(tmp_path).ok
    pids = {path.name.split(".")[2] for path in tmp_path.rglob("*.jsonl")}
    assert len(pids) == 2


def test_a_child_that_never_writes_leaves_the_parents_lock_alone(tmp_path: Path) -> None:
    """A parent's files are locked while it lives, whatever its children do, and free when it is dead, though a child lives."""
    reading, writing = os.pipe()
    grandchild_pid = tmp_path / "pid"

    def parent() -> None:
        writer = ArchiveWriter(tmp_path / "archive")
        writer.append("run", "logs", some_lines(3))
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)  # lives until the test ends
            os._exit(0)
        grandchild_pid.write_text(str(child))
        assert recover(tmp_path / "archive") == []

    try:
        assert in_child(parent) == 0
        assert os.kill(int(grandchild_pid.read_text()), 0) is None
        assert [repair.kind for repair in recover(tmp_path / "archive")] == ["sealed"]
    finally:
        os.close(writing)
        os.close(reading)


def test_forks_while_threads_write_neither_hang_nor_repeat(tmp_path: Path) -> None:
    """A fork at any moment of other threads' writing: children write at once, nothing is lost or doubled."""
    writer = ArchiveWriter(tmp_path, WriterOptions(Durability.DURABLE, rotate_bytes=100_000))
    stop = threading.Event()
    counts = [0, 0]

    def write(thread: int) -> None:
        while not stop.is_set():
            writer.append(f"group-{thread}", "logs", [a_line(f"{thread}-{counts[thread]}", size=200)])
            counts[thread] += 1

    threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    rounds = often(15, 100)
    for n in range(rounds):

        def work(n: int = n) -> None:
            ticket = writer.append("run", "logs", [a_line(f"child-{n}")])
            assert writer.wait(ticket, 20)

        assert in_child(work) == 0
    stop.set()
    for thread in threads:
        thread.join()
    assert writer.close(60).reason is None
    recover(tmp_path)
    found = stored_uids(tmp_path)
    assert len(found) == len(set(found)) == sum(counts) + rounds
    assert verify(tmp_path).ok


def test_many_processes_write_one_archive(tmp_path: Path) -> None:
    """Started at once, recovering and writing at once: no line is lost, mixed with another or there twice."""
    script = "\n".join(
        [
            "import sys; from pathlib import Path; from build_archive import a_line",
            "from whence.archive.writer import ArchiveWriter, WriterOptions",
            "w = ArchiveWriter(Path(sys.argv[1]), WriterOptions(rotate_bytes=20_000, compress_over=10_000))",
            "for n in range(300): w.append('run', 'logs', [a_line(f'{sys.argv[2]}-{n}', size=n)])",
            "w.close(30) if sys.argv[2] in '02' else w.sync(30)",
        ]
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", script, str(tmp_path)]
    processes = [subprocess.Popen([*command, str(n)], env=environment) for n in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    recover(tmp_path)
    found = stored_uids(tmp_path)
    assert len(found) == len(set(found)) == 1_200
    report = verify(tmp_path)
    assert report.ok, report.problems
    assert not report.unsealed


def test_leftovers_of_a_dead_writer_are_sealed_by_the_next(tmp_path: Path) -> None:
    """Starting is enough: no command, no human; a living writer's files are left alone."""
    living = ArchiveWriter(tmp_path)
    living.append("living", "logs", [a_line("living")])

    def die() -> None:
        writer = ArchiveWriter(tmp_path, WriterOptions(rotate_bytes=1_000, compress_over=None))
        for line in some_lines(20, size=100):
            writer.append("dead", "logs", [line])
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(die) == signal.SIGKILL
    ArchiveWriter(tmp_path).close()
    assert verify(tmp_path).unsealed == [f"living/{path.stem}" for path in (tmp_path / "living").glob("*.jsonl")]
    living.close()
    assert verify(tmp_path).ok
    assert sorted(stored_uids(tmp_path)) == sorted(["living", *map(str, range(20))])


def test_recoveries_at_once_do_each_thing_once(tmp_path: Path) -> None:
    """Several processes and threads recovering together: one of them does each repair, the archive ends whole."""

    def die() -> None:
        writer = ArchiveWriter(tmp_path, WriterOptions(rotate_bytes=2_000, compress_over=None))
        for line in some_lines(60, size=100):
            writer.append("dead", "logs", [line])
        os.kill(os.getpid(), signal.SIGKILL)

    for _ in range(often(3, 10)):
        assert in_child(die) == signal.SIGKILL
        repairs: list[list[str]] = []

        def repair(repairs: list[list[str]] = repairs) -> None:
            repairs.append([done.segment for done in recover(tmp_path, compress_over=0) if done.kind == "sealed"])

        threads = [threading.Thread(target=repair) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        recover(tmp_path, compress_over=0)
        sealed = [segment for found in repairs for segment in found]
        assert len(sealed) == len(set(sealed))
        report = verify(tmp_path)
        assert report.ok, report.problems
        assert not report.unsealed


def test_recovering_changes_no_file_of_others(tmp_path: Path) -> None:
    """A foreign file, even torn, and a foreign directory are not ours to repair; no directory is an error."""
    (tmp_path / "x.jsonl").write_bytes(a_line("1").data + b'{"torn')
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt.tmp").write_text("mine")
    assert recover(tmp_path) == []
    assert (tmp_path / "x.jsonl").read_bytes().endswith(b'{"torn')
    assert (tmp_path / "folder" / "notes.txt.tmp").read_text() == "mine"
    with pytest.raises(NotFoundError):
        recover(tmp_path / "nowhere")


def test_an_unchanged_archive_is_not_touched_by_recovery(tmp_path: Path) -> None:
    """Recovering what is whole writes nothing."""
    write_archive(tmp_path, some_lines(50, size=100), WriterOptions(rotate_bytes=3_000, compress_over=2_000))
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tmp_path.rglob("*")}
    assert recover(tmp_path, compress_over=2_000) == []
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tmp_path.rglob("*")} == before


def test_the_interpreter_may_end_without_close(tmp_path: Path) -> None:
    """A program that forgets to close ends quietly, with every line on disk."""
    print(run_script("forgetful_writer.py", tmp_path))
    assert stored_uids(tmp_path) == [str(n) for n in range(1_000)]
