"""A made-up archive of any size, written as OTLP lines by whence's own writer: many runs and agents, causal chains, skew.

The law: the same seed and count give the same events; what an event holds follows from its number alone, so that the answer to a
question is known without reading the archive. `python -m benchmarks.generate DIR COUNT` makes one.
"""

import argparse
import multiprocessing
import os
import time
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.otlp.page import Line

Numbers = Any
"""A numpy array of one dimension, an item an event."""

START: Final = 1_780_000_000_000_000_000
STEP: Final = 20_000_000
"""Nanoseconds from one event to the next, on average."""
SIZES: Final = (1_000, 4_000, 5_000, 15_000, 25_000, 50_000, 100_000, 100_000, 200_000)
"""Events of one run after another, again and again."""
ROTATE_BYTES: Final = 64_000_000
PER_TURN: Final = 500
AGENTS: Final = 40
PER_LINE: Final = 100
NEEDLES: Final = 20_000
"""One in so many events says a word that no other says."""
CANARIES: Final = 995
"""One in so many events has a rare attribute; three in a row have the same value."""
SAGAS: Final = 97
"""One in so many events of a run is a step of a chain of a hundred."""
TYPES: Final = ("action", "decision", "state_change", "task.started", "task.completed", "tool.called", "turn_start",
                "turn_end", "pipeline.stage.completed", "detail", "payment.failed")  # fmt: skip
KINDS: Final = ("action", "decision", "state") + ("milestone",) * 6 + ("detail", "milestone")
STEPS: Final = ("GET /orders", "plan", "llm.chat", "db.query", "publish")
REGIONS: Final = ("south", "north", "east", "west", "islands")
_TYPE_ENDS: Final = np.cumsum([40, 15, 15, 8, 6, 6, 3, 3, 2, 1.5, 0.5]) / 100
_REGION_ENDS: Final = np.array([0.6, 0.85, 0.95, 0.99, 1.0])
_STEP_ENDS: Final = np.array([0.4, 0.6, 0.7, 0.95, 1.0])
_TYPICAL: Final = np.array([12e6, 80e6, 900e6, 2e6, 0.4e6])
"""The median duration of each kind of span, in nanoseconds."""
_SPREAD: Final = np.array([0.8, 0.6, 1.1, 1.2, 0.5])
GOODS: Final = (
    "wheat",
    "iron",
    "timber",
    "cloth",
    "salt",
    "amber",
    "olives",
    "copper",
    "spices",
    "wine",
    "silk",
    "glass",
)
WORDS: Final = ("market", "harbour", "bakery", "order", "refund", "invoice", "price", "weather", "north", "caravan", "guild",
                "debt", "tax", "ledger", "cart", "bridge", "winter", "contract", "season", "rumour", "toll", "barge")  # fmt: skip
MODELS: Final = ("small-1", "large-2", "large-3")
_BLOCK: Final = 20_000
_U64: Final = np.uint64


def mixed(numbers: Numbers, salt: int) -> Numbers:
    """64 bits that look random, of each number (splitmix64)."""
    with np.errstate(over="ignore"):
        z = (numbers.astype(_U64) + _U64(salt)) * _U64(0x9E3779B97F4A7C15) + _U64(salt * 0xD1342543DE82EF95 % (1 << 64))
        z = (z ^ (z >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> _U64(27))) * _U64(0x94D049BB133111EB)
        return z ^ (z >> _U64(31))


def _chance(numbers: Numbers, salt: int) -> Numbers:
    """A number from 0 to 1 of each number."""
    return (mixed(numbers, salt) >> _U64(11)).astype(np.float64) * 2.0**-53


