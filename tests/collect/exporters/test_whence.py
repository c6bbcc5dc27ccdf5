"""The exporter `whence`: what it acknowledged is in the archive, and what it cannot take is refused."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from whence.collect.batch import Batch
from whence.collect.component import Host
from whence.collect.exporters.whence import GROUP, OVERFLOW, WhenceExporter, WhenceSettings, build
from whence.collect.outcome import Refused
from whence.collect.telemetry import Telemetry

_KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_whence import started, batch
exporter = started(Path(sys.argv[2]))
for number in range(20):
    exporter.consume(batch(f"event-{number}"))
    print(number, flush=True)
sys.stdin.read()
"""


def host(directory: Path) -> Host:
    """Surroundings of an exporter."""
    return Host("whence", Telemetry(), logging.getLogger("whence.collect.whence"), directory)


def started(directory: Path, **settings: object) -> WhenceExporter:
    """A running exporter that writes to `directory`/archive."""
    around = host(directory)
    exporter = build(WhenceSettings.model_validate({"directory": str(directory / "archive"), **settings}), around)
    exporter.start(around)
    return exporter


def batch(*names: str) -> Batch:
    """A resource each, named by `service.name`, with one log record whose body is that name."""
    resources = [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": name}}]},
            "scopeLogs": [{"logRecords": [{"timeUnixNano": "1", "body": {"stringValue": name}}]}],
        }
        for name in names
    ]
    return Batch("logs", orjson.dumps({"resourceLogs": resources}), "json")


def written(directory: Path) -> bytes:
    """Every byte of the archive's segments."""
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*.jsonl")))


def stop(exporter: WhenceExporter) -> None:
    """Stop with time enough."""
    exporter.stop(host(Path()).monotonic() + 30)


def test_an_acknowledged_batch_is_in_the_archive(tmp_path: Path) -> None:
    """Before the exporter stops, the lines are in the files of the group `collected`."""
    exporter = started(tmp_path)
    try:
        assert exporter.consume(batch("one", "two")).rejected == 0
        assert exporter.health().ok
        found = written(tmp_path / "archive")
    finally:
        stop(exporter)
    assert b'"one"' in found and b'"two"' in found
    assert any(GROUP in str(path) for path in (tmp_path / "archive").rglob("*"))


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """A process killed after its last acknowledgement leaves every acknowledged record."""
    command = [sys.executable, "-c", _KILLED, str(Path(__file__).parent), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
    found = written(tmp_path / "archive")
    assert all(f'"event-{number}"'.encode() in found for number in told)


def test_values_over_the_limit_share_one_folder(tmp_path: Path) -> None:
    """With `max_values: 2` a third service goes to the overflow folder, and nothing is lost."""
    exporter = started(tmp_path, partition_by="service.name", max_values=2)
    exporter.consume(batch("one", "two", "three", "four"))
    stop(exporter)
    folders = {part for path in (tmp_path / "archive").rglob("*") for part in path.parts}
    assert {"one", "two", OVERFLOW} <= folders
    assert not {"three", "four"} & folders


def test_a_closed_archive_refuses_for_now(tmp_path: Path) -> None:
    """Before the start and after the stop a sender is told to come again."""
    around = host(tmp_path)
    exporter = build(WhenceSettings(directory=str(tmp_path / "archive")), around)
    assert not exporter.health().ok
    with pytest.raises(Refused):
        exporter.consume(batch("early"))
    exporter.start(around)
    stop(exporter)
    with pytest.raises(Refused) as refused:
        exporter.consume(batch("late"))
    assert refused.value.retry_after


@pytest.mark.linux_root
def test_a_full_disk_refuses_until_it_is_freed(tmp_path: Path) -> None:
    """On a full disk the sender keeps its data, and after room was made the same batch is taken and stays."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root on Linux")
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {done.stderr.strip()}")
    try:
        exporter = started(disk)
        try:
            exporter.consume(batch("before"))
            filler = disk / "filler"
            with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            with pytest.raises(Refused) as refused:
                for number in range(1000):
                    exporter.consume(batch(f"full-{number}" + "x" * 4096))
            assert refused.value.retry_after
            assert not exporter.health().ok
            filler.unlink()
            again = batch("after")
            assert is_taken(exporter, again)
            assert exporter.health().ok
        finally:
            stop(exporter)
        found = b"".join(path.read_bytes() for path in (disk / "archive").rglob("*.jsonl"))
        assert b'"before"' in found and b'"after"' in found
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def is_taken(exporter: WhenceExporter, what: Batch) -> bool:
    """Send as a client does: again and again, for a minute at most."""
    until = host(Path()).monotonic() + 60
    while host(Path()).monotonic() < until:
        try:
            exporter.consume(what)
        except Refused:
            continue
        return True
    return False
