"""What the right answers are: the values to ask a made-up archive for, and how many rows each question has to give.

The law: worked out from the numbers of the events alone, never by asking an archive.
"""

from functools import lru_cache
from typing import Any, Final

import numpy as np

from benchmarks.generate import (
    CANARIES,
    GOODS,
    NEEDLES,
    PER_TURN,
    REGIONS,
    STEP,
    TYPES,
    Made,
    Numbers,
    run_name,
    run_of,
    runs_of,
)

FIRST: Final = 1_000
"""Rows of which questions with many matches ask for no more."""
WINDOW: Final = 20_000 * STEP
"""Nanoseconds of the question for a time."""
MINUTE: Final = 60_000_000_000
_BAD: Final = "payment.failed"


class Key:
    """The answers for an archive of so many events."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self.count, self.seed = count, seed
        self.wholes = self._wholes()

    def values(self, number: int) -> dict[str, Any]:
        """What the questions about one log event ask for, by name."""
        one = self._one(number)
        high, low = one.trace_ids(one.trace)
        return {
            "id": one.ids(one.within)[0],
            "trace": f"{high[0]:016x}{low[0]:016x}",
            "run": run_name(one.run),
            "agent": f"agent-{one.agent[0]}",
            "turn": int(one.turn[0]),
            "from": int(one.time[0]),
            "to": int(one.time[0]) + WINDOW,
            "type": TYPES[one.type[0]],
            "region": REGIONS[one.region[0]],
            "canary": f"c{number // CANARIES // 3}",
            "good": f"of {GOODS[one.good[0]]}",
            "order": f"{one.order[0]:010x}",
            "needle": f"needle{number // NEEDLES}x",
            "correlation": f"corr-{one.run}-{one.correlation[0]}",
            "bad": _BAD,
        }

    def rows(self, question: str, number: int) -> int:
        """How many rows the question has to give."""
        one = self._one(number)
        within, run = int(one.within[0]), (one.run, one.first, one.size)
        match question:
            case "one event by id" | "text, rare" | "a word anywhere, rare":
                return 1
            case "a trace":
                return self._alike(run, within // 420 * 420, 420, "trace", one)
            case "a correlation":
                return self._alike(run, within // 620 * 620, 620, "correlation", one)
            case "agent and turn in a run":
                return self._alike(run, within // PER_TURN * PER_TURN, PER_TURN, "agent", one)
            case "time and type, first 1,000":
                return self._in_window(one)
            case "attribute, common, first 1,000":
                return min(FIRST, int(self.wholes["regions"][one.region[0]]))
            case "attribute, rare":
                first = number // CANARIES // 3 * 3
                return sum(at * CANARIES < self.count for at in range(first, first + 3))
            case "text, common, first 1,000":
                return min(FIRST, int(self.wholes["goods"][one.good[0]]))
            case "why, with its events":
                return len(self._reached(run, within, up=True))
            case "effects, with its events":
                return len(self._reached(run, within, up=False))
            case "CAUSED_BY one event":
                return len(self._reached(run, within, up=False)) - 1
            case "the newest 1,000":
                return min(FIRST, self.count)
        return int(self.wholes[question])

    def _one(self, number: int) -> Made:
        run, first, size = run_of(number, self.count)
        return Made(run, first, size, number - first, number - first + 1, self.seed)

    def _alike(self, run: tuple[int, int, int], start: int, length: int, name: str, one: Made) -> int:
        """How many events from `start` on have the same value as the one."""
        some = Made(*run, start, min(start + length, run[2]), self.seed)
        return int((getattr(some, name) == getattr(one, name)[0]).sum())

    def _in_window(self, one: Made) -> int:
        """Spans began before they were written; here only log events count, which stand in the order of time."""
        start, found = int(one.number[0]), 0
        for number, first, size in runs_of(self.count):
            begin, end = max(start - first - 1, 0), min(start + 20_002 - first, size)
            if begin < end:
                some = Made(number, first, size, begin, end, self.seed)
                fits = (some.time >= one.time[0]) & (some.time < one.time[0] + WINDOW) & (some.type == one.type[0])
                found += int((fits & ~some.is_span).sum())
        return min(FIRST, found)

    def _reached(self, run: tuple[int, int, int], start: int, *, up: bool) -> set[int]:
        """The events of a run that recorded causes lead to from one, itself included."""
        ends, found = _neighbours(run, self.seed, up)
        reached, front = {start}, [start]
        while front:
            node = front.pop()
            for other in found[ends[node] : ends[node + 1]].tolist():
                if other not in reached:
                    reached.add(other)
                    front.append(other)
        return reached

    def _wholes(self) -> dict[str, Any]:
        """What needs a look at every event."""
        regions, goods = np.zeros(len(REGIONS), np.int64), np.zeros(len(GOODS), np.int64)
        minutes: set[int] = set()
        steps: set[int] = set()
        caused = 0
        for run in runs_of(self.count):
            made = Made(*run, 0, run[2], self.seed)
            logs, types = ~made.is_span, made.type
            regions += np.bincount(made.region, minlength=len(REGIONS))
            goods += np.bincount(made.good[logs], minlength=len(GOODS))
            minutes.update(np.unique(made.time // MINUTE * 100 + types + np.where(logs, 0, len(TYPES))).tolist())
            steps.update(np.unique(types[made.is_span]).tolist())
            first, second = made.causes
            bad = logs & (types == TYPES.index(_BAD))
            one = _follows(bad, first, second)
            caused += int((one | _follows(one, first, second)).sum())
        return {
            "regions": regions,
            "goods": goods,
            "count by type and minute": len(minutes),
            "p95 duration by type": len(steps),
            "CAUSED_BY a type within 2 hops": min(FIRST, caused),
        }


def _follows(marked: Numbers, first: Numbers, second: Numbers) -> Numbers:
    """Which events have a marked cause; -1, no cause, is never marked."""
    padded = np.append(marked, False)
    return padded[first] | padded[second]


@lru_cache(maxsize=64)
def _neighbours(run: tuple[int, int, int], seed: int, up: bool) -> tuple[Numbers, Numbers]:
    """The recorded causes of every event of a run, or its effects: those of `n` stand from `ends[n]` to `ends[n + 1]`."""
    made = Made(*run, 0, run[2], seed)
    first, second = made.causes
    causes = np.concatenate([first[first >= 0], second[second >= 0]])
    effects = np.concatenate([made.within[first >= 0], made.within[second >= 0]])
    near, far = (effects, causes) if up else (causes, effects)
    order = np.argsort(near, kind="stable")
    return np.concatenate([[0], np.cumsum(np.bincount(near, minlength=run[2]))]), far[order]
