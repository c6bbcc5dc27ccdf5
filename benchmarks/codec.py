"""`make bench-codec`: how fast OTLP becomes lines, trees and protobuf, beside protobuf's own parse and the official writers;
and how fast a filter passes over lines.

All rows of a table come from one run of one thread, measured in turn, a round at a time, each round on requests never seen
before; shown are medians of CPU time over the rounds. MB/s is of what a row reads, so that rows are compared by records/s.
"""

import argparse
import gc
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate
from typing import Any, Final, NamedTuple

import orjson
from google.protobuf import json_format
from opentelemetry.exporter.otlp.json.common import _log_encoder, trace_encoder
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from benchmarks.cell import CORES
from benchmarks.record import table
from benchmarks.requests import PER_REQUEST, requests
from benchmarks.samples import log_records, spans
from benchmarks.sifting import sifting
from whence.index.lines import native_batches, pure_batches
from whence.index.requests import lines_and_columns
from whence.native import CORE
from whence.otlp import from_json, from_native, from_protobuf, from_tree, to_protobuf, wire
from whence.otlp.decode import Place

SIGNALS: Final[tuple[wire.Signal, ...]] = ("traces", "logs", "metrics")
OFFICIAL: Final[dict[str, Any]] = {"traces": TracesData, "logs": LogsData, "metrics": MetricsData}


class Row(NamedTuple):
    """One way to turn one thing into another."""

    name: str
    given: str
    """What it reads, of the names in `forms`."""
    work: Any
    """A function of one thing; or the name of one of a core's."""


def forms(signal: wire.Signal, data: Sequence[bytes]) -> dict[str, list[Any]]:
    """Each request in every form that a row reads."""
    trees = [wire.tree_of_protobuf(signal, request) for request in data]
    lines = [[line.data for line in wire.lines_of_protobuf(signal, request).lines] for request in data]
    return {
        "protobuf": list(data),
        "json": [orjson.dumps(tree) for tree in trees],
        "tree": trees,
        "lines": lines,
        "base64 json": [
            json_format.MessageToJson(OFFICIAL[signal].FromString(request), indent=None) for request in data
        ],
    }


def rows(signal: wire.Signal) -> list[Row]:
    """What is measured of a signal: whence's own ways by each core that is here, and beside them those of others."""
    official = OFFICIAL[signal]
    own = [
        Row("protobuf to lines", "protobuf", "lines_of_protobuf"),
        Row("protobuf to tree", "protobuf", "tree_of_protobuf"),
        Row("protobuf counted", "protobuf", "count_of_protobuf"),
        Row("JSON to lines", "json", "lines_of_json"),
        Row("JSON to tree", "json", "tree_of_json"),
        Row("JSON to protobuf", "json", "protobuf_of_json"),
        Row("JSON counted", "json", "count_of_json"),
        Row("lines to protobuf", "lines", "protobuf_of_lines"),
        Row("tree to lines", "tree", "lines_of_tree"),
        Row("tree to protobuf", "tree", "protobuf_of_tree"),
    ]
    events = signal != "metrics"
    return [
        Row("protobuf's parse alone (upb)", "protobuf", official.FromString),
        Row("JSON parsed alone (orjson)", "json", orjson.loads),
        *(
            Row(f"{name}, {core}", given, partial(way(work), signal))
            for core, way in cores()
            for name, given, work in own
        ),
        *(
            row
            for core, (of_lines, of_request) in columns().items()
            for row in (
                Row(f"lines to columns, {core}", "lines", of_lines),
                Row(f"protobuf to both, {core}", "protobuf", partial(of_request, signal)),
            )
            if events
        ),
        Row(
            "protobuf to JSON, json_format",
            "protobuf",
            lambda data: json_format.MessageToJson(official.FromString(data), indent=None),
        ),
        Row("JSON to protobuf, json_format", "base64 json", lambda data: json_format.Parse(data, official())),
    ]


def cores() -> list[tuple[str, Callable[[str], Callable[..., Any]]]]:
    """The cores that are here, each as what gives its functions by their names."""
    pure = (from_protobuf, from_json, from_tree, to_protobuf)
    found = [("pure Python", lambda name: next(getattr(of, name) for of in pure if hasattr(of, name)))]
    if CORE.module is not None:
        found.insert(0, ("native", lambda name: getattr(from_native, name)))
    return found


_PLACE: Final = Place("logs-20260101T000000.000000Z-host.1.0123abcd-000001", 0)


def columns() -> dict[str, tuple[Callable[..., Any], Callable[..., Any]]]:
    """By core: what makes an index's columns of lines, and what makes lines and columns of a request."""

    def placed(lines: list[bytes]) -> list[tuple[int, bytes]]:
        return list(zip(accumulate(map(len, lines), initial=0), lines, strict=False))

    def pure(lines: list[bytes]) -> None:
        for _ in pure_batches(_PLACE.stem, placed(lines), print):
            pass

    def native(lines: list[bytes]) -> None:
        for _ in native_batches(_PLACE.stem, placed(lines), print):
            pass

    def both(signal: wire.Signal, data: bytes) -> None:
        pure([line.data for line in from_protobuf.lines_of_protobuf(signal, data).lines])

    found = {"pure Python": (pure, both)}
    if CORE.module is not None:
        whole = partial(lines_and_columns, place=_PLACE, tell=print)
        found = {"native": (native, whole), **found}
    return found


