"""How fast `whence serve` answers: each endpoint of its API, what Jaeger and Grafana ask, and live streams to many at once.

The law: the server is a process of its own, as `whence serve` starts it; every answer is looked at before its time counts.
`python -m benchmarks.serve [--events N] [--archive DIR] [--values N] [--only api jaeger live] [--json FILE]`.
"""

import argparse
import json
import os
import platform
import random
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from benchmarks import serve_jaeger, serve_live, serve_streams
from benchmarks.answers import Key
from benchmarks.generate import STEP, generate
from benchmarks.record import table
from benchmarks.serve_jaeger import get
from whence.event.flat import format_time
from whence.index.engine import Engine

PARTS: Final = ("api", "jaeger", "live")
POINTS: Final = (
    *(serve_live.Point(subscribers, rate, 5) for subscribers in (1, 10) for rate in (1_000, 10_000, 0)),
    serve_live.Point(100, 1_000, 5),
    serve_live.Point(100, 10_000, 10),
    serve_live.Point(100, 0, 5),
)
"""Subscribers against rates; at the last as fast as can be written."""
IDLE: Final = (100, 2_000)
"""Subscribers to whom nothing happens."""
_LATE: Final = 100 * STEP
Values = dict[str, Any]
Ask = tuple[str, dict[str, Any], Callable[[Any], bool]]
"""A path, its parameters, and whether an answer is right."""


class Latency(NamedTuple):
    """How long one kind of question took over HTTP, connecting included, in milliseconds."""

    name: str
    first: float
    p50: float
    p95: float
    p99: float
    answers: int
    size: float
    """Bytes of an answer, on average."""


def _has(total: int | None = None, least: int = 1) -> Callable[[Any], bool]:
    return lambda found: len(found["events"]) >= least and (total is None or found["total"] == total)


QUESTIONS: Final[dict[str, Callable[[Values], Ask]]] = {
    "/api/runs": lambda v: ("/api/runs", {}, lambda found: len(found["runs"]) > 0),
    "/api/runs/{run}": lambda v: (f"/api/runs/{v['run']}", {}, lambda found: found["run"] == v["run"]),
    "/api/events, the newest 100": lambda v: ("/api/events", {"newest": "true", "limit": 100}, _has()),
    "/api/events, a correlation": lambda v: ("/api/events", {"correlation": v["correlation"]}, _has()),
    "/api/events, a type in a time": lambda v: (
        "/api/events",
        {"type": v["type"], "since": format_time(v["from"]), "until": format_time(v["to"]), "limit": 100},
        _has(),
    ),
    "/api/events, a rare value": lambda v: (
        "/api/events",
        {"filter": f"attributes.\"deploy.canary\" = '{v['canary']}'"},
        _has(total=v["canaries"]),
    ),
    "/api/events, a rare word": lambda v: ("/api/events", {"filter": v["needle"]}, _has(total=1)),
    "/api/runs/{run}/events, an agent and turn": lambda v: (
        f"/api/runs/{v['run']}/events", {"agent": v["agent"], "turn": v["turn"]}, _has()
    ),
    "/api/events/{id}": lambda v: (f"/api/events/{quote(v['id'])}", {}, lambda found: found["id"] == v["id"]),
    "/api/causality/{id}, upstream": lambda v: (
        f"/api/causality/{quote(v['id'])}", {"direction": "upstream"}, bool
    ),
    "/api/causality/{id}, downstream": lambda v: (
        f"/api/causality/{quote(v['id'])}", {"direction": "downstream"}, bool
    ),
    "/api/query, count by type of a run": lambda v: (
        "/api/query", {"q": f"run = '{v['run']}' | count by type"}, lambda found: len(found["rows"]) > 1
    ),
    "/api/query, count by type and minute": lambda v: (
        "/api/query", {"q": "| count by type, bucket(1m)"}, lambda found: len(found["rows"]) > 1
    ),
    "/api/poll, the last events": lambda v: ("/api/poll", {"since": v["late"], "limit": 100}, _has()),
    "/jobs": lambda v: ("/jobs", {}, lambda found: "jobs" in found),
    "/health": lambda v: ("/health", {}, lambda found: found["status"] == "ok"),
}  # fmt: skip
"""Every kind of question, by name."""


def asked_with(count: int, many: int) -> list[Values]:
    """What the questions are asked with: of log events all over an archive of so many events."""
    key, chance = Key(count), random.Random(7)
    found: list[Values] = []
    while len(found) < many:
        number = chance.randrange(count)
        values = key.values(number)
        if values["id"].startswith("span:"):
            continue
        late = format_time(key.values(count - 1)["from"] - _LATE)
        found.append(values | {"canaries": key.rows("attribute, rare", number), "late": late})
    return found


