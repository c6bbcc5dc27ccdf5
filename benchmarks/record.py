"""`make bench`: what recording costs the program, what it loses, and what is left after a kill, beside the peers.

All figures of a table come from one run: each cell in a fresh process, the cells of a round one after another, the rounds
repeated; shown are medians over the rounds, and medians of each round's own ratios.
"""

import argparse
import platform
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.cell import CORES, Figures, run
from benchmarks.found import found
from whence.native import CORE

_CALLERS: Final = {
    "floor": "OpenTelemetry SDK, no-op processor (the floor)",
    "typed": "whence.emit(Action(...))",
    "typed_pure": "whence.emit(Action(...)), pure Python",
    "shorthand": "whence.action(...)",
    "log": "whence.log(type, payload)",
    "log_pure": "whence.log(type, payload), pure Python",
    "caused": "whence.log(..., caused_by=previous)",
    "otel": "OTel Logger.emit, recorded by whence",
    "otel_pure": "OTel Logger.emit, recorded in pure Python",
    "durable": "whence.log, durability=durable",
    "batch_noop": "official batch processor, no-op exporter",
    "batch_file": "official batch processor, JSON file exporter",
    "eliot": "eliot.log_message to a file",
    "json": "json.dumps and file.write",
}
CALLERS: Final = {way: name for way, name in _CALLERS.items() if len(CORES) > 1 or not way.endswith("_pure")}
"""Without a native core everything is in pure Python."""
SUPPRESSED: Final = {
    "suppressed_emit": "whence.emit(Detail, callable)",
    "suppressed_detail": "whence.detail(name, callable)",
    "suppressed_log": "whence.log(name, callable, kind='detail')",
}
ENCODERS: Final = {core: {"native": "whence, native core", "pure": "whence, pure Python"}[core] for core in CORES} | {
    "json": "official OTLP JSON (to_dict, json.dumps)",
    "protobuf": "official protobuf (SerializeToString)",
}
BURSTING: Final = ("log", "typed", "otel", "batch_file", "eliot", "json")
DYING: Final = ("log", "durable", "batch_file", "eliot", "json")
NAMED: Final = (
    CALLERS
    | SUPPRESSED
    | {
        "log": "whence.log, durability=interval (the default)",
        "json_durable": "json.dumps, file.write and os.fdatasync",
    }
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    rounds: int = 5
    chunks: int = 20
    chunk: int = 1000
    latencies: int = 500
    encoded: int = 4096
    burst: int = 50_000
    killed: int = 2000
    memory: int = 5_000_000


FULL: Final = Size()
TINY: Final = Size(1, 1, 50, 10, 64, 300, 50, 500)

Say = Callable[[str], None]
Rounds = dict[str, list[Figures]]


def main() -> None:
    """Measure and print, a section at a time."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.record", description=__doc__)
    asked.add_argument("--rounds", type=int, default=FULL.rounds, help="how often each cell is measured")
    asked.add_argument("--events", type=int, default=FULL.memory, help="events of the memory run")
    asked.add_argument("--only", choices=SECTIONS, nargs="+", default=list(SECTIONS), help="sections to measure")
    asked.add_argument("--tiny", action="store_true", help="every row, in seconds; the figures mean nothing")
    given = asked.parse_args()
    size = TINY if given.tiny else Size(rounds=given.rounds, memory=given.events)
    print(
        f"whence, measured {datetime.now(UTC):%Y-%m-%d} on {platform.system()} {platform.machine()}, "
        f"{platform.python_implementation()} {platform.python_version()}; {size.rounds} rounds, medians\n"
        f"core: {'pure Python' if CORE.module is None else 'native'}, {CORE.why}"
    )
    for name in given.only:
        SECTIONS[name](size)


# --- the sections -------------------------------------------------------------------------------------------------------


def emitting(size: Size) -> None:
    """What the thread that emits pays."""
    cells = each((*CALLERS, *SUPPRESSED), chunks=size.chunks, chunk=size.chunk)
    cells["durable"]["chunks"] = 1  # each of its calls waits for the disk
    measured = rounds(size.rounds, "caller", cells)
    floor = measured["floor"]
    rows = []
    for way in (*CALLERS, *SUPPRESSED):
        figures = measured[way]
        over = statistics.median(a["cpu"] - b["cpu"] for a, b in zip(figures, floor, strict=True))
        times = statistics.median(a["cpu"] / b["cpu"] for a, b in zip(figures, floor, strict=True))
        rows.append(
            (
                (CALLERS | SUPPRESSED)[way],
                f"{median(figures, 'cpu'):.2f}",
                f"{over:+.2f}",
                f"{times:.2f}x",
                f"{median(figures, 'wall'):.2f}",
                f"{median(figures, 'all'):.2f}",
            )
        )
    table("Microseconds an event costs the caller", ("", "CPU", "over floor", "of floor", "wall", "all threads"), rows)


def waiting(size: Size) -> None:
    """How long a single call takes, where it comes back only when the event is on disk."""
    measured = rounds(size.rounds, "latency", each(("durable", "json_durable", "log"), count=size.latencies))
    rows = [(NAMED[way], f"{median(f, 'p50'):.0f}", f"{median(f, 'p99'):.0f}") for way, f in measured.items()]
    table("Microseconds until one call returns, one thread", ("", "p50", "p99"), rows)


def encoding(size: Size) -> None:
    """What a record costs to turn into bytes."""
    given = {"count": size.encoded, "repeats": 3}
    cells = {
        f"{e} {signal}": {**given, "encoder": e, "signal_name": signal} for e in ENCODERS for signal in ("span", "log")
    }
    measured = rounds(size.rounds, "encode", cells)
    rows = []
    for encoder, name in ENCODERS.items():
        row = [name]
        for signal in ("span", "log"):
            mine, ours = measured[f"{encoder} {signal}"], measured[f"{next(iter(CORES))} {signal}"]
            times = statistics.median(a["cpu"] / b["cpu"] for a, b in zip(mine, ours, strict=True))
            row += [f"{median(mine, 'cpu'):.1f}", f"{times:.1f}x", f"{median(mine, 'bytes'):.0f}"]
        rows.append(row)
    head = ("", "us/span", "of ours", "bytes/span", "us/log", "of ours", "bytes/log")
    table("CPU microseconds to encode, in batches of 512", head, rows)


def bursting(size: Size) -> None:
    """How many events of a burst are there afterwards, and how large they are."""
    measured = rounds(size.rounds, "burst", each(BURSTING, count=size.burst), look=True)
    rows = []
    for way, figures in measured.items():
        lost = [size.burst - f["events"] for f in figures]
        plain, disk = (statistics.median(f[k] / max(1, f["events"]) for f in figures) for k in ("plain", "disk"))
        rows.append(
            (NAMED[way], f"{statistics.median(lost):,.0f}", f"{max(lost):,}", f"{median(figures, 'wall'):.1f}",
             f"{plain:.0f}", f"{disk:.0f}", figures[-1]["said"] or "-")
        )  # fmt: skip
    head = ("", "lost", "worst", "us/event, wall", "bytes/event", "after closing", "said to be lost")
    table(f"A burst of {size.burst:,} events, default settings", head, rows)


def dying(size: Size) -> None:
    """How many events are on disk after kill -9 as the last call returned."""
    paced = {
        f"{way} {pace}": {"way": way, "count": size.killed, "per_second": pace} for way in DYING for pace in (1000, 0)
    }
    measured = rounds(size.rounds, "killed", paced, look=True)
    rows = []
    for way in DYING:
        row = [NAMED[way]]
        for pace in (1000, 0):
            kept = [f["events"] for f in measured[f"{way} {pace}"]]
            row += [f"{statistics.median(kept):,.0f}", f"{min(kept):,}"]
        rows.append(row)
    head = ("", "at 1,000/s", "worst", "without pause", "worst")
    table(f"Events on disk after kill -9, of {size.killed:,} emitted", head, rows)


def filling(size: Size) -> None:
    """Whether memory stays flat."""
    measured = rounds(1, "memory", each(("log",), count=size.memory))
    rows = []
    for way, (figures,) in measured.items():
        resident = figures["resident"]
        shown = [resident[0], resident[1], resident[5], resident[10], figures["peak"]]
        rate = size.memory / figures["seconds"]
        rows.append((NAMED[way], *(f"{mib:.0f}" for mib in shown), f"{rate:,.0f}", figures["said"] or "-"))
    head = ("", "start", "10%", "50%", "100%", "peak", "events/s", "said to be lost")
    table(f"Resident MiB over {size.memory:,} events, emitted without pause", head, rows)


SECTIONS: Final[dict[str, Callable[[Size], None]]] = {
    section.__name__: section for section in (emitting, waiting, encoding, bursting, dying, filling)
}


# --- measuring and printing ---------------------------------------------------------------------------------------------


def each(ways: Iterable[str], **arguments: int) -> dict[str, dict[str, Any]]:
    """A cell for each way, with these arguments."""
    return {way: {"way": way, **arguments} for way in ways}


def rounds(count: int, cell: str, cells: dict[str, dict[str, Any]], *, look: bool = False) -> Rounds:
    """Each cell's figures, a round at a time. `look`: with what its files hold afterwards."""
    measured: Rounds = defaultdict(list)
    for number in range(count):
        for key, arguments in cells.items():
            progress(f"{cell} {number + 1}/{count} {key}")
            with tempfile.TemporaryDirectory(prefix="whence-bench-") as directory:
                where = {"directory": directory} if "way" in arguments else {}
                figures = run(cell, **arguments, **where)
                if look:
                    left = found(Path(directory))
                    figures |= {"events": left.events, "plain": left.plain_bytes, "disk": left.disk_bytes}
            measured[key].append(figures)
    progress("")
    return measured


def median(figures: Sequence[Figures], key: str) -> float:
    return float(statistics.median(f[key] for f in figures))


def progress(text: str) -> None:
    """What is being measured, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns under their heads, the first to the left, figures to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    print(f"\n{title}")
    for row in (head, *rows):
        first, *others = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join((first, *others)).rstrip())
    sys.stdout.flush()


if __name__ == "__main__":
    main()
