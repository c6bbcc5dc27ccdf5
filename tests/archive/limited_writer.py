"""Writes under a limit of its own process: `fsize`, `nofile`, or `none` (where the tracer makes the trouble).

Usage: limited_writer.py DIRECTORY LIMIT
"""

import os
import resource
import sys
import time
from pathlib import Path

from build_archive import a_line
from whence.archive.writer import ArchiveWriter, Durability, WriterOptions


def main() -> None:
    directory, limit = Path(sys.argv[1]), sys.argv[2]
    options = WriterOptions(Durability.DURABLE, probe_seconds=0.02, compress_over=4_000)
    writer = ArchiveWriter(directory, options)
    if limit == "nofile":
        run_out_of_files(writer)
        return
    if limit == "fsize":
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
    tickets = [writer.append("run", "logs", [a_line(str(n), size=n % 300)]) for n in range(100)]
    assert writer.wait(tickets[-1], 30), writer.status
    tickets = [writer.append("run", "logs", [a_line(str(n), size=n % 300)]) for n in range(100, 200)]
    assert writer.wait(tickets[-1], 30), writer.status
    report = writer.close(30)
    assert report.reason is None, report
    print(f"failures={writer.status.sync_failures} repairs={writer.status.repairs}")


def run_out_of_files(writer: ArchiveWriter) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    tickets = [writer.append("run", "logs", [a_line(str(n))]) for n in range(10)]
    deadline = time.monotonic() + 20
    while writer.status.state != "holding":
        assert time.monotonic() < deadline
    assert "too many files" in str(writer.status.reason)
    for fd in taken:
        os.close(fd)
    assert writer.wait(tickets[-1], 30), writer.status
    report = writer.close(30)
    assert report.reason is None, report


main()
