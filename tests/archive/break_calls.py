"""Runs one piece of work once for each system call it makes, with that call killing the process or failing.

Usage: break_calls.py DIRECTORY WORK FAULT:STEP..., where WORK is `write` or `recover`, FAULT is `kill` or an errno's name,
and STEP is 1 for every call, 2 for every second one and so on. Each round must leave an archive from which nothing acknowledged
is missing, where nothing is there twice, and which the next start puts right.
"""

import errno
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from build_archive import a_line, some_lines, stored_uids
from whence.archive.recovery import recover
from whence.archive.verify import verify
from whence.archive.writer import ArchiveWriter, Durability, WriterOptions

CALLS = ("open", "writev", "fsync", "fdatasync", "ftruncate", "rename", "unlink", "mkdir")
TORN = b'{"resourceLogs":[{"sco'
OPTIONS = WriterOptions(Durability.DURABLE, rotate_bytes=3_000, compress_over=1_500, probe_seconds=0.01)


class Breaking:
    """Counts the calls and breaks the n-th of them, and as many after it as `more` says."""

    def __init__(self, n: int, fault: str, more: int = 0) -> None:
        self.n, self.fault, self.more, self.count = n, fault, more, 0

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def broken(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.n <= self.count <= self.n + self.more:
                if self.fault == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                code = getattr(errno, self.fault)
                raise OSError(code, os.strerror(code))
            return call(*args, **kwargs)

        return broken

    def install(self) -> None:
        for name in CALLS:
            setattr(os, name, self.wrap(getattr(os, name)))
        fcntl.flock = self.wrap(fcntl.flock)


def write(directory: Path, acknowledge: Callable[[int], None]) -> None:
    """Two groups, rotation, sealing and compression on the way; each line is acknowledged when it is durable."""
    writer = ArchiveWriter(directory, OPTIONS)
    for n in range(24):
        ticket = writer.append(f"group-{n % 2}", "logs", [a_line(str(n), size=300)])
        if writer.wait(ticket, 20):
            acknowledge(n)
    writer.close(20)


def recover_leftovers(directory: Path, acknowledge: Callable[[int], None]) -> None:
    """A torn tail, a file to seal and compress, an empty one, and a compression cut off after its rename."""
    recover(directory, compress_over=1_500)


def prepare(directory: Path) -> int:
    """The leftovers of a crash, made once by a real writer that never closes; gives how many lines they have."""
    writer = ArchiveWriter(directory, WriterOptions(rotate_bytes=4_000, compress_over=None))
    for line in some_lines(30, size=300):
        writer.append("group", "logs", [line])
    writer.sync()
    return 30


def leave(directory: Path) -> int:
    """As `prepare`, in a process that ends without a word; then the last line is torn."""
    child = os.fork()
    if child == 0:
        prepare(directory)
        os._exit(0)
    os.waitpid(child, 0)
    files = sorted((directory / "group").glob("*.jsonl"))
    with files[-1].open("ab") as file:
        file.write(TORN)
    return 30


def round_of(directory: Path, work: str, fault: str, n: int, more: int) -> tuple[set[int], int, int]:
    """One round in a child; gives what was acknowledged, how many calls there were, and the child's exit status."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        status = 9
        tell = os.write
        try:
            breaking = Breaking(n, fault, more)
            breaking.install()
            job = write if work == "write" else recover_leftovers
            try:
                job(directory, lambda uid: tell(writing, b"%d\n" % uid) and None)
                status = 0
            except Exception as trouble:
                tell(2, f"round {n}: {type(trouble).__name__}: {trouble}\n".encode())
                status = 3
            tell(writing, b"calls %d\n" % breaking.count)
        finally:
            os._exit(status)
    os.close(writing)
    told = b""
    while piece := os.read(reading, 65536):
        told += piece
    os.close(reading)
    _, status = os.waitpid(child, 0)
    lines = told.splitlines()
    calls = int(lines.pop().split()[1]) if lines and lines[-1].startswith(b"calls") else 0
    return {int(line) for line in lines}, calls, status


def check(directory: Path, expected: set[int], n: int) -> None:
    ending = ArchiveWriter(directory, OPTIONS)  # the next start; its recovery is waited for by doing it once more
    ending.close()
    failed = [repair for repair in recover(directory, compress_over=1_500) if repair.kind == "failed"]
    assert not failed, f"round {n}: {failed}"
    found = [int(uid) for uid in stored_uids(directory)]
    assert expected <= set(found), f"round {n}: lost {sorted(expected - set(found))}"
    assert len(found) == len(set(found)), f"round {n}: twice {sorted(uid for uid in found if found.count(uid) > 1)}"
    report = verify(directory)
    assert report.ok, f"round {n}: {report.problems}"
    assert not report.unsealed, f"round {n}: {report.unsealed}"
    left = [path.name for path in directory.rglob("*") if path.name.endswith(".tmp") or path.name.startswith(".probe")]
    assert not left, f"round {n}: {left}"


def break_all(base: Path, work: str, fault: str, step: int) -> None:
    """All rounds with one fault."""
    more = 0 if fault == "kill" else 2
    source = base / "source"
    acknowledged_before = set(range(leave(source))) if work == "recover" else set()
    calls, n, rounds, unacknowledged = 1, 0, 0, 0
    while n < calls:
        directory = base / f"round-{n}"
        if work == "recover":
            shutil.copytree(source, directory)
        # Round 0 breaks nothing: it counts the calls.
        acknowledged, count, status = round_of(directory, work, fault, n or 10**9, more)
        if n == 0:
            calls = count
        assert status == 0 or fault == "kill" or (work, n) <= ("write", 12), f"round {n}: exit status {status}"
        if directory.exists():
            check(directory, acknowledged | acknowledged_before, n)
            shutil.rmtree(directory)
        unacknowledged += 0 if work == "recover" else 24 - len(acknowledged)
        n, rounds = n + (step if n else 1), rounds + 1
    print(f"{work} {fault}: {rounds} rounds of {calls} calls, 0 lost, 0 twice, {unacknowledged} not acknowledged")


def main() -> None:
    for given in sys.argv[3:]:
        fault, step = given.split(":")
        base = Path(sys.argv[1]) / fault
        base.mkdir()
        break_all(base, sys.argv[2], fault, int(step))


main()
