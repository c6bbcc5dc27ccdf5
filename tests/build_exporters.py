"""Builders: exporters in their surroundings, batches that name services, a small disk, a sender that does not give up."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from whence.collect.batch import Batch
from whence.collect.component import Consumer, Host
from whence.collect.outcome import Refused
from whence.collect.telemetry import Telemetry

SECONDS = 60.0


def a_host(directory: Path, id_: str = "exporter", now: Callable[[], int] = time.time_ns) -> Host:
    """Surroundings of an exporter."""
    return Host(id_, Telemetry(), logging.getLogger(f"whence.collect.{id_}"), directory, now=now)


def services(*names: str, text: str | None = None, attribute: str = "service.name") -> Batch:
    """A resource each, named by an attribute, with one log record whose body is that name, or `text`."""
    resources = [
        {
            "resource": {"attributes": [{"key": attribute, "value": {"stringValue": name}}]},
            "scopeLogs": [{"logRecords": [{"timeUnixNano": "1", "body": {"stringValue": text or name}}]}],
        }
        for name in names
    ]
    return Batch("logs", orjson.dumps({"resourceLogs": resources}), "json")


def bodies(lines: bytes) -> list[str]:
    """The body of every log record in these lines; each must be whole OTLP JSON."""
    return [
        record["body"]["stringValue"]
        for line in lines.splitlines()
        for resource in orjson.loads(line)["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]


def is_taken(exporter: Consumer, batch: Batch) -> bool:
    """Send as a client does: again and again, for a minute at most."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        try:
            exporter.consume(batch)
        except Refused:
            continue
        return True
    return False


class Freezing:
    """A disk that stops to answer, writes and syncs alike, until it is thawed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def freeze(self) -> None:
        """From now on nothing that writes comes back."""
        subprocess.run(["fsfreeze", "-f", str(self.path)], check=True, capture_output=True)

    def thaw(self) -> None:
        """Everything that waited goes on."""
        subprocess.run(["fsfreeze", "-u", str(self.path)], check=False, capture_output=True)


@contextmanager
def a_disk_that_freezes(folder: Path) -> Iterator[Freezing]:
    """A small ext4 in a file. Skips where that cannot be mounted or frozen."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting and freezing a file system needs root on Linux")
    image, disk = folder / "image", Freezing(folder / "frozen")
    disk.path.mkdir()
    with image.open("wb") as file:
        file.truncate(32 << 20)
    try:
        for command in (["mkfs.ext4", "-q", "-F", image], ["mount", "-o", "loop", image, disk.path]):
            subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as cause:
        pytest.skip(f"cannot mount an ext4 here: {cause}")
    try:
        disk.freeze()
        disk.thaw()
        yield disk
    except FileNotFoundError as cause:
        pytest.skip(f"cannot freeze a file system here: {cause}")
    finally:
        disk.thaw()
        subprocess.run(["umount", "-l", str(disk.path)], check=True)
