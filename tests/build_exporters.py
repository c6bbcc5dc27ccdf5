"""Builders: exporters in their surroundings, batches that name services, a small disk, a sender that does not give up."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def eventually(condition: Callable[[], Any]) -> None:
    """Wait until it is so, or fail."""
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


@contextmanager
def a_small_disk(path: Path, size: str = "2m") -> Iterator[Path]:
    """A tmpfs at `path`. Skips where it cannot be mounted."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root on Linux")
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on it; the file that takes the room."""
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler
