"""How many events a second a filter passes over in lines that no index covers: each decoded, or asked of the lines' bytes first.

The lines are those of `benchmarks.generate`: a hundred events a line, as a recorder in a hurry writes them and collectors do, or
one, as a program writes that says something now and then. Every way must find the same.
"""

import statistics
import time
from collections.abc import Callable
from typing import Final

from benchmarks.generate import CANARIES, NEEDLES, PER_LINE, STEP, Made, records_of
from benchmarks.record import table
from whence.archive.reader import StoredLine
from whence.archive.sieve import Sieve
from whence.filter.match import Matcher, matcher
from whence.filter.parse import parse
from whence.native import CORE
from whence.otlp.decode import Place

_RUN: Final = (
    b'{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop-0"}},'
    b'{"key":"whence.run","value":{"stringValue":"run-0"}}]}'
)
_HEADS: Final = (
    b'{"resourceLogs":[' + _RUN + b',"scopeLogs":[{"scope":{"name":"bench"},"logRecords":[',
    b'{"resourceSpans":[' + _RUN + b',"scopeSpans":[{"scope":{"name":"bench"},"spans":[',
)


def lines_of(count: int, per_line: int) -> list[bytes]:
    """Lines of the first events of a run."""
    found: list[bytes] = []
    waiting: tuple[list[bytes], list[bytes]] = ([], [])
    for is_span, record, _ in records_of(Made(0, 0, count, 0, count)):
        some = waiting[is_span]
        some.append(record.encode())
        if len(some) == per_line:
            found.append(_HEADS[is_span] + b",".join(some) + b"]}]}]}")
            some.clear()
    return found


def filters(count: int) -> dict[str, str]:
    """What is asked, by what it is."""
    made = Made(0, 0, count, 0, count)
    return {
        "a word, rare": f"needle{count // NEEDLES // 2}x",
        "an attribute, rare": f"attributes.'deploy.canary' = 'c{count // CANARIES // 6}'",
        "one event by id": f"id = '{made.ids(made.within)[count // 2]}'",
        "the last hundredth": f"time >= {int(made.time.max()) - count // 100 * STEP}",
        "one of 40 agents": "agent = 'agent-30'",
        "errors, a twentieth": "severity >= ERROR",
    }


def whole(lines: list[StoredLine], fits: Matcher, sieve: Sieve | None) -> list[str]:
    """The ids of the events that match."""
    kept = sieve.kept([line.data for line in lines]) if sieve else [True] * len(lines)
    some = (line for line, is_kept in zip(lines, kept, strict=True) if is_kept)
    return [event.id for line in some for event in line.decoded(sieve).events if fits(event)]


def sifting(rounds: int, count: int) -> None:
    """The table."""
    ways: dict[str, Callable[[str], Sieve | None]] = {
        "decoded": lambda _: None,
        "pure Python": lambda text: Sieve(parse(text, now=0), native=False),
    }
    if CORE.module is not None:
        ways["native"] = lambda text: Sieve(parse(text, now=0))
    shown = []
    for per_line in (PER_LINE, 1):
        lines = [StoredLine(Place("bench", n), line) for n, line in enumerate(lines_of(count, per_line))]
        for what, text in filters(count).items():
            taken, found = measured(lines, text, ways, rounds)
            named = f"{what}, {'a line each' if per_line == 1 else f'{per_line} a line'}"
            shown.append((named, *(f"{count / taken[way]:,.0f}" for way in ways), f"{found:,}"))
    table(f"Events a second past a filter, of {count:,} with no index", ("", *ways, "matches"), shown)


def measured(
    lines: list[StoredLine], text: str, ways: dict[str, Callable[[str], Sieve | None]], rounds: int
) -> tuple[dict[str, float], int]:
    """CPU seconds by way, medians, and how many events match."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    fits, answers = matcher(parse(text, now=0)), []
    for _ in range(rounds):
        for way, make in ways.items():
            began = time.thread_time_ns()
            answers.append(whole(lines, fits, make(text)))
            taken[way].append((time.thread_time_ns() - began) / 1e9)
    if any(answer != answers[0] for answer in answers):
        raise RuntimeError(f"the ways to ask {text} differ")
    return {way: statistics.median(seconds) for way, seconds in taken.items()}, len(answers[0])
