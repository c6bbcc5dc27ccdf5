"""The writer when all is well: what is appended is on disk, in order, in files of the promised sizes, sealed at the end."""

import gc
import os
import signal
import threading
from pathlib import Path

import pytest

from build_archive import a_line, some_lines, stored_uids, uid_of, write_archive
from waiting import until
from whence.archive import names
from whence.archive.reader import Archive
from whence.archive.terms import rotation_due, sync_in
from whence.archive.verify import verify
from whence.archive.writer import ArchiveWriter, Durability, WriterOptions
from whence.errors import StorageError


def test_lines_are_in_the_file_when_append_returns(tmp_path: Path) -> None:
    """A killed process loses nothing it appended: the system has it, before any sync."""
    writer = ArchiveWriter(tmp_path)
    writer.append("run", "logs", some_lines(3))
    writer.append("run", "logs", [a_line("3")])
    assert stored_uids(tmp_path) == ["0", "1", "2", "3"]
    writer.close()


@pytest.mark.parametrize("durability", list(Durability))
def test_wait_and_sync_come_true_at_every_durability(tmp_path: Path, durability: Durability) -> None:
    """A ticket can be waited for at any level; tickets ascend."""
    writer = ArchiveWriter(tmp_path, WriterOptions(durability))
    tickets = [writer.append("run", "logs", [line]) for line in some_lines(5)]
    assert tickets == sorted(set(tickets))
    assert writer.wait(tickets[-1], 10)
    assert writer.wait(tickets[0], 0)
    writer.append("run", "logs", [a_line("5")], sync=True)
    assert writer.sync(10)
    assert writer.status.syncs >= 1
    assert writer.close().reason is None


def test_interval_syncs_by_itself(tmp_path: Path) -> None:
    """Nobody asks, and the lines are on the device soon after."""
    writer = ArchiveWriter(tmp_path, WriterOptions(sync_seconds=0.01))
    writer.append("run", "logs", [a_line("1")])
    until(lambda: writer.status.syncs > 0)
    writer.close()


def test_none_leaves_syncing_to_the_system(tmp_path: Path) -> None:
    """Without durability nothing is synced before it is asked for or the file is closed."""
    writer = ArchiveWriter(tmp_path, WriterOptions(Durability.NONE, sync_seconds=0.001, sync_bytes=1))
    for line in some_lines(100):
        writer.append("run", "logs", [line])
    assert writer.status.syncs == 0
    writer.close()
    assert writer.status.syncs == 1


def test_closing_seals_every_segment_and_only_the_owner_may_read(tmp_path: Path) -> None:
    """After close each file has its seal, the archive verifies, and modes are 0700 and 0600."""
    root = tmp_path / "deep" / "archive"
    writer = ArchiveWriter(root)
    for group in ("one", "two"):
        for kind in names.SIGNALS:
            writer.append(group, kind, [a_line("1")])
    assert writer.close().reason is None
    report = verify(root)
    assert (report.sealed, report.unsealed, report.problems) == (6, [], [])
    assert report.records == 6
    modes = {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (root, root / "one", root.parent)} == {0o700}
    assert writer.status.state == "closed"
    assert writer.close() == writer.close()


def test_segments_rotate_by_size_and_no_line_is_split(tmp_path: Path) -> None:
    """No file is longer than asked unless it is one line; every file is whole lines, in order; one append may fill several."""
    options = WriterOptions(rotate_bytes=2_000, compress_over=None)
    writer = ArchiveWriter(tmp_path, options)
    writer.append("run", "logs", some_lines(40))
    writer.append("run", "logs", [a_line("40", size=5_000)])
    for line in some_lines(9, first=41):
        writer.append("run", "logs", [line])
    writer.close()
    files = sorted((tmp_path / "run").glob("*.jsonl"))
    assert len(files) > 5
    for file in files:
        lines = file.read_bytes().splitlines(keepends=True)
        assert file.stat().st_size <= 2_000 or len(lines) == 1
        assert all(uid_of(line) and line.endswith(b"\n") for line in lines)
    assert stored_uids(tmp_path) == [str(n) for n in range(50)]
    assert verify(tmp_path).ok


def test_segments_rotate_by_age_even_when_idle(tmp_path: Path) -> None:
    """A segment whose time is over is sealed without another append; an empty one is never made."""
    writer = ArchiveWriter(tmp_path, WriterOptions(rotate_seconds=0.02))
    writer.append("run", "logs", [a_line("1")])
    until(lambda: writer.status.segments_sealed == 1)
    assert writer.status.segments_open == 0
    writer.append("run", "logs", [a_line("2")])
    writer.close()
    assert stored_uids(tmp_path) == ["1", "2"]
    assert len(list(tmp_path.rglob("*.seal.json"))) == 2


def test_large_segments_are_compressed_and_small_ones_stay_plain(tmp_path: Path) -> None:
    """What is worth compressing is, and the plain file is gone; grep still works on the small ones."""
    write_archive(tmp_path, some_lines(100, size=500), WriterOptions(compress_over=10_000), "large")
    write_archive(tmp_path, some_lines(5), WriterOptions(compress_over=10_000), "small")
    assert [path.suffix for path in sorted((tmp_path / "large").glob("logs-*"))] == [".zst", ".json"]
    assert sorted(path.suffix for path in (tmp_path / "small").glob("logs-*")) == [".json", ".jsonl"]
    assert sorted(stored_uids(tmp_path), key=int) == sorted([str(n) for n in [*range(100), *range(5)]], key=int)
    assert verify(tmp_path).ok


