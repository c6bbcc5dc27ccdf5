"""Kills a recording program again and again, and holds what it was told was safe against what is in the archive.

Usage: kill_again.py DIRECTORY KILLS SEED DURABILITY. Each round is a process of its own that configures, records from three
threads, and tells through a pipe `e RUN ID SEQ ...` when an emit returned or a batch ended, `F N` when a flush begins and
`D N` when it is done. It is killed after some of each.
"""

import os
import random
import select
import signal
import sys
import threading
import time
import zlib
from pathlib import Path

import whence
from build_walk import is_sound, recorded
from whence.event.vocabularies.simulation import Decision

RUNS = ("one", "two")
THREADS = 3
PER_FLUSH = 30
"""Events a thread may emit for each flush begun: with files of 4 KB a disk is slower than three threads at full speed."""

allowed = threading.Semaphore(0)


def a_payload(n: int, dice: random.Random) -> dict[str, object]:
    text = "x" * dice.choice([0, 20, 3_000])
    return {"n": n, "text": text, "sum": zlib.crc32(f"{n}{text}".encode())}


def record(directory: Path, run: str, durability: str, pipe: int, seed: int) -> None:
    dice = random.Random(seed)
    tell(pipe, "begun")
    recorder = whence.configure(
        archive=directory,
        run=run,
        durability=durability,
        rotate_bytes=dice.choice([4_000, 40_000, 10**9]),
        compress_over=2_000,
        metrics=False,
    )
    tell(pipe, f"R {run} {recorder.run.last_seq}")
    for number in range(THREADS):
        threading.Thread(target=emit_for_ever, args=(run, pipe, seed * 10 + number), daemon=True).start()
    flushes = 0
    while True:
        flushes += 1
        tell(pipe, f"F {flushes}")
        for _ in range(THREADS * PER_FLUSH):
            allowed.release()
        if not whence.flush(60):
            os._exit(9)
        tell(pipe, f"D {flushes}")


def emit_for_ever(run: str, pipe: int, seed: int) -> None:
    dice = random.Random(seed)
    n = 0
    while True:
        n += 1
        allowed.acquire()
        shape = dice.randrange(8)
        if shape == 0:
            size = dice.randrange(2, 6)
            with whence.batch():
                refs = [
                    whence.log("in_batch", {"batch": f"{seed}-{n}", "size": size, **a_payload(n, dice)})
                    for _ in range(size)
                ]
            tell(pipe, f"e {run} " + " ".join(f"{ref.id} {ref.seq}" for ref in refs if ref))
            continue
        if shape < 4:
            ref = whence.emit(Decision(decision_type="kill", new_value=n, details=a_payload(n, dice)))
        else:
            ref = whence.log("alone", a_payload(n, dice))
        assert ref is not None
        tell(pipe, f"e {run} {ref.id} {ref.seq}")


def tell(pipe: int, line: str) -> None:
    os.write(pipe, line.encode() + b"\n")


def kill_once(directory: Path, run: str, durability: str, seed: int) -> list[list[str]]:
    """One round; what it told."""
    dice = random.Random(seed)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            record(directory, run, durability, writing, seed)
        finally:
            os._exit(9)
    os.close(writing)
    flushes, lines = dice.choice([(0, 1), (0, 2), (0, 300), (1, 0), (2, 500), (3, 0), (5, 900)])
    told = b""
    while told.count(b"\nD ") < flushes or told.count(b"\n") < lines:
        ready, _, _ = select.select([reading], [], [], 60)
        assert ready, f"round {seed} says nothing"
        piece = os.read(reading, 65536)
        assert piece, f"round {seed} ended by itself"
        told += piece
    time.sleep(dice.uniform(0, 0.003))  # the moment of the kill is what is tested
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"round {seed} ended by itself: {status}"
    while piece := os.read(reading, 65536):
        told += piece
    os.close(reading)
    return [line.decode().split() for line in told[: told.rfind(b"\n") + 1].splitlines()]


def safe_of(told: list[list[str]], durability: str) -> dict[str, tuple[str, int]]:
    """The ids that must be there, each with its run and number: told before the last flush that was done, or, durable, all."""
    done = {line[1] for line in told if line[0] == "D"}
    upto = max((at for at, line in enumerate(told) if line[0] == "F" and line[1] in done), default=0)
    found = {}
    for line in told if durability == "durable" else told[:upto]:
        if line[0] == "e":
            found |= {id: (line[1], int(seq)) for id, seq in zip(line[2::2], line[3::2], strict=True)}
    return found


def main() -> None:
    directory, kills, seed, durability = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    safe: dict[str, tuple[str, int]] = {}
    greatest: dict[str, int] = {}
    emitted = 0
    for n in range(kills):
        run = random.Random(seed + n).choice([*RUNS, f"new-{n}"])
        told = kill_once(directory, run, durability, seed + n)
        began = [int(line[2]) for line in told if line[0] == "R"]
        assert not began or began[0] > greatest.get(run, 0), (
            f"round {n}: {run} begins at {began[0]} after {greatest[run]}"
        )
        emitted += sum(line[0] == "e" for line in told)
        new = safe_of(told, durability)
        safe |= new
        greatest[run] = max([greatest.get(run, 0), *(seq for _, seq in new.values())])
    whence.configure(archive=directory, run="last", metrics=False)
    assert whence.shutdown(60).complete

    events = recorded(directory, own=True)
    there = {event.id: event for event in events}
    lost = safe.keys() - there.keys()
    assert not lost, f"{len(lost)} of {len(safe)} are lost: {[safe[id] for id in sorted(lost)[:5]]}"
    for id, (run, seq) in safe.items():
        assert (there[id].run, there[id].seq) == (run, seq)
    numbers = [(event.run, event.seq) for event in events]
    twice = {number for number in numbers if numbers.count(number) > 1} if len(set(numbers)) < len(numbers) else set()
    assert not twice, f"two events have one number: {sorted(twice)[:5]}"
    batches: dict[str, list[int]] = {}
    for event in events:
        payload = event.payload.get("details", event.payload)
        if "sum" in payload:
            assert payload["sum"] == zlib.crc32(f"{payload['n']}{payload['text']}".encode()), event
        if event.type == "in_batch":
            batches.setdefault(event.payload["batch"], []).append(event.payload["size"])
    assert all(len(sizes) == sizes[0] for sizes in batches.values()), "a batch is there in part"
    is_sound(directory)
    torn = len(list(directory.rglob("*.torn-*")))
    print(
        f"{kills} kills, {durability}: {emitted} emits returned, {len(safe)} had to be there, 0 lost, {len(events)} events, "
        f"{len(batches)} whole batches, {torn} torn lines set aside"
    )


main()
