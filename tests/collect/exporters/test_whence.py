"""The exporter `whence`: what it acknowledged is in the archive, and what it cannot take is refused."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import ValidationError

from build_disks import a_disk, fill
from build_exporters import a_disk_that_freezes, a_host, is_taken, services
from waiting import until
from whence.archive.reader import Archive
from whence.archive.verify import verify
from whence.collect.exporters.partition import OVERFLOW
from whence.collect.exporters.whence import GROUP, WhenceExporter, WhenceSettings, build
from whence.collect.outcome import Refused

_KILLED = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from test_whence import started
from build_disks import a_disk, fill
from build_exporters import services
exporter = started(Path(sys.argv[3]))
for number in range(20):
    exporter.consume(services(f"event-{number}"))
    print(number, flush=True)
sys.stdin.read()
"""


def started(directory: Path, **settings: object) -> WhenceExporter:
    """A running exporter that writes to `directory`/archive."""
    around = a_host(directory)
    exporter = build(WhenceSettings.model_validate({"directory": str(directory / "archive"), **settings}), around)
    exporter.start(around)
    return exporter


def written(directory: Path) -> bytes:
    """Every byte of the archive's segments."""
    found = b""
    for path in sorted(directory.rglob("*.jsonl")):
        with suppress(FileNotFoundError):  # it goes while we look
            found += path.read_bytes()
    return found


def stop(exporter: WhenceExporter) -> None:
    """Stop with time enough."""
    exporter.stop(a_host(Path()).monotonic() + 30)


def test_an_acknowledged_batch_is_in_the_archive(tmp_path: Path) -> None:
    """Before the exporter stops, the lines are in the files of the group `collected`."""
    exporter = started(tmp_path)
    try:
        assert exporter.consume(services("one", "two")).rejected == 0
        assert exporter.health().ok
        found = written(tmp_path / "archive")
    finally:
        stop(exporter)
    assert b'"one"' in found and b'"two"' in found
    assert any(GROUP in str(path) for path in (tmp_path / "archive").rglob("*"))


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """A process killed after its last acknowledgement leaves every acknowledged record."""
    here = Path(__file__).parent
    command = [sys.executable, "-c", _KILLED, str(here), str(here.parents[1]), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
    found = written(tmp_path / "archive")
    assert all(f'"event-{number}"'.encode() in found for number in told)


def test_values_over_the_limit_share_one_folder(tmp_path: Path) -> None:
    """With `max_values: 2` a third service goes to the overflow folder, and nothing is lost."""
    exporter = started(tmp_path, partition_by="service.name", max_values=2)
    exporter.consume(services("one", "two", "three", "four"))
    stop(exporter)
    folders = {part for path in (tmp_path / "archive").rglob("*") for part in path.parts}
    assert {"one", "two", OVERFLOW} <= folders
    assert not {"three", "four"} & folders


def test_a_closed_archive_refuses_for_now(tmp_path: Path) -> None:
    """Before the start and after the stop a sender is told to come again."""
    around = a_host(tmp_path)
    exporter = build(WhenceSettings(directory=str(tmp_path / "archive")), around)
    assert not exporter.health().ok
    with pytest.raises(Refused):
        exporter.consume(services("early"))
    exporter.start(around)
    stop(exporter)
    with pytest.raises(Refused) as refused:
        exporter.consume(services("late"))
    assert refused.value.retry_after


@pytest.mark.linux_root
def test_a_full_disk_refuses_until_it_is_freed(tmp_path: Path) -> None:
    """On a full disk the sender keeps its data, and after room was made the same batch is taken and stays."""
    with a_disk(tmp_path / "disk", "size=2m") as disk:
        exporter = started(disk)
        try:
            exporter.consume(services("before"))
            filler = fill(disk)
            with pytest.raises(Refused) as refused:
                for number in range(1000):
                    exporter.consume(services(f"full-{number}" + "x" * 4096))
            assert refused.value.retry_after
            assert not exporter.health().ok
            filler.unlink()
            assert is_taken(exporter, services("after"))
            assert exporter.health().ok
        finally:
            stop(exporter)
        found = b"".join(path.read_bytes() for path in (disk / "archive").rglob("*.jsonl"))
        assert b'"before"' in found and b'"after"' in found


def size_of(directory: Path) -> int:
    """Bytes on disk of all its files, but for what a removal leaves (500 bytes a file)."""
    total = 0
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError):  # it goes while we look
            if path.is_file() and not path.name.endswith((".gone", ".seals")):
                total += path.stat().st_size
    return total


def test_the_bound_on_folders_holds_across_restarts(tmp_path: Path) -> None:
    """Folders that are there count; one that retention has emptied does not."""
    archive = tmp_path / "archive"
    for names in (("one",), ("two", "three"), ("one", "four", "five")):
        exporter = started(tmp_path, partition_by="service.name", max_values=3)
        exporter.consume(services(*names))
        stop(exporter)
    assert {path.name for path in archive.iterdir()} == {"one", "two", "three", OVERFLOW}
    for path in (archive / "one").iterdir():
        path.rename(path.with_suffix(".gone"))
    exporter = started(tmp_path, partition_by="service.name", max_values=3)
    exporter.consume(services("four"))
    stop(exporter)
    assert (archive / "four").is_dir()