def size_of(value: Any) -> int:
    """Bytes of what a row reads; of a tree, those of its JSON."""
    if isinstance(value, dict):
        return len(orjson.dumps(value))
    return sum(map(len, value)) if isinstance(value, list) else len(value)


def cpu(work: Callable[[Any], Any], items: Sequence[Any]) -> float:
    """CPU seconds of this thread for all the items."""
    before = time.thread_time_ns()
    for item in items:
        work(item)
    return (time.thread_time_ns() - before) / 1e9


def codec(signal: wire.Signal, rounds: int, batches: int) -> None:
    """The table of one signal."""
    measured: dict[str, list[tuple[float, int]]] = {}
    for number in range(rounds + 1):  # the first warms up
        gc.unfreeze()
        given = forms(signal, requests(signal, batches, number))
        gc.collect()
        gc.freeze()  # what is measured shall not pay for going over what the benchmark keeps
        for name, form, work in rows(signal):
            taken = cpu(work, given[form])
            if number:
                measured.setdefault(name, []).append((taken, sum(map(size_of, given[form]))))
    parse = measured["protobuf's parse alone (upb)"]
    count = batches * PER_REQUEST
    shown = []
    for name, found in measured.items():
        of_parse = statistics.median(mine[0] / upb[0] for mine, upb in zip(found, parse, strict=True))
        shown.append(
            (
                name,
                f"{statistics.median(count / taken for taken, _ in found):,.0f}",
                f"{statistics.median(size / taken / 1e6 for taken, size in found):,.1f}",
                f"{statistics.median(taken / count * 1e6 for taken, _ in found):.2f}",
                f"{of_parse:.1f}x",
            )
        )
    what = {"traces": "spans", "logs": "log records", "metrics": "data points"}[signal]
    size = parse[0][1] / count
    table(f"{what.capitalize()}, {size:.0f} bytes of protobuf each", ("", f"{what}/s", "MB/s", "us", "of upb"), shown)


def encoders(rounds: int, count: int) -> None:
    """The SDK's objects to JSON: our encoder beside the official JSON exporter's."""
    given: dict[str, Sequence[Any]] = {"spans": spans(count), "log records": log_records(count)}
    ways: dict[str, dict[str, Callable[[Any], Any]]] = {
        **{
            f"whence, {'native' if core == 'native' else 'pure Python'}": {
                "spans": module.encode_spans,
                "log records": module.encode_logs,
            }
            for core, module in CORES.items()
        },
        "official JSON exporter": {
            "spans": lambda batch: json.dumps(trace_encoder.encode_spans(batch).to_dict()),
            "log records": lambda batch: json.dumps(_log_encoder.encode_logs(batch).to_dict()),
        },
    }
    gc.collect()
    gc.freeze()
    measured: dict[str, dict[str, list[float]]] = {way: {what: [] for what in given} for way in ways}
    for number in range(rounds + 1):
        for way, work in ways.items():
            for what, items in given.items():
                batches = [items[start : start + PER_REQUEST] for start in range(0, count, PER_REQUEST)]
                taken = cpu(work[what], batches)
                if number:
                    measured[way][what].append(count / taken)
    shown = [(way, *(f"{statistics.median(found[what]):,.0f}" for what in given)) for way, found in measured.items()]
    table("Records of the SDK to OTLP JSON, a second", ("", *given), shown)


def main() -> None:
    """Measure and print, a signal at a time."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.codec", description=__doc__)
    asked.add_argument("--rounds", type=int, default=9, help="how often each row is measured")
    asked.add_argument("--batches", type=int, default=8, help="requests in a round, of 512 records each")
    asked.add_argument("--signal", choices=SIGNALS, nargs="+", default=list(SIGNALS), help="signals to measure")
    asked.add_argument("--tiny", action="store_true", help="every row, in seconds; the figures mean nothing")
    given = asked.parse_args()
    rounds, batches = (1, 1) if given.tiny else (given.rounds, given.batches)
    print(
        f"whence, measured {datetime.now(UTC):%Y-%m-%d} on {platform.system()} {platform.machine()}, "
        f"{platform.python_implementation()} {platform.python_version()}; one thread, {rounds} rounds, medians\n"
        f"core: {'pure Python' if CORE.module is None else 'native'}, {CORE.why}"
    )
    for signal in given.signal:
        codec(signal, rounds, batches)
    encoders(rounds, batches * PER_REQUEST)
    sifting(min(rounds, 3), 500 if given.tiny else 40_000)


if __name__ == "__main__":
    main()