def api(port: int, asked: list[Values]) -> list[Latency]:
    """Each kind of question, once with each values. Raises RuntimeError for a wrong answer."""
    found = []
    for name, make in QUESTIONS.items():
        took, size = [], 0
        for values in asked:
            path, parameters, is_right = make(values)
            began = time.perf_counter()
            body = get(port, path, **parameters)
            took.append((time.perf_counter() - began) * 1e3)
            size += len(body)
            if not is_right(json.loads(body)):
                raise RuntimeError(f"{name}: {path} {parameters} gives a wrong answer: {body[:300]!r}")
        first, rest = took[0], sorted(took[1:] or took)
        p95, p99 = (rest[min(len(rest) * share // 100, len(rest) - 1)] for share in (95, 99))
        found.append(Latency(name, first, rest[len(rest) // 2], p95, p99, len(took), size / len(took)))
    return found


def main(arguments: list[str] | None = None) -> None:
    """Make the archive where none is given, ask, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, help="1,000,000 where no archive is given; else as many as it has")
    options.add_argument("--archive", type=Path, help="one that benchmarks.generate made; a trace is added")
    options.add_argument("--values", type=int, default=50, help="how many different values each question is asked with")
    options.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options.add_argument("--json", type=Path, help="also write the figures here")
    options.add_argument("--tiny", action="store_true", help="2,000 events, two values: whether it still runs")
    given = options.parse_args(arguments)
    points, times, idle, firsts, spans = POINTS, 7, (IDLE, 6.0), 50, serve_jaeger.SPANS
    if given.tiny:
        given.events, given.values, points, times = 2_000, 2, (serve_live.Point(2, 200, 0.5),), 1
        idle, firsts, spans = ((5,), 0.2), 2, 1_000
    found: dict[str, list[Any]] = {}
    print(f"{datetime.now(UTC):%Y-%m-%d}, CPython {platform.python_version()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="whence-bench-") as scratch:
        directory = given.archive or Path(scratch) / "archive"
        if given.archive is None:
            given.events = given.events or 1_000_000
            generate(directory, given.events)
        if "jaeger" in given.only and not (directory / "large").exists():
            serve_jaeger.add_large_trace(directory, spans)
        events = Engine(directory).blocks().rows() - (spans if (directory / "large").exists() else 0)
        if given.events not in (None, events):
            options.error(f"{directory} has {events:,} events, and not {given.events:,}")
        if "api" in given.only:
            with serve_jaeger.served(directory, Path(scratch)) as server:
                found["api"] = api(server.port, asked_with(events, given.values))
                memory = server.memory()
            _show_api(events, found["api"], memory)
        if "jaeger" in given.only:
            found["jaeger"], memory = serve_jaeger.measure(directory, times)
            _show_jaeger(events, found["jaeger"], memory)
    if "live" in given.only:
        found["live"] = [serve_live.measure(point) for point in points]
        _show_live(points, found["live"])
        found["idle"] = serve_streams.idle(*idle)
        _show_idle(found["idle"])
        found["first"] = serve_streams.first(firsts)
        _show_first(found["first"])
    if given.json:
        given.json.write_text(json.dumps({part: [one._asdict() for one in rows] for part, rows in found.items()}))


def _show_api(events: int, rows: list[Latency], memory: float) -> None:
    head = ["milliseconds, one after the other", "first", "p50", "p95", "p99", "answers", "bytes"]
    cells = [[one.name, *(f"{took:.1f}" for took in one[1:5]), str(one.answers), f"{one.size:,.0f}"] for one in rows]
    table(f"The API, {events:,} events", head, cells)
    print(f"The server had at most {memory:,.0f} MiB in memory.")


def _show_jaeger(events: int, rows: list[serve_jaeger.Timing], memory: float) -> None:
    head = ["milliseconds", "first", "median", "worst", "bytes"]
    cells = [[one.name, f"{one.first:.0f}", f"{one.median:.0f}", f"{one.worst:.0f}", f"{one.size:,}"] for one in rows]
    table(f"What Jaeger and Grafana ask, {events:,} events", head, cells)
    print(f"The server had at most {memory:,.0f} MiB in memory.")


def _show_live(points: tuple[serve_live.Point, ...], rows: list[serve_live.Result]) -> None:
    head = [
        "subscribers",
        "asked",
        "events/s",
        "to each",
        "exact",
        "late p50 ms",
        "p99 ms",
        "server cores",
        "server MiB",
        "clients",
    ]
    cells = [
        [
            str(point.subscribers), f"{point.rate:,}" if point.rate else "most", f"{one.written:,.0f}", f"{one.given:,.0f}",
            "yes" if one.exact else "NO",
            f"{one.late[0]:,.0f}", f"{one.late[1]:,.0f}", f"{one.server_cpu:.2f}",
            f"{one.server_mib:,.0f}", f"{one.client_cpu:.2f}",
        ]
        for point, one in zip(points, rows, strict=True)
    ]  # fmt: skip
    table("Live streams, Server-Sent Events", head, cells)


def _show_idle(rows: list[serve_streams.Idle]) -> None:
    head = ["subscribers", "connected in s", "KiB each", "server cores"]
    cells = [[f"{one.subscribers:,}", f"{one.connected:.1f}", f"{one.kib:.1f}", f"{one.cores:.3f}"] for one in rows]
    table("Subscribers to whom nothing happens, a heartbeat every 5 s", head, cells)


def _show_first(rows: list[serve_streams.First]) -> None:
    head = ["milliseconds, p50 and p99", "connected", "first old event", "written to arrival"]
    cells = [[one.way, *(f"{a:,.0f}, {b:,.0f}" for a, b in (one.connected, one.old, one.new))] for one in rows]
    table("Until the first thing is said", head, cells)


if __name__ == "__main__":
    main()
