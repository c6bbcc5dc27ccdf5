"""Builders for archives: lines with an id each, archives of them, and what an archive holds, read without our reader."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson
import zstandard

from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.otlp.page import Line

DEFAULT = WriterOptions()
SCRIPTS = Path(__file__).parent / "archive"


def a_line(
    uid: str, *, size: int = 0, run: str = "run", time: int = 1_700_000_000_000_000_000, key: str = "resourceLogs"
) -> Line:
    """A whole OTLP line with one log record of this id, padded by `size` bytes."""
    record = {
        "timeUnixNano": str(time),
        "body": {"stringValue": "x" * size},
        "attributes": [
            {"key": "log.record.uid", "value": {"stringValue": uid}},
            {"key": "whence.run", "value": {"stringValue": run}},
        ],
        "eventName": "thing_happened",
    }
    data = orjson.dumps({key: [{"scopeLogs": [{"logRecords": [record]}]}]}) + b"\n"
    return Line(data, 1, time, time)


def some_lines(count: int, *, first: int = 0, size: int = 0) -> list[Line]:
    """Lines with the ids `first`, `first + 1`, ... as text."""
    return [a_line(str(n), size=size) for n in range(first, first + count)]


def write_archive(directory: Path, lines: Iterable[Line], options: WriterOptions = DEFAULT, group: str = "run") -> None:
    """A closed archive of these lines, one append each."""
    writer = ArchiveWriter(directory, options)
    for line in lines:
        writer.append(group, "logs", [line])
    report = writer.close()
    assert report.reason is None, report


def uid_of(data: bytes) -> str:
    """The id in one line of `a_line`; raises where the line is no whole OTLP JSON."""
    record = orjson.loads(data)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    return str(record["attributes"][0]["value"]["stringValue"])


def raw_lines(directory: Path) -> Iterator[bytes]:
    """Every line on disk as any tool would find them (`zstd -dc`, `cat`), in the order of the file names."""
    found = [path for path in sorted(directory.rglob("*.jsonl*")) if path.is_file()]
    files = {path.name.partition(".jsonl")[0]: path for path in found if path.name.endswith(".jsonl.zst")}
    files |= {path.name.partition(".jsonl")[0]: path for path in found if path.suffix == ".jsonl"}
    for _, path in sorted(files.items()):
        data = path.read_bytes()
        if path.suffix == ".zst":
            data = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
        yield from data.splitlines(keepends=True) if b"\r" not in data else data.split(b"\n")


def stored_uids(directory: Path) -> list[str]:
    """The ids of every line on disk, read without whence."""
    return [uid_of(line) for line in raw_lines(directory)]


def run_script(name: str, *arguments: object, timeout: float = 170) -> str:
    """Run a script of tests/archive in a process of its own; its output. Fails with what it said where it failed."""
    command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, check=False)
    assert done.returncode == 0, f"{name}: exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    return done.stdout
