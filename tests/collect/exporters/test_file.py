"""The exporter `file`: what it acknowledged stands at its path as OTLP JSON lines, and nothing that stood there is gone."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard
from pydantic import ValidationError

from build_disks import a_disk, fill
from build_exporters import a_disk_that_freezes, a_host, bodies, is_taken, services
from build_files import a_line, reading
from waiting import until
from whence.archive.reader import Archive
from whence.collect.batch import Batch
from whence.collect.exporters import file_appended
from whence.collect.exporters.file import FileExporter, FileSettings, build
from whence.collect.outcome import Refused
from whence.collect.telemetry import Telemetry
from whence.errors import StorageError

_KILLED = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from test_file import started
from build_disks import a_disk, fill
from build_exporters import services
exporter = started(Path(sys.argv[3]))
for number in range(20):
    exporter.consume(services(f"{sys.argv[4]}-{number}"))
    print(number, flush=True)
sys.stdin.read()
"""


def started(path: Path, **settings: Any) -> FileExporter:
    """A running exporter that writes to this path."""
    host = a_host(Path(), "file")
    exporter = build(FileSettings.model_validate({"path": str(path), **settings}), host)
    exporter.start(host)
    return exporter


def stop(exporter: FileExporter) -> None:
    """Stop with time enough."""
    exporter.stop(a_host(Path()).monotonic() + 30)


@contextmanager
def running(path: Path, **settings: Any) -> Iterator[FileExporter]:
    """As `started`, and stopped."""
    exporter = started(path, **settings)
    try:
        yield exporter
    finally:
        stop(exporter)


def unpacked(path: Path) -> bytes:
    """The plain bytes of a zstd file, as any tool reads it."""
    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()


def test_what_is_acknowledged_stands_at_the_path(tmp_path: Path) -> None:
    """As a line of OTLP JSON each, at once."""
    path = tmp_path / "out.json"
    with running(path) as exporter:
        for name in ("one", "two"):
            exporter.consume(services(name))
            assert bodies(path.read_bytes())[-1] == name
        assert exporter.health().ok
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("append", [True, False])
def test_a_file_that_is_there_is_appended_to(tmp_path: Path, append: bool) -> None:
    """Whatever `append` says: nothing is ever emptied."""
    path = tmp_path / "out.json"
    path.write_bytes(a_line("old"))
    with running(path, append=append) as exporter:
        exporter.consume(services("new"))
    assert bodies(path.read_bytes()) == ["old", "new"]


def test_all_signals_may_share_a_file(tmp_path: Path) -> None:
    """A line each, as the Collector writes them; the receiver of files and an archive's reader take them apart."""
    with running(tmp_path / "all.json") as exporter:
        for signal_ in ("logs", "traces", "metrics"):
            exporter.consume(Batch(signal_, a_line(signal_, signal=signal_), "json"))  # type: ignore[arg-type]
    with reading(tmp_path, "*.json") as one:
        assert one.has(3) == ["logs", "traces", "metrics"]
    assert {event.signal for event in Archive(tmp_path).events()} == {"log", "span"}


def test_a_torn_line_stays_and_the_next_has_a_line_of_its_own(tmp_path: Path) -> None:
    """What a killed writer left is not removed, and not run into."""
    path = tmp_path / "out.json"
    path.write_bytes(a_line("old") + b'{"resourceLogs": [{"sc')
    with running(path) as exporter:
        exporter.consume(services("new"))
    first, torn, last = path.read_bytes().splitlines(keepends=True)
    assert (bodies(first), torn, bodies(last)) == (["old"], b'{"resourceLogs": [{"sc\n', ["new"])


def test_a_file_of_something_else_is_not_appended_to(tmp_path: Path) -> None:
    """Length-framed protobuf of a Collector, say: the start fails and says what to do."""
    path = tmp_path / "out.json"
    path.write_bytes(b"\x00\x00\x01\x2f")
    with pytest.raises(StorageError, match="move it away, or name another path"):
        started(path)
    with pytest.raises(StorageError, match="move it away"):
        started(path, compression="zstd")
    assert path.read_bytes() == b"\x00\x00\x01\x2f"


