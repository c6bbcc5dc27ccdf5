"""What a way left on disk, counted by reading its files as anybody would: JSON Lines, compressed or not."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import zstandard


class Found(NamedTuple):
    """Events that can be read, whence's own about itself left out; the bytes of their lines; the bytes on disk."""

    events: int
    plain_bytes: int
    disk_bytes: int


def found(directory: Path) -> Found:
    """Every event in the directory's files. A torn line holds none."""
    events = plain = disk = 0
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        disk += file.stat().st_size
        for line in _lines(file):
            plain += len(line)
            events += _events(line)
    return Found(events, plain, disk)


def _lines(file: Path) -> Iterator[bytes]:
    if file.name.endswith(".jsonl"):
        with file.open("rb") as plain:
            yield from plain
    elif file.name.endswith(".zst"):
        with file.open("rb") as compressed:
            reader = zstandard.ZstdDecompressor().stream_reader(compressed, read_across_frames=True)
            yield from io.BufferedReader(reader)


def _events(line: bytes) -> int:
    try:
        data: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        return 0
    if "resourceLogs" not in data:
        return 1
    return sum(
        not record.get("eventName", "").startswith("whence.")
        for resource in data["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    )