def test_open_files_are_bounded(tmp_path: Path) -> None:
    """One more folder closes the file of another; what it gets later goes to a new one."""
    exporter = started(tmp_path, partition_by="service.name", max_open_files=3)
    for _ in range(2):
        exporter.consume(services(*(f"service-{number}" for number in range(6))))
    assert exporter._writer is not None and exporter._writer.status.segments_open == 3
    stop(exporter)
    assert len(list(Archive(tmp_path / "archive").events())) == 12


def test_the_archive_stays_within_its_bound(tmp_path: Path) -> None:
    """With nobody calling `whence retain`: the oldest files go while new ones come, and what went is told and proved."""
    total = 400_000
    exporter = started(tmp_path, retention={"total_bytes": total}, compress_over=None, index_closed=False)
    archive = tmp_path / "archive"
    try:
        for number in range(60):
            assert is_taken(exporter, services(f"{number}", text=f"{number} " + "x" * 20_000))
        until(lambda: size_of(archive) <= total)
        assert is_taken(exporter, services("newest"))
        telemetry = exporter._host.telemetry

        def counted(name: str) -> float:
            return sum(one.value for family in telemetry.families() if family.name == name for one in family.samples)

        until(lambda: counted("whence_archive_removed_files") > 10)  # counted when all that was to go is gone
        until(lambda: counted("whence_archive_removed_bytes") > 500_000)
        assert exporter.health().ok
    finally:
        stop(exporter)
    kept = [event.description or "" for event in Archive(archive).events() if event.type != "whence.retained"]
    assert kept[-1] == "newest" and "0 " + "x" * 20_000 not in kept
    assert any(event.type == "whence.retained" for event in Archive(archive).events())
    assert list(archive.rglob("*.gone"))
    assert verify(archive).problems == []


def test_what_is_too_old_goes_by_its_rule(tmp_path: Path) -> None:
    """Files of an earlier run, judged by the rules of the configuration."""
    for text in ("plain", "kept" + " much longer" * 100):
        exporter = started(tmp_path)
        exporter.consume(services("x", text=text))
        stop(exporter)
    later = a_host(tmp_path, now=lambda: time.time_ns() + 10 * 86_400 * 10**9)
    settings = {"directory": str(tmp_path / "archive"), "retention": {"days": 9, "keep": {"kept": 20}}}
    exporter = build(WhenceSettings.model_validate(settings), later)
    exporter.start(later)
    try:
        until(lambda: b'"plain"' not in written(tmp_path / "archive"))
        assert b'"kept much' in written(tmp_path / "archive")
    finally:
        stop(exporter)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"retention": {"total_bytes": "1GB"}, "rotate_bytes": "500MB"}, "a rotate_bytes of at most a quarter"),
        ({"retention": {"keep": {"CAUSED_BY (type = 'x')": 3}}}, "a rule looks at one event at a time"),
        ({"retention": {"keep": {"kind = ": 3}}}, "cannot read the filter"),
    ],
)
def test_a_retention_that_cannot_work_is_refused(settings: dict[str, object], said: str) -> None:
    """When the configuration is checked, not a month later."""
    with pytest.raises(ValidationError, match=said):
        WhenceSettings.model_validate({"directory": "x", **settings})


def test_files_are_small_and_young_enough_to_go() -> None:
    """Where nothing else is said."""
    bounded = WhenceSettings.model_validate({"directory": "x", "retention": {"total_bytes": "1GB"}})
    assert (bounded.largest, bounded.oldest) == (50_000_000, 86_400.0)
    plain = WhenceSettings(directory="x")
    assert (plain.largest, plain.oldest, plain.retention) == (500_000_000, None, None)


@pytest.mark.linux_root
def test_a_disk_that_does_not_answer_refuses_in_time(tmp_path: Path) -> None:
    """A frozen file system: one request waits in the system, all others are refused in time, health and metrics answer and say
    why; once it is thawed everything goes on, and nothing acknowledged is missing."""
    answers: list[str] = []

    def send(exporter: WhenceExporter, name: str) -> None:
        try:
            exporter.consume(services(name))
            answers.append(name)
        except Refused as refused:
            assert "does not answer" in str(refused)
            answers.append("refused")

    with a_disk_that_freezes(tmp_path) as disk:
        exporter = started(disk.path, timeout="300ms", index_closed=False)
        assert is_taken(exporter, services("before"))  # a busy disk may not answer in time either
        disk.freeze()
        threads = [threading.Thread(target=send, args=(exporter, f"during-{number}")) for number in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: answers == ["refused"] * 7)
        assert "does not answer" in (exporter.health().reason or "")
        assert exporter._host.telemetry.families()
        disk.thaw()
        for thread in threads:
            thread.join(60)
        until(lambda: exporter.health().ok)
        assert is_taken(exporter, services("after"))
        stop(exporter)
        found = {event.description for event in Archive(disk.path / "archive").events()}
    assert {"before", "after", *answers} - {"refused"} <= found
