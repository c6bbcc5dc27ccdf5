"""A disk in trouble: the writer holds what it cannot write, says so, and goes on by itself when the disk is back."""

import logging
import os
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from build_archive import a_line, run_script, some_lines, stored_uids, uid_of
from build_disks import fill
from build_examples import often
from waiting import until
from whence.archive.reader import Archive
from whence.archive.verify import verify
from whence.archive.writer import ArchiveWriter, Durability, WriterOptions
from whence.errors import StorageError

QUICK = WriterOptions(Durability.DURABLE, probe_seconds=0.02, compress_over=None)


@pytest.mark.linux_root
def test_a_full_disk_is_waited_out(mount, caplog: pytest.LogCaptureFixture) -> None:
    """Lines are held while the disk is full and written in order, once each, when there is room again; cycle after cycle."""
    disk = mount("size=4m")
    writer = ArchiveWriter(disk / "archive", QUICK)
    n = 0
    with caplog.at_level(logging.WARNING, "whence.archive"):
        for _ in range(often(5, 50)):
            ballast = fill(disk)
            tickets = []
            for _ in range(30):
                tickets.append(writer.append("run", "logs", some_lines(3, first=n, size=50)))
                n += 3
            until(lambda: writer.status.state == "holding")
            assert "the disk is full" in (writer.status.reason or "")
            assert not writer.wait(tickets[-1], 0.01)
            for line in (disk / "archive").rglob("*.jsonl"):
                assert line.read_bytes()[-1:] in (b"\n", b""), "a part of a line is on a full disk"
            ballast.unlink()
            assert writer.wait(tickets[-1], 10)
            until(lambda: writer.status.state == "ok")
    assert writer.close().reason is None
    assert [int(uid) for uid in stored_uids(disk / "archive")] == list(range(n))
    assert verify(disk / "archive").ok
    told = [record.getMessage() for record in caplog.records if record.name == "whence.archive"]
    assert any("the disk is full" in text for text in told)
    assert len(told) <= 4, "one warning a change, rate-limited"


@pytest.mark.linux_root
def test_what_memory_cannot_hold_is_refused_and_counted(mount) -> None:
    """The backlog is bounded: the newest lines are refused with the reason, those held are written later."""
    disk = mount("size=256k")
    writer = ArchiveWriter(disk / "archive", WriterOptions(probe_seconds=0.02, hold_bytes=20_000))
    ballast = fill(disk)
    taken = refused = 0
    for n in range(100):
        try:
            writer.append("run", "logs", [a_line(str(n), size=1_000)])
            taken += 1
        except StorageError as cause:
            assert "the disk is full" in str(cause)
            refused += 1
    status = writer.status
    assert refused > 50
    assert status.refused_records == refused
    assert 0 < status.held_bytes <= 20_000
    ballast.unlink()
    assert writer.sync(10)
    assert writer.close().reason is None
    assert [int(uid) for uid in stored_uids(disk / "archive")] == list(range(taken))


@pytest.mark.linux_root
def test_told_to_refuse_nothing_is_held(mount) -> None:
    """With `on_trouble="refuse"` the caller hears of the trouble at once, and again when it is over."""
    disk = mount("size=256k")
    writer = ArchiveWriter(disk / "archive", WriterOptions(Durability.DURABLE, probe_seconds=0.02, on_trouble="refuse"))
    writer.append("run", "logs", [a_line("0")])
    ballast = fill(disk)
    with pytest.raises(StorageError, match="the disk is full"):
        for n in range(1, 2_000):
            writer.append("run", "logs", [a_line(str(n), size=1_000)])
    with pytest.raises(StorageError, match="the disk is full"):
        writer.append("run", "logs", [a_line("late")])
    ballast.unlink()
    until(lambda: writer.status.state == "ok")
    writer.append("run", "logs", [a_line("after")])
    assert writer.close().reason is None
    found = stored_uids(disk / "archive")
    assert found[-1] == "after"
    assert "late" not in found
    assert len(found) == len(set(found))


@pytest.mark.linux_root
def test_closing_on_a_full_disk_says_what_is_lost(mount) -> None:
    """Close gives up after its timeout and counts what only memory had."""
    disk = mount("size=128k")
    writer = ArchiveWriter(disk / "archive", QUICK)
    fill(disk)
    for line in some_lines(20, size=1_000):
        writer.append("run", "logs", [line])
    report = writer.close(timeout=0.2)
    assert report.records_unwritten > 0
    assert report.bytes_unwritten > 0
    assert "the disk is full" in (report.reason or "")
    found = stored_uids(disk / "archive")
    assert len(found) + report.records_unwritten == 20


