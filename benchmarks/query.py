"""How fast an archive answers: whence beside DuckDB reading the same lines and SQLite, in one run. Fails on a wrong answer.

`python -m benchmarks.query [--events N] [--values N] [--archive DIR] [--only whence duckdb zstd sqlite] [--json FILE]`.
"""

import argparse
import json
import multiprocessing
import random
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import duckdb
import zstandard

from benchmarks.answers import Key
from benchmarks.asking import QUESTIONS, Ask, Values, duckdb_asks, make_sqlite, sqlite_asks, whence_asks
from benchmarks.generate import generate

PEERS: Final = {"whence": "whence", "duckdb": "DuckDB, lines", "zstd": "DuckDB, .zst", "sqlite": "SQLite"}
_CACHES: Final = ("*.index.*", ".causes.index*")


def memory() -> int:
    """The most bytes this program has had in memory at once, and of its children's the largest one's if that was more."""
    own = 0
    status = Path("/proc/self/status")
    if status.exists():
        own = next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    own = own or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)


def processor_seconds() -> float:
    """Used by this program and its children so far."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def apart(work: Callable[..., Any], *given: Any) -> Any:
    """What a function gives in a fresh process, in which nothing is cached. Raises RuntimeError where it fails."""
    fresh = multiprocessing.get_context("spawn")
    receive, send = fresh.Pipe(duplex=False)
    process = fresh.Process(target=_tell, args=(send, work, given))
    process.start()
    send.close()
    try:
        return receive.recv()
    except EOFError as cause:
        process.join()
        raise RuntimeError(f"cannot go on: {work.__name__}{given!r:.200} ended with {process.exitcode}") from cause
    finally:
        process.join()


def _tell(send: Any, work: Callable[..., Any], given: tuple[Any, ...]) -> None:
    send.send(work(*given))


def build_index(directory: Path, what: str) -> dict[str, float]:
    """Make the sidecars, or the graph of causes, of an archive that has none."""
    import whence

    used, began = processor_seconds(), time.perf_counter()
    archive = whence.open(directory)
    archive.engine.graph() if what == "causes" else archive.engine.parts.look()
    took, used = time.perf_counter() - began, processor_seconds() - used
    return {"seconds": took, "cpu": used, "memory": memory()}


def build_sqlite(directory: Path, where: Path) -> dict[str, float]:
    """Make the database of an archive whose sidecars are there."""
    used, began = processor_seconds(), time.perf_counter()
    make_sqlite(directory, where)
    took, used = time.perf_counter() - began, processor_seconds() - used
    return {"seconds": took, "cpu": used, "memory": memory(), "bytes": where.stat().st_size}


def timed(make: Callable[[], Ask], asked: list[Values], seconds: float) -> dict[str, Any]:
    """Milliseconds of the first answer, opening included, and of each further one as long as the time lasts; their rows."""
    first, *more = asked
    began = time.perf_counter()
    ask = make()
    rows = [ask(first)]
    took = [(time.perf_counter() - began) * 1e3]
    for values in more:
        if rows[-1] is None or time.perf_counter() - began > seconds:
            break
        start = time.perf_counter()
        rows.append(ask(values))
        took.append((time.perf_counter() - start) * 1e3)
    return {"ms": took, "rows": rows, "memory": memory()}


def said(found: dict[str, Any], budget: float) -> dict[str, Any]:
    """First, median and 95th percentile in milliseconds; None where no answer came in time."""
    first, *more = found["ms"]
    if found["rows"][0] is None:
        return {"first": None, "median": None, "p95": None, "n": 0, "over_ms": budget * 1e3}
    warm = sorted(took for took, rows in zip(more, found["rows"][1:], strict=True) if rows is not None) or [first]
    return {"first": first, "median": statistics.median(warm), "p95": warm[min(int(len(warm) * 0.95), len(warm) - 1)],
            "n": len(more)}  # fmt: skip


def ask_all(
    peer: str, make: Callable[[str], Callable[[], Ask]], key: Key, numbers: list[int], given: argparse.Namespace
) -> dict[str, Any]:
    """Every question of one peer, each in a process of its own. Raises AssertionError for a wrong answer."""
    found: dict[str, Any] = {}
    most = 0
    asked = [key.values(number) for number in numbers]
    for name in QUESTIONS:
        result = (
            timed(make(name), asked, given.seconds) if given.tiny else apart(timed, make(name), asked, given.seconds)
        )
        for number, rows in zip(numbers, result["rows"], strict=False):
            expected = key.rows(name, number)
            assert rows in (None, expected), f"{peer}: {name}, of event {number}: {rows} rows, and not {expected}"
        found[name] = said(result, given.seconds)
        most = max(most, result["memory"])
        print(f"\r{peer}: {name:<40}", end="", file=sys.stderr, flush=True)
    return {"questions": found, "memory": most}


def size_of(directory: Path, *patterns: str) -> int:
    """Bytes of the files of some names."""
    return sum(path.stat().st_size for pattern in patterns for path in directory.rglob(pattern))


def inflate(directory: Path, into: Path) -> int:
    """The lines of an archive in files that are not compressed, for a reader of lines; how many bytes they are."""
    for path in directory.rglob("*.jsonl*"):
        target = into / path.relative_to(directory).parent / path.name.removesuffix(".zst")
        target.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as source, target.open("wb") as out:
            if path.suffix == ".zst":
                zstandard.ZstdDecompressor().copy_stream(source, out)
            else:
                out.write(source.read())
    return size_of(into, "*.jsonl")


def measure(directory: Path, scratch: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for, as one object."""
    key = Key(given.events)
    chance = random.Random(1)
    drawn = [chance.randrange(given.events) for _ in range(given.values + 1)]
    numbers = [number - (number % 5 == 4) for number in drawn]
    found: dict[str, Any] = {
        "events": given.events, "seconds": given.seconds, "duckdb": duckdb.__version__, "sqlite": sqlite3.sqlite_version,
        "peers": {}, "compressed": size_of(directory, "*.jsonl.zst", "*.jsonl"),
    }  # fmt: skip
    for path in {path for pattern in _CACHES for path in directory.rglob(pattern)}:
        path.unlink()
    found["sidecars"] = apart(build_index, directory, "sidecars") | {"bytes": size_of(directory, "*.index.*")}
    found["sidecars"]["bytes"] -= size_of(directory, ".causes.index*")
    found["causes"] = apart(build_index, directory, "causes") | {"bytes": size_of(directory, ".causes.index*")}
    plain, base = scratch / "lines", scratch / "events.sqlite"
    if "whence" in given.only:
        asks = lambda name: partial(whence_asks, directory, name)  # noqa: E731
        found["peers"]["whence"] = ask_all("whence", asks, key, numbers, given)
    if "duckdb" in given.only:
        found["plain"] = inflate(directory, plain)
        asks = lambda name: partial(duckdb_asks, plain, name, given.seconds)  # noqa: E731
        found["peers"]["duckdb"] = ask_all("duckdb", asks, key, numbers, given)
        for path in plain.rglob("*.jsonl"):
            path.unlink()
    if "zstd" in given.only:
        asks = lambda name: partial(duckdb_asks, directory, name, given.seconds)  # noqa: E731
        found["peers"]["zstd"] = ask_all("zstd", asks, key, numbers, given)
    if "sqlite" in given.only:
        found["sqlite_build"] = apart(build_sqlite, directory, base)
        asks = lambda name: partial(sqlite_asks, base, name, given.seconds)  # noqa: E731
        found["peers"]["sqlite"] = ask_all("sqlite", asks, key, numbers, given)
    return found