def test_many_groups_keep_few_files_open(tmp_path: Path) -> None:
    """A thousand runs in one program do not exhaust its file descriptors, and each run's lines are all there."""
    writer = ArchiveWriter(tmp_path, WriterOptions(probe_seconds=0.02))
    most = 0
    for n in range(1_000):
        writer.append(f"run-{n % 400}", "logs", [a_line(str(n))])
        most = max(most, len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0)
    assert writer.close(60).reason is None
    assert most < 600
    assert sorted(map(int, stored_uids(tmp_path))) == list(range(1_000))
    assert verify(tmp_path).ok


def test_many_threads_lose_nothing_and_each_keeps_its_order(tmp_path: Path) -> None:
    """Threads append and wait at once; every line is there once and each thread's own order is kept."""
    writer = ArchiveWriter(tmp_path, WriterOptions(Durability.DURABLE, rotate_bytes=20_000))
    kept = []

    def work(thread: int) -> None:
        kept.extend(writer.wait(writer.append("run", "logs", [a_line(f"{thread}-{n}")]), 30) for n in range(100))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept == [True] * 800
    assert writer.status.syncs < 800  # waiters share syncs
    writer.close()
    found = stored_uids(tmp_path)
    assert len(found) == len(set(found)) == 800
    for thread in range(8):
        mine = [int(uid.split("-")[1]) for uid in found if uid.startswith(f"{thread}-")]
        assert mine == list(range(100))


def test_a_directory_that_cannot_hold_an_archive_is_told_at_once(tmp_path: Path) -> None:
    """A file in the way is a StorageError that names it."""
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match="cannot write an archive in"):
            ArchiveWriter(path)


def test_appending_after_close_says_so(tmp_path: Path) -> None:
    """A closed writer takes nothing and says what to do."""
    writer = ArchiveWriter(tmp_path)
    writer.close()
    with pytest.raises(StorageError, match="closed"):
        writer.append("run", "logs", [a_line("1")])
    assert not writer.wait(99, 1)


def test_a_writer_nobody_refers_to_seals_its_files_and_ends_its_threads(tmp_path: Path) -> None:
    """Forgetting to close costs nothing: the garbage collector closes, and threads do not pile up."""
    before = threading.active_count()
    writer = ArchiveWriter(tmp_path)
    writer.append("run", "logs", some_lines(3))
    del writer
    gc.collect()
    until(lambda: threading.active_count() <= before)
    assert verify(tmp_path).sealed == 1


def test_an_empty_append_and_an_idle_writer_leave_no_file(tmp_path: Path) -> None:
    """Files are made for lines only."""
    writer = ArchiveWriter(tmp_path)
    assert writer.append("run", "logs", []) == 0
    assert writer.sync(5)
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_status_counts_what_was_written(tmp_path: Path) -> None:
    """Bytes, lines and records are those on disk."""
    writer = ArchiveWriter(tmp_path)
    lines = some_lines(7)
    writer.append("run", "logs", lines)
    status = writer.status
    assert (status.state, status.reason, status.lines, status.records) == ("ok", None, 7, 7)
    assert (
        status.bytes
        == sum(len(line.data) for line in lines)
        == sum(f.stat().st_size for f in tmp_path.rglob("*.jsonl"))
    )
    writer.close()


def test_a_reader_sees_a_running_writer(tmp_path: Path) -> None:
    """No close is needed to read; there is nothing wrong with an archive that is being written."""
    writer = ArchiveWriter(tmp_path)
    writer.append("run", "logs", some_lines(3))
    archive = Archive(tmp_path)
    assert [uid_of(line.data) for line in archive.lines()] == ["0", "1", "2"]
    assert archive.problems == []
    report = verify(tmp_path)
    assert (report.ok, len(report.unsealed), report.sealed) == (True, 1, 0)
    writer.close()


def test_when_duties_are_due() -> None:
    """The deciding functions: rotation by size and age, sync by time, size, demand and level."""
    options = WriterOptions(rotate_bytes=100, rotate_seconds=10, sync_seconds=0.1, sync_bytes=50)
    assert not rotation_due(options, 0, 1_000, 99)
    assert not rotation_due(options, 60, 40, 9)
    assert rotation_due(options, 60, 41, 0)
    assert rotation_due(options, 1, 0, 10)
    assert sync_in(options, 10, None, False, now=5) is None
    assert sync_in(options, 10, 5.0, False, now=5.0) == pytest.approx(0.1)
    assert sync_in(options, 50, 5.0, False, now=5.0) == 0
    assert sync_in(options, 10, 5.0, False, now=6.0) == 0
    assert sync_in(WriterOptions(Durability.NONE), 10**9, 5.0, False, now=99) is None
    assert sync_in(WriterOptions(Durability.NONE), 0, None, True, now=99) == 0
    assert sync_in(WriterOptions(Durability.DURABLE), 1, 5.0, False, now=5.0) == 0


def test_an_append_that_ctrl_c_interrupts_costs_no_other_line(tmp_path: Path) -> None:
    """KeyboardInterrupt at any moment of appending: whole lines only, and every append that returned is there once."""
    writer = ArchiveWriter(tmp_path, WriterOptions(rotate_bytes=100_000))
    returned: list[str] = []
    appending = False

    def interrupt(number: int, frame: object) -> None:
        nonlocal appending
        if appending:
            appending = False  # before raising: a second one must not hit the handler of the first
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0017)
    interrupted = n = 0
    try:
        while interrupted < 30:
            n += 1
            try:
                appending = True
                writer.append("run", "logs", [a_line(str(n), size=3_000)])
                appending = False
                returned.append(str(n))
            except KeyboardInterrupt:
                interrupted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert writer.close(30).reason is None
    found = stored_uids(tmp_path)
    assert len(found) == len(set(found))
    assert set(returned) <= set(found)