@pytest.mark.linux_root
def test_a_disk_without_inodes_is_waited_out(mount) -> None:
    """No room for another file is a full disk too, also when it is so from the start."""
    disk = mount("size=1m,nr_inodes=8")
    writer = ArchiveWriter(disk / "archive", QUICK)
    ballast = []
    while True:
        try:
            ballast.append(disk / f"ballast-{len(ballast)}")
            ballast[-1].touch()
        except OSError:
            break
    ticket = writer.append("run", "logs", [a_line("1")])
    assert not writer.wait(ticket, 0.05)
    for file in ballast[:-1]:
        file.unlink()
    assert writer.wait(ticket, 10)
    writer.close()
    assert stored_uids(disk / "archive") == ["1"]


@pytest.mark.linux_root
def test_a_read_only_disk_is_waited_out(mount) -> None:
    """A file system that was remounted read-only, as after an error, is named; it goes on when it is writable again."""
    disk = mount("size=1m")
    archive = disk / "archive"
    writer = ArchiveWriter(
        archive, WriterOptions(Durability.DURABLE, probe_seconds=0.02, rotate_seconds=0.01, compress_over=None)
    )
    writer.append("run", "logs", [a_line("0")])
    until(lambda: writer.status.segments_open == 0 and writer.status.segments_waiting == 0)
    remount(disk, "ro")
    ticket = writer.append("run", "logs", [a_line("1")])
    until(lambda: writer.status.state == "holding")
    assert "read-only" in (writer.status.reason or "")
    with pytest.raises(StorageError, match="ead-only"):
        ArchiveWriter(archive)
    remount(disk, "rw")
    assert writer.wait(ticket, 10)
    assert writer.close().reason is None
    assert stored_uids(archive) == ["0", "1"]


