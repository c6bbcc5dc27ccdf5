"""Kills a writer again and again at random moments and holds what it acknowledged against what is on disk.

Usage: kill_writers.py DIRECTORY KILLS SEED DURABILITY. The child acknowledges an id through a pipe once its line is durable
(`durable`) or once append returned (`interval`: a kill, unlike a power cut, must not cost even those).
"""

import os
import random
import select
import signal
import sys
import time
from pathlib import Path

from build_archive import a_line, stored_uids
from whence.archive.recovery import recover
from whence.archive.verify import verify
from whence.archive.writer import ArchiveWriter, Durability, WriterOptions


def write_until_killed(directory: Path, durability: Durability, first: int, pipe: int, seed: int) -> None:
    dice = random.Random(seed)
    options = WriterOptions(durability, rotate_bytes=dice.choice([4_000, 40_000, 10**9]), compress_over=2_000)
    writer = ArchiveWriter(directory, options)
    n = first
    while True:
        lines = [a_line(str(n + i), size=dice.choice([0, 10, 6_000])) for i in range(dice.randrange(1, 5))]
        ticket = writer.append(dice.choice(["one", "two"]), "logs", lines)
        if durability is Durability.DURABLE and not writer.wait(ticket, 20):
            os._exit(9)
        n += len(lines)
        os.write(pipe, b"%d\n" % n)


def kill_once(directory: Path, durability: Durability, first: int, seed: int) -> int:
    """Run and kill one writer; gives the first id that was not acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            write_until_killed(directory, durability, first, writing, seed)
        finally:
            os._exit(9)
    os.close(writing)
    begun, _, _ = select.select([reading], [], [], 20)
    time.sleep(random.Random(seed).uniform(0, 0.02))  # the moment of the kill is what is tested
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the writer ended by itself: {status}"
    assert begun, "the writer did not begin in 20 s"
    told = b""
    while piece := os.read(reading, 65536):
        told += piece
    os.close(reading)
    whole = told[: told.rfind(b"\n") + 1].split()
    return int(whole[-1]) if whole else first


def main() -> None:
    directory, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    durability = Durability(sys.argv[4])
    acknowledged: set[int] = set()
    first = 0
    for n in range(kills):
        upto = kill_once(directory, durability, first, seed + n)
        acknowledged.update(range(first, upto))
        first = upto + 1_000  # what was written and not acknowledged must not be taken for the next one's
    repairs = recover(directory)
    assert not [repair for repair in repairs if repair.kind == "failed"], repairs
    assert recover(directory) == [], "a second recovery found more to do"
    found = [int(uid) for uid in stored_uids(directory)]
    assert len(found) == len(set(found)), "an id is there twice"
    lost = acknowledged - set(found)
    assert not lost, f"{len(lost)} acknowledged lines are lost: {sorted(lost)[:10]}"
    report = verify(directory)
    assert report.ok, report.problems[:5]
    assert not report.unsealed
    left = [path.name for path in directory.rglob("*") if path.name.endswith(".tmp")]
    assert not left, left
    torn = len(list(directory.rglob("*.torn-*")))
    print(
        f"{kills} kills, {len(acknowledged)} acknowledged, 0 lost, 0 unparsable, 0 twice, {torn} torn lines set aside"
    )


main()