class Made:
    """What events of one run hold, one numpy array a field, made of nothing but their numbers."""

    def __init__(self, run: int, first: int, size: int, start: int, stop: int, seed: int = 1) -> None:
        """The events `start` to `stop` within the run, whose first event has the number `first` in the archive."""
        self.run, self.first, self.size = run, first, size
        self._salt = seed * 64
        self.within: Numbers = np.arange(start, stop, dtype=np.int64)
        self.number: Numbers = self.within + first
        self.is_span: Numbers = self.within % 5 == 4

    def chance(self, salt: int) -> Numbers:
        return _chance(self.number, self._salt + salt)

    @property
    def agent(self) -> Numbers:
        """Zipf-like: the first of 40 does a fifth of everything."""
        return np.minimum((AGENTS + 1) ** self.chance(1), AGENTS).astype(np.int64) - 1

    @property
    def turn(self) -> Numbers:
        return self.within // PER_TURN

    @property
    def type(self) -> Numbers:
        """The place in `TYPES` of log events, in `STEPS` of spans."""
        chance = self.chance(2)
        return np.where(self.is_span, np.searchsorted(_STEP_ENDS, chance), np.searchsorted(_TYPE_ENDS, chance))

    @property
    def region(self) -> Numbers:
        return np.searchsorted(_REGION_ENDS, self.chance(3))

    @property
    def customer(self) -> Numbers:
        """Zipf-like, of 100,000."""
        return (100_000 ** self.chance(4)).astype(np.int64)

    @property
    def good(self) -> Numbers:
        return np.minimum((len(GOODS) + 1) ** self.chance(5), len(GOODS)).astype(np.int64) - 1

    @property
    def failed(self) -> Numbers:
        """A twentieth."""
        return self.chance(6) < 0.05

    @property
    def order(self) -> Numbers:
        """A number of 40 bits that no other event has."""
        return (self.number * 0x9E3779B9 + 0x1234567) % (1 << 40)

    @property
    def duration(self) -> Numbers:
        """Nanoseconds of spans, log-normal by what they do."""
        bits = mixed(self.number, self._salt + 7)
        parts = sum(((bits >> _U64(16 * n)) & _U64(0xFFFF)).astype(np.float64) for n in range(4)) / 65_536
        typical = np.where(self.is_span, self.type, 0)
        return (_TYPICAL[typical] * np.exp(_SPREAD[typical] * (parts - 2) * np.sqrt(3.0))).astype(np.int64) + 1

    @property
    def time(self) -> Numbers:
        """When log events happened, and spans began: they are written when they end."""
        at = START + self.number * STEP + (self.chance(8) * STEP).astype(np.int64)
        return np.where(self.is_span, at - self.duration, at)

    @property
    def trace(self) -> Numbers:
        """The number of the trace within its run: of 21 that go on at once, 20 events each."""
        return self.within // 420 * 21 + self.within % 21

    @property
    def correlation(self) -> Numbers:
        """The number of the correlation within its run: of 31 at once, 20 events each."""
        return self.within // 620 * 31 + self.within % 31

    @property
    def span(self) -> Numbers:
        """Of log events the number within the run of the span they happened in, of spans their own; -1: none."""
        found = self.within + (4 - self.within % 5) * 21
        return np.where((found // 420 == self.within // 420) & (found < self.size), found, -1)

    @property
    def parent(self) -> Numbers:
        """Of spans, the number within the run of the span around: the first one of the trace; -1: none."""
        place = self.within % 21
        root = self.within // 420 * 420 + place + ((4 - place) % 5) * 21
        return np.where(root == self.within, -1, root)

    @property
    def canary(self) -> Numbers:
        """The rare attribute's value; -1: none."""
        return np.where(self.number % CANARIES == 0, self.number // CANARIES // 3, -1)

    @property
    def causes(self) -> tuple[Numbers, Numbers]:
        """Up to two causes, as numbers within the run; -1: none. Chains end at one in four, and some events cause many."""
        chance, within = self.chance(9), self.within
        near = within - 1 - (-12 * np.log1p(-self.chance(10))).astype(np.int64)
        hub = within // 1_000 * 1_000
        first = np.where(chance < 0.70, near, np.where(chance < 0.75, np.where(hub == within, -1, hub), -1))
        saga = within % SAGAS == 0
        first = np.where(saga, np.where(within % (100 * SAGAS) == 0, -1, within - SAGAS), first)
        far = within - 1 - (-200 * np.log1p(-self.chance(11))).astype(np.int64)
        second = np.where((first >= 0) & (self.chance(12) < 0.12), far, -1)
        none = self.is_span & ~saga  # a span's cause is its parent, but a step of a saga says it
        first, second = (np.where(none, -1, np.maximum(found, -1)) for found in (first, second))
        return first, np.where((second == first) | saga, -1, second)

    def span_id(self, within: Numbers) -> Numbers:
        return mixed(within + self.first, self._salt + 13)

    def trace_ids(self, trace: Numbers) -> tuple[Numbers, Numbers]:
        numbers = trace + (self.run << 32)
        return mixed(numbers, self._salt + 14), mixed(numbers, self._salt + 15)

    def ids(self, within: Numbers) -> list[str]:
        """The ids of events of the run as readers see them: of 26 characters, or a span's trace and span."""
        number = within + self.first
        rest = mixed(number, self._salt + 16).tolist()
        trace = within // 420 * 21 + within % 21
        high, low = (found.tolist() for found in self.trace_ids(trace))
        span = self.span_id(within).tolist()
        return [
            f"span:{h:016x}{lo:016x}-{s:016x}" if w % 5 == 4 else f"01{n:08X}{r:016X}"
            for w, n, r, h, lo, s in zip(within.tolist(), number.tolist(), rest, high, low, span, strict=True)
        ]


def runs_of(count: int) -> Iterator[tuple[int, int, int]]:
    """Each run of an archive of so many events: its number, the number of its first event, and how many it has."""
    run = first = 0
    while first < count:
        size = min(SIZES[run % len(SIZES)], count - first)
        yield run, first, size
        run, first = run + 1, first + size


def run_of(number: int, count: int) -> tuple[int, int, int]:
    """The run of an event, as `runs_of` gives it."""
    runs = list(runs_of(count))
    return runs[bisect_right(runs, number, key=lambda run: run[1]) - 1]


def run_name(run: int) -> str:
    """The id of a run."""
    return f"run-{run:05d}"


def records_of(made: Made) -> Iterator[tuple[bool, str, int]]:
    """Events as OTLP JSON: whether it is a span, the record and its time."""
    agents, turns, types, regions = made.agent.tolist(), made.turn.tolist(), made.type.tolist(), made.region.tolist()
    customers, goods, failed = made.customer.tolist(), made.good.tolist(), made.failed.tolist()
    times, took, orders = made.time.tolist(), made.duration.tolist(), made.order.tolist()
    high, low = (found.tolist() for found in made.trace_ids(made.trace))
    correlations, canaries, parents = made.correlation.tolist(), made.canary.tolist(), made.parent.tolist()
    spans, span_ids, parent_ids = (
        made.span.tolist(),
        made.span_id(made.span).tolist(),
        made.span_id(made.parent).tolist(),
    )
    ids = made.ids(made.within)
    firsts, seconds = made.causes
    first_ids, second_ids = made.ids(np.maximum(firsts, 0)), made.ids(np.maximum(seconds, 0))
    firsts, seconds = firsts.tolist(), seconds.tolist()
    dice = mixed(made.number, 17).tolist()
    run, first = made.run, made.first
    for n, within in enumerate(made.within.tolist()):
        at, die, trace = times[n], dice[n], f"{high[n]:016x}{low[n]:016x}"
        causes = ""
        if firsts[n] >= 0:
            more = f',{{"stringValue":"{second_ids[n]}"}}' if seconds[n] >= 0 else ""
            causes = (
                '{"key":"whence.caused_by","value":{"arrayValue":{"values":[{"stringValue":"'
                f'{first_ids[n]}"}}{more}]}}}}}},'
            )
        common = (
            f'{causes}{{"key":"whence.agent","value":{{"stringValue":"agent-{agents[n]}"}}}},'
            f'{{"key":"whence.turn","value":{{"intValue":"{turns[n]}"}}}},'
            f'{{"key":"whence.correlation","value":{{"stringValue":"corr-{run}-{correlations[n]}"}}}},'
            f'{{"key":"region","value":{{"stringValue":"{REGIONS[regions[n]]}"}}}},'
            f'{{"key":"customer","value":{{"stringValue":"cust-{customers[n]}"}}}}'
        )
        if within % 5 == 4:
            parent = f'"parentSpanId":"{parent_ids[n]:016x}",' if parents[n] >= 0 else ""
            status = '"status":{"code":2,"message":"timed out"},' if failed[n] else ""
            yield (
                True,
                f'{{"traceId":"{trace}","spanId":"{span_ids[n]:016x}",{parent}"name":"{STEPS[types[n]]}","kind":{die % 3 + 1},'
                f'{status}"startTimeUnixNano":"{at}","endTimeUnixNano":"{at + took[n]}","attributes":[{common},'
                f'{{"key":"http.route","value":{{"stringValue":"/{WORDS[die >> 8 & 15]}/{{id}}"}}}},'
                f'{{"key":"gen_ai.request.model","value":{{"stringValue":"{MODELS[die % 7 % 3]}"}}}},'
                f'{{"key":"retries","value":{{"intValue":"{die >> 16 & 3}"}}}}]}}',
                at,
            )
            continue
        bad, good, number = failed[n], GOODS[goods[n]], first + within
        canary = f',{{"key":"deploy.canary","value":{{"stringValue":"c{canaries[n]}"}}}}' if canaries[n] >= 0 else ""
        needle = f" needle{number // NEEDLES}x" if number % NEEDLES == 0 else ""
        around = f'"spanId":"{span_ids[n]:016x}",' if spans[n] >= 0 else ""
        yield (
            False,
            f'{{"timeUnixNano":"{at}","observedTimeUnixNano":"{at + 40_000}","severityNumber":{17 if bad else 9},'
            f'"severityText":"{"ERROR" if bad else "INFO"}","eventName":"{TYPES[types[n]]}","body":{{"stringValue":'
            f'"agent {agents[n]} trades {die % 499 + 1} of {good} at the {WORDS[die >> 8 & 15]}, '
            f'order {orders[n]:010x}{needle}"}},'
            f'"traceId":"{trace}",{around}"attributes":[{{"key":"log.record.uid","value":{{"stringValue":"{ids[n]}"}}}},'
            f'{{"key":"whence.kind","value":{{"stringValue":"{KINDS[types[n]]}"}}}},'
            f'{{"key":"whence.seq","value":{{"intValue":"{within + 1}"}}}},'
            f'{{"key":"whence.elapsed_ns","value":{{"intValue":"{within * STEP}"}}}},{common}{canary},'
            f'{{"key":"whence.payload","value":{{"kvlistValue":{{"values":[{{"key":"good","value":{{"stringValue":"{good}"}}}},'
            f'{{"key":"units","value":{{"intValue":"{die % 499 + 1}"}}}},'
            f'{{"key":"price","value":{{"doubleValue":{(die >> 20 & 0xFFFF) / 64 + 0.25}}}}},'
            f'{{"key":"details","value":{{"kvlistValue":{{"values":['
            f'{{"key":"market","value":{{"stringValue":"{WORDS[die >> 40 & 15]}"}}}},'
            f'{{"key":"depth","value":{{"intValue":"{die >> 44 & 7}"}}}}]}}}}}}]}}}}}}]}}',
            at,
        )


def write_run(writer: ArchiveWriter, run: tuple[int, int, int], start: int, stop: int, seed: int) -> None:
    """The events `start` to `stop` of a run, a hundred a line, as a recorder's batches are."""
    number, first, size = run
    name = run_name(number)
    resource = (
        f'{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop-{number % 7}"}}}},'
        f'{{"key":"whence.run","value":{{"stringValue":"{name}"}}}},'
        f'{{"key":"service.instance.id","value":{{"stringValue":"p{number}"}}}},'
        '{"key":"host.name","value":{"stringValue":"host"}}]}'
    )
    waiting: tuple[list[tuple[str, int]], list[tuple[str, int]]] = ([], [])
    for at in range(start, stop, _BLOCK):
        for is_span, record, when in records_of(Made(number, first, size, at, min(at + _BLOCK, stop), seed)):
            some = waiting[is_span]
            some.append((record, when))
            if len(some) == PER_LINE:
                _append(writer, name, is_span, resource, some)
    for is_span in (False, True):
        if waiting[is_span]:
            _append(writer, name, is_span, resource, waiting[is_span])


def _append(writer: ArchiveWriter, run: str, is_span: bool, resource: str, records: list[tuple[str, int]]) -> None:
    outer, inner, each = (
        ("resourceSpans", "scopeSpans", "spans") if is_span else ("resourceLogs", "scopeLogs", "logRecords")
    )
    joined = ",".join([record for record, _ in records])
    text = f'{{"{outer}":[{resource},"{inner}":[{{"scope":{{"name":"bench"}},"{each}":[{joined}]}}]}}]}}\n'
    times = [when for _, when in records]
    writer.append(run, "traces" if is_span else "logs", [Line(text.encode(), len(records), min(times), max(times))])
    records.clear()


def tail_of(count: int) -> int:
    """How many of the last run's last events are in files that are still open: as if their program went on."""
    return min(count // 50, 20_000)


def _write_share(directory: Path, runs: list[tuple[int, int, int]], count: int, seed: int) -> None:
    """Some runs, closed: sealed and compressed."""
    writer = ArchiveWriter(directory, WriterOptions(rotate_bytes=ROTATE_BYTES))
    for run in runs:
        write_run(writer, run, 0, min(run[2], count - tail_of(count) - run[1]), seed)
    report = writer.close(600)
    if report.reason or report.segments_unsealed:
        raise RuntimeError(f"cannot make the archive {directory}: {report}; make room and start again")


def _write_tail(directory: Path, count: int, seed: int) -> None:
    """The last events, by a program that is gone before it closed its files."""
    writer = ArchiveWriter(directory)
    for run in runs_of(count):
        begins = max(count - tail_of(count) - run[1], 0)
        if begins < run[2]:
            write_run(writer, run, begins, run[2], seed)
    writer.sync(60)
    os._exit(0)


def generate(directory: Path, count: int, seed: int = 1, processes: int = 2) -> None:
    """An archive of so many events: closed, sealed and compressed but for the last ones, which are in open files."""
    runs = [run for run in runs_of(count) if run[1] < count - tail_of(count)]
    shares: list[list[tuple[int, int, int]]] = [[] for _ in range(processes)]
    for run in sorted(runs, key=lambda run: -run[2]):
        min(shares, key=lambda share: sum(size for _, _, size in share)).append(run)
    fresh = multiprocessing.get_context("spawn")
    workers = [fresh.Process(target=_write_share, args=(directory, sorted(share), count, seed)) for share in shares]
    for steps in (workers, [fresh.Process(target=_write_tail, args=(directory, count, seed))]):
        for worker in steps:
            worker.start()
        for worker in steps:
            worker.join()
            if worker.exitcode:
                raise RuntimeError(f"cannot make the archive {directory}: a process ended with {worker.exitcode}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.perf_counter()
    generate(given.directory, given.count, given.seed)
    print(f"{given.count / (time.perf_counter() - began):,.0f} events/s")