def remount(disk: Path, mode: str) -> None:
    done = subprocess.run(["mount", "-o", f"remount,{mode}", str(disk)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot remount: {done.stderr.strip()}")


def test_a_deleted_directory_is_made_again(tmp_path: Path) -> None:
    """Writes into a deleted directory succeed and are worth nothing: it is noticed, and what was not synced is written anew."""
    archive = tmp_path / "archive"
    writer = ArchiveWriter(archive, QUICK)
    for n in range(5):
        writer.append("run", "logs", [a_line(f"{n}-before")], sync=True)
        assert writer.sync(10)
        shutil.rmtree(archive)
        ticket = writer.append("run", "logs", [a_line(f"{n}-after")])
        assert writer.wait(ticket, 10)
        assert f"{n}-after" in stored_uids(archive)
    assert writer.status.repairs >= 5
    assert writer.close().reason is None
    assert verify(archive).ok


def test_a_symbolic_link_in_the_place_of_a_group_is_not_followed(tmp_path: Path) -> None:
    """Somebody who swaps a folder for a link gets nothing written behind it: the link is moved aside, the folder made again."""
    archive, elsewhere = tmp_path / "archive", tmp_path / "elsewhere"
    elsewhere.mkdir()
    writer = ArchiveWriter(archive, QUICK)
    writer.append("run", "logs", [a_line("0")])
    assert writer.sync(10)
    shutil.rmtree(archive / "run")
    (archive / "run").symlink_to(elsewhere)
    assert writer.wait(writer.append("run", "logs", [a_line("1")]), 10)
    assert writer.close().reason is None
    assert list(elsewhere.iterdir()) == []
    assert not (archive / "run").is_symlink()
    assert stored_uids(archive) == ["1"]
    assert [path.name for path in archive.iterdir() if path.is_symlink()]


def test_an_archive_swapped_for_a_link_is_not_followed(tmp_path: Path) -> None:
    """The same for the archive's own directory: the writer waits until it is a directory again."""
    archive, elsewhere = tmp_path / "archive", tmp_path / "elsewhere"
    elsewhere.mkdir()
    writer = ArchiveWriter(archive, QUICK)
    shutil.rmtree(archive)
    archive.symlink_to(elsewhere)
    ticket = writer.append("run", "logs", [a_line("1")])
    until(lambda: writer.status.state == "holding")
    assert list(elsewhere.iterdir()) == []
    archive.unlink()
    assert writer.wait(ticket, 10)
    writer.close()
    assert stored_uids(archive) == ["1"]
    assert list(elsewhere.iterdir()) == []


def test_a_file_in_the_place_of_a_group_is_moved_aside(tmp_path: Path) -> None:
    """One odd file does not stop a run from being recorded, and is not destroyed."""
    (tmp_path / "run").write_text("mine")
    writer = ArchiveWriter(tmp_path, QUICK)
    assert writer.wait(writer.append("run", "logs", [a_line("1")]), 10)
    writer.close()
    assert stored_uids(tmp_path / "run") == ["1"]
    assert [path.read_text() for path in tmp_path.iterdir() if path.is_file()] == ["mine"]


def test_a_symbolic_link_to_the_archive_is_the_owners_choice(tmp_path: Path) -> None:
    """An archive reached by a link from the start is written where the link leads."""
    (tmp_path / "big-disk").mkdir()
    (tmp_path / "archive").symlink_to(tmp_path / "big-disk")
    writer = ArchiveWriter(tmp_path / "archive")
    writer.append("run", "logs", [a_line("1")])
    writer.close()
    assert stored_uids(tmp_path / "big-disk") == ["1"]


def test_a_file_size_limit_only_makes_more_files(tmp_path: Path) -> None:
    """Under RLIMIT_FSIZE a segment that reaches the limit is closed and the next one taken; no line is cut."""
    print(run_script("limited_writer.py", tmp_path / "archive", "fsize"))
    found = stored_uids(tmp_path / "archive")
    assert found == [str(n) for n in range(200)]
    assert verify(tmp_path / "archive").ok


def test_a_process_out_of_file_descriptors_goes_on_when_it_has_some(tmp_path: Path) -> None:
    """EMFILE is trouble like any other: held, named, and over when descriptors are free again."""
    print(run_script("limited_writer.py", tmp_path / "archive", "nofile"))
    assert stored_uids(tmp_path / "archive") == [str(n) for n in range(10)]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 20


def strace(*faults: str) -> list[str]:
    """The command that runs another with system calls failing for real, or a skip with the reason."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trial = subprocess.run(
        ["strace", "-f", "-qq", "-o", os.devnull, "true"], capture_output=True, text=True, check=False
    )
    if trial.returncode:
        pytest.skip(f"strace cannot trace here: {trial.stderr.strip()}")
    injected = [part for fault in faults for part in ("-e", f"inject={fault}")]
    return [
        "strace",
        "-f",
        "-qq",
        "-o",
        os.devnull,
        "-e",
        "trace=fdatasync,fsync,rename,renameat,renameat2,unlinkat",
        *injected,
    ]


@pytest.mark.parametrize(
    "fault",
    [
        "fdatasync:error=EIO:when=1",
        "fdatasync:error=EIO:when=2",
        "fdatasync:error=EIO:when=1..4",
        "fdatasync:error=ENOSPC:when=1+2",
        "fsync:error=EIO:when=3",
        "rename,renameat,renameat2:error=EIO:when=1",
        "unlinkat:error=EACCES:when=1+2",
    ],
)
def test_a_failed_sync_or_rename_costs_nothing(tmp_path: Path, fault: str) -> None:
    """The kernel itself is made to fail: unsynced lines go to a new file, and a file whose sync failed is not synced again."""
    script = Path(__file__).parent / "limited_writer.py"
    command = [*strace(fault), sys.executable, str(script), str(tmp_path / "archive"), "none"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found = [uid_of(line.data) for line in Archive(tmp_path / "archive").lines()]
    assert sorted(map(int, found)) == list(range(200))
    assert verify(tmp_path / "archive").ok
    if fault.startswith("fdatasync"):
        assert "failures=0" not in done.stdout


def test_appends_from_a_log_handler_of_the_warning_do_not_hang(tmp_path: Path) -> None:
    """The writer's own warning may come back to it through the program's logging: that must neither deadlock nor recurse."""
    archive, elsewhere = tmp_path / "archive", tmp_path / "elsewhere"
    writer = ArchiveWriter(archive, QUICK)
    told = threading.Event()

    class Back(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            writer.append("log", "logs", [a_line(f"told-{record.created}")])
            told.set()

    handler = Back()
    logging.getLogger("whence.archive").addHandler(handler)
    try:
        shutil.rmtree(archive)
        archive.symlink_to(elsewhere)
        ticket = writer.append("run", "logs", [a_line("1")])
        assert told.wait(90)
        archive.unlink()
        assert writer.wait(ticket, 10)
        assert writer.close().reason is None
    finally:
        logging.getLogger("whence.archive").removeHandler(handler)
    assert "1" in stored_uids(archive)