def show(found: dict[str, Any]) -> None:
    """The figures as a text table."""
    count = found["events"]
    print(f"{count:,} events; DuckDB {found['duckdb']}, SQLite {found['sqlite']}; milliseconds; "
          f"a dash: not within {found['seconds']:g} s")  # fmt: skip
    print(f"\n{'To build':<32}{'seconds':>9}{'CPU s':>9}{'events/s':>10}{'per CPU s':>10}{'B/event':>9}{'MiB':>8}")
    rows = {
        "whence, columns and lists": "sidecars",
        "whence, the graph of causes": "causes",
        "SQLite, from whence's columns": "sqlite_build",
    }
    for title, name in rows.items():
        if name in found:
            made = found[name]
            rates = f"{count / made['seconds']:>10,.0f}{count / max(made['cpu'], 1e-9):>10,.0f}"
            print(f"{title:<32}{made['seconds']:>9.1f}{made['cpu']:>9.1f}{rates}", end="")
            print(f"{made['bytes'] / count:>9.0f}{made['memory'] / 2**20:>8,.0f}")
    sizes = [f"the archive {found['compressed'] / count:.0f}"] + [
        f"as plain lines {found[name] / count:.0f}" for name in ("plain",) if name in found
    ]
    print(f"bytes an event: {', '.join(sizes)}")
    peers = found["peers"]
    print(f"\n{'To ask':<32}" + "".join(f"{PEERS[peer]:>24}" for peer in peers))
    print(" " * 32 + "".join(f"{'first':>8}{'median':>8}{'p95':>8}" for _ in peers))
    for name in QUESTIONS:
        cells = (peers[peer]["questions"][name][part] for peer in peers for part in ("first", "median", "p95"))
        print(f"{name:<32}" + "".join(_cell(value) for value in cells))
    print(f"{'MiB at most':<32}" + "".join(f"{peers[peer]['memory'] / 2**20:>24,.0f}" for peer in peers))


def _cell(value: float | None) -> str:
    return f"{'-':>8}" if value is None else f"{value:>8,.0f}" if value >= 99.5 else f"{value:>8.1f}"


def main() -> None:
    """Make the archive, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--values", type=int, default=40, help="how many different values each question is asked with")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="the time for one question, and for one answer of a peer"
    )
    parser.add_argument("--archive", type=Path, help="made already by benchmarks.generate with as many events")
    parser.add_argument("--only", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument(
        "--tiny", action="store_true", help="2,000 events, one value, few processes: whether it still runs"
    )
    given = parser.parse_args()
    if given.tiny:
        given.events, given.values = 2_000, 0
        given.only = [peer for peer in given.only if peer != "zstd"]
    with tempfile.TemporaryDirectory() as temporary:
        directory = given.archive or Path(temporary) / "archive"
        if given.archive is None:
            generate(directory, given.events)
        found = measure(directory, Path(temporary), given)
    show(found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