def test_what_was_acknowledged_survives_a_kill_of_two_writers_of_one_file(tmp_path: Path) -> None:
    """As with `--processes 2`: no line of either is lost, torn, or run into one of the other's."""
    path, here = tmp_path / "out.json", Path(__file__).parent
    command = [sys.executable, "-c", _KILLED, str(here), str(here.parents[1]), str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    processes = [subprocess.Popen([*command, name], **pipes) for name in ("a", "b")]  # type: ignore[call-overload]
    told = []
    for name, process in zip(("a", "b"), processes, strict=True):
        told += [f"{name}-{int(process.stdout.readline())}" for _ in range(20)]
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert sorted(bodies(path.read_bytes())) == sorted(told)


def test_many_senders_share_writes_and_none_is_lost(tmp_path: Path) -> None:
    """Each answer means that its lines are there."""
    path = tmp_path / "out.json"
    with running(path, rotation={"max_megabytes": 1, "max_backups": 0}) as exporter:

        def send(name: int) -> None:
            for number in range(20):
                exporter.consume(services(f"{name}-{number}", text=f"{name}-{number} " + "x" * 10_000))

        threads = [threading.Thread(target=send, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    files = list(tmp_path.glob("out*.json"))
    found = [body.split()[0] for file in files for body in bodies(file.read_bytes())]
    assert len(files) > 1 and all(file.stat().st_size <= 1 << 20 for file in files)
    assert sorted(found) == sorted(f"{name}-{number}" for name in range(8) for number in range(20))


def test_a_file_that_was_moved_or_deleted_is_begun_anew(tmp_path: Path) -> None:
    """As logrotate does it: the path always names the file that is written."""
    path = tmp_path / "out.json"
    with running(path) as exporter:
        exporter.consume(services("one"))
        path.rename(tmp_path / "moved")
        exporter.consume(services("two"))
        path.unlink()
        exporter.consume(services("three"))
    assert bodies((tmp_path / "moved").read_bytes()) == ["one"]
    assert bodies(path.read_bytes()) == ["three"]


def test_closed_files_have_the_collectors_names_and_are_removed_by_number(tmp_path: Path) -> None:
    """The newest stay, those of an earlier Collector count, and other files are left alone."""
    path = tmp_path / "out.json"
    earlier = tmp_path / "out-2022-09-14T05-02-14.173-size.json"
    other = tmp_path / "out-of-scope.json"
    for file in (earlier, other):
        file.write_bytes(a_line("earlier"))
    with running(path, rotation={"max_megabytes": 1, "max_backups": 2}) as exporter:
        assert earlier.exists()
        for number in range(5):
            exporter.consume(services("x", text=f"{number}" + "x" * 900_000))
    closed = sorted(file for file in tmp_path.glob("out-2*.json"))
    kept = [bodies(file.read_bytes())[0][0] for file in [*closed, path]]
    assert (len(closed), kept, earlier.exists(), other.exists()) == (2, ["2", "3", "4"], False, True)


def test_after_a_failed_sync_a_file_is_left_as_it_is_and_a_new_one_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system has thrown away it does not tell again: the sender keeps its data, and sends it into another file."""
    path = tmp_path / "out.json"
    with running(path) as exporter:
        exporter.consume(services("one"))
        with monkeypatch.context() as broken:
            broken.setattr(file_appended, "sync_file", fails)
            with pytest.raises(Refused, match="input/output error"):
                exporter.consume(services("two"))
            assert "input/output error" in (exporter.health().reason or "")
        assert is_taken(exporter, services("two"))
        until(lambda: exporter.health().ok)
    (aside,) = tmp_path.glob("out-*.json")
    assert bodies(aside.read_bytes()) == ["one", "two"]
    assert bodies(path.read_bytes()) == ["two"]


def fails(fd: int) -> None:
    """As a device does that is at its end."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_compressed_files_are_ordinary_zstd(tmp_path: Path) -> None:
    """A frame a write: the file can be read at any time, and is gone on with after a restart."""
    path = tmp_path / "out.json.zst"
    for name in ("one", "two"):
        with running(path, compression="zstd", compression_params={"level": 6}) as exporter:
            exporter.consume(services(name))
            assert bodies(unpacked(path))[-1] == name
    assert bodies(unpacked(path)) == ["one", "two"]
    with reading(tmp_path, "*.zst") as one:
        assert one.has(2) == ["one", "two"]


def test_a_torn_frame_is_kept_and_a_new_file_begun(tmp_path: Path) -> None:
    """No reader gets past a torn frame, so nothing is written behind one."""
    path = tmp_path / "out.json.zst"
    with running(path, compression="zstd") as exporter:
        exporter.consume(services("old"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-3])
    with running(path, compression="zstd") as exporter:
        exporter.consume(services("new"))
    (aside,) = tmp_path.glob("out-*.json.zst")
    assert aside.read_bytes() == whole + whole[:-3]
    assert bodies(unpacked(path)) == ["new"]


def test_a_file_a_value(tmp_path: Path) -> None:
    """Values cannot lead out of the folder; what has none, and what comes when there are too many, is not lost."""
    group_by = {"enabled": True, "resource_attribute": "service.name", "max_open_files": 1, "max_values": 3}
    pattern = tmp_path / "groups" / "*.json"
    with running(pattern, group_by=group_by) as exporter:
        exporter.consume(services("a", "../b", "a/c", "d"))
        exporter.consume(services("e", attribute="another"))
        exporter.consume(services("a"))
    found = {file.name: bodies(file.read_bytes()) for file in (tmp_path / "groups").iterdir()}
    assert found == {
        "a.json": ["a", "a"], "~2E.~2Fb.json": ["../b"], "a~2Fc.json": ["a/c"], "other.json": ["d"], "collected.json": ["e"]
    }  # fmt: skip
    with running(pattern, group_by=group_by) as exporter:
        exporter.consume(services("f"))
    assert bodies((tmp_path / "groups" / "other.json").read_bytes()) == ["d", "f"], "the bound holds across restarts"


def test_a_folder_is_made_where_that_is_asked_for(tmp_path: Path) -> None:
    """Otherwise the start says that it is missing."""
    path = tmp_path / "a" / "b" / "out.json"
    with pytest.raises(StorageError, match="create_directory: true"):
        started(path)
    with running(path, create_directory=True, directory_permissions="0700") as exporter:
        exporter.consume(services("one"))
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"format": "proto"}, "leave format out"),
        ({"encoding": "otlp_encoding"}, "no encoding extensions"),
        ({"compression": "gzip"}, "zstd"),
        ({"group_by": {"enabled": True}}, "one \\*"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(settings: dict[str, Any], said: str) -> None:
    """With what to do instead."""
    with pytest.raises(ValidationError, match=said) as refused:
        FileSettings.model_validate({"path": "out.json", **settings})
    assert refused.value.errors()


def test_a_collectors_settings_are_taken_as_they_are() -> None:
    """All that its documentation shows, written as it shows it."""
    settings = FileSettings.model_validate(
        {
            "path": "/data/*.json",
            "rotation": {"max_megabytes": 10, "max_days": 3, "max_backups": 3, "localtime": True},
            "format": "json",
            "compression": "zstd",
            "append": False,
            "flush_interval": 1_000_000_000,
            "create_directory": True,
            "directory_permissions": "0755",
            "group_by": {"enabled": True, "resource_attribute": "tenant", "max_open_files": 50},
        }
    )
    form = settings.form()
    assert (form.bytes_most, form.closed_days, form.closed_most, form.local_time) == (10 << 20, 3, 3, True)
    assert (form.level, form.folder_mode) == (3, 0o755)
    assert FileSettings.model_validate({"path": "x", "rotation": None}).form().bytes_most == 100 << 20


@pytest.mark.linux_root
def test_a_full_disk_refuses_until_it_is_freed(tmp_path: Path) -> None:
    """Health says so, and says when it is over without a request; no part of a line is left."""
    with a_disk(tmp_path / "disk", "size=2m") as disk, running(disk / "out.json") as exporter:
        exporter.consume(services("before"))
        filler = fill(disk)
        with pytest.raises(Refused, match="the disk is full") as refused:
            for number in range(1000):
                exporter.consume(services("full", text=f"full-{number}" + "x" * 4096))
        assert refused.value.retry_after
        assert "the disk is full" in (exporter.health().reason or "")
        assert (disk / "out.json").read_bytes().endswith(b"\n")
        filler.unlink()
        until(lambda: exporter.health().ok)
        assert is_taken(exporter, services("after"))
        found = bodies((disk / "out.json").read_bytes())
    assert (found[0], found[-1]) == ("before", "after")


@pytest.mark.linux_root
def test_a_frozen_disk_refuses_in_time(tmp_path: Path) -> None:
    """Every request; health says why, and it goes on by itself."""
    with a_disk_that_freezes(tmp_path) as disk, running(disk.path / "out.json", timeout="300ms") as exporter:
        assert is_taken(exporter, services("before"))
        disk.freeze()
        for _ in range(3):
            with pytest.raises(Refused, match="does not answer"):
                exporter.consume(services("during"))
        assert "does not answer" in (exporter.health().reason or "")
        disk.thaw()
        until(lambda: exporter.health().ok)
        assert is_taken(exporter, services("after"))
        found = bodies((disk.path / "out.json").read_bytes())
    assert (found[0], found[-1]) == ("before", "after")


def test_a_disk_that_does_not_answer_refuses_in_time(tmp_path: Path) -> None:
    """A pipe that nobody empties stands for it: senders keep what they have, health says why, and it goes on by itself."""
    path = tmp_path / "out.json"
    os.mkfifo(path)
    with running(path, timeout="200ms") as exporter:
        with pytest.raises(Refused, match="does not answer"):
            exporter.consume(services("large", text="x" * 1_000_000))
        until(lambda: not exporter.health().ok)
        assert "does not answer" in (exporter.health().reason or "")
        reader = subprocess.Popen(["cat", path], stdout=subprocess.DEVNULL)
        until(lambda: exporter.health().ok)
        assert is_taken(exporter, services("after"))
    reader.wait(60)


def test_after_the_stop_a_sender_is_told_to_come_again(tmp_path: Path) -> None:
    """And before the start."""
    host = a_host(tmp_path)
    exporter = build(FileSettings(path=str(tmp_path / "out.json")), host)
    with pytest.raises(Refused):
        exporter.consume(services("early"))
    exporter.start(host)
    stop(exporter)
    with pytest.raises(Refused):
        exporter.consume(services("late"))
    assert not exporter.health().ok


def test_what_was_written_is_counted(tmp_path: Path) -> None:
    """Under the Collector's name."""
    with running(tmp_path / "out.json") as exporter:
        exporter.consume(services("one", "two"))
        telemetry: Telemetry = exporter._host.telemetry
        counted = {family.name: [sample.value for sample in family.samples] for family in telemetry.families()}
    assert counted["otelcol_exporter_sent_log_records"] == [2]
