"""One measurement in a process of its own.

`run` forks a child of this process, which has imported everything and started nothing; the functions in `CELLS` are what
can be measured in it.
"""

import gc
import json
import logging
import multiprocessing
import os
import signal
import statistics
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from benchmarks.samples import log_records, samples, spans
from benchmarks.ways import WAYS
from whence.native import CORE
from whence.otlp import from_objects, from_objects_native

FORK: Final = multiprocessing.get_context("fork")
BATCH: Final = 512
"""Records an exporter is given at a time: the SDK's default."""
WARM: Final = 500
CORES: Final = ({} if CORE.module is None else {"native": from_objects_native}) | {"pure": from_objects}
"""The cores that encode OpenTelemetry's objects here, the one in use first."""

Figures = dict[str, Any]


def caller(way: str, directory: str, chunks: int, chunk: int) -> Figures:
    """Microseconds an event costs: CPU of the thread that emits it, the clock on the wall meanwhile, CPU of all threads.

    Emitted in chunks that fit every queue; what is under way is finished in between, and counts for all threads only. The
    median chunk counts.
    """
    opened = WAYS[way](Path(directory))
    actions = samples(chunk)
    opened.emit(actions[:WARM])
    opened.settle()
    taken: dict[str, list[int]] = {"cpu": [], "wall": [], "all": []}
    for _ in range(chunks):
        whole, wall, cpu = time.process_time_ns(), time.perf_counter_ns(), time.thread_time_ns()
        opened.emit(actions)
        taken["cpu"].append(time.thread_time_ns() - cpu)
        taken["wall"].append(time.perf_counter_ns() - wall)
        opened.settle()
        taken["all"].append(time.process_time_ns() - whole)
    opened.close()
    return {name: statistics.median(values) / chunk / 1000 for name, values in taken.items()}


def latency(way: str, directory: str, count: int) -> Figures:
    """Microseconds until a single call comes back, one caller: the median and the 99th percentile."""
    opened = WAYS[way](Path(directory))
    actions = samples(count)
    opened.emit(actions[:10])
    taken = []
    for action in actions:
        before = time.perf_counter_ns()
        opened.emit((action,))
        taken.append((time.perf_counter_ns() - before) / 1000)
    opened.close()
    taken.sort()
    return {"p50": taken[len(taken) // 2], "p99": taken[len(taken) * 99 // 100]}


def encode(encoder: str, signal_name: str, count: int, repeats: int) -> Figures:
    """CPU microseconds a record costs to encode, in batches of 512, and its bytes."""
    records: Sequence[Any] = (log_records if signal_name == "log" else spans)(count)
    work = _encoder(encoder, signal_name)
    batches = [records[start : start + BATCH] for start in range(0, count, BATCH)]
    work(batches[0])
    taken = []
    for _ in range(repeats):
        gc.collect()
        before = time.thread_time_ns()
        size = sum(work(batch) for batch in batches)
        taken.append(time.thread_time_ns() - before)
    return {"cpu": statistics.median(taken) / count / 1000, "bytes": size / count}


def _encoder(encoder: str, signal_name: str) -> Callable[[Sequence[Any]], int]:
    """An encoder by name, as a function from a batch to how many bytes it became."""
    if encoder in CORES:
        ours: Any = CORES[encoder].encode_logs if signal_name == "log" else CORES[encoder].encode_spans
        return lambda batch: sum(len(line.data) for line in ours(batch).lines)
    if encoder == "json":
        from opentelemetry.exporter.otlp.json.common import _log_encoder, trace_encoder

        theirs: Any = _log_encoder.encode_logs if signal_name == "log" else trace_encoder.encode_spans
        return lambda batch: len(json.dumps(theirs(batch).to_dict(), separators=(",", ":")))
    from opentelemetry.exporter.otlp.proto.common import _log_encoder as protobuf_logs
    from opentelemetry.exporter.otlp.proto.common import trace_encoder as protobuf_spans

    proto: Any = protobuf_logs.encode_logs if signal_name == "log" else protobuf_spans.encode_spans
    return lambda batch: len(proto(batch).SerializeToString())


def burst(way: str, directory: str, count: int) -> Figures:
    """Emit without pause, then end in order: microseconds an event costs meanwhile, and what the program was told is lost."""
    opened = WAYS[way](Path(directory))
    actions = samples(count)
    before = time.perf_counter_ns()
    opened.emit(actions)
    taken = time.perf_counter_ns() - before
    opened.close()
    return {"wall": taken / count / 1000, "said": opened.said()}


def killed(way: str, directory: str, count: int, per_second: int) -> Figures:
    """Emit, at a pace or without pause (0), and be killed as the last call returns: no exit handler, no flush."""
    opened = WAYS[way](Path(directory))
    started = time.perf_counter()
    for number, action in enumerate(samples(count)):
        if per_second:
            time.sleep(max(0.0, started + number / per_second - time.perf_counter()))
        opened.emit((action,))
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def memory(way: str, directory: str, count: int) -> Figures:
    """Resident MiB of a program that does nothing but emit: before, after each tenth, and the peak; seconds it took."""
    opened = WAYS[way](Path(directory))
    actions = samples(1000)
    resident = [_status("VmRSS")]
    started = time.perf_counter()
    for _ in range(10):
        left = count // 10
        while left > 0:
            opened.emit(islice(actions, left))
            left -= len(actions)
        resident.append(_status("VmRSS"))
    taken = time.perf_counter() - started
    opened.close()
    return {"resident": resident, "peak": _status("VmHWM"), "seconds": taken, "said": opened.said()}


def _status(field: str) -> float:
    """MiB, from what the kernel says of this process; 0 where it does not say it like Linux."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":")), 0.0)


CELLS: Final[dict[str, Callable[..., Figures]]] = {
    measure.__name__: measure for measure in (caller, latency, encode, burst, killed, memory)
}


def run(cell: str, **arguments: Any) -> Figures:
    """A cell's figures. One that was killed, as it should be, has none. Raises RuntimeError where it failed."""
    ours, theirs = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_measure, args=(theirs, cell, arguments))
    child.start()
    theirs.close()
    try:
        figures: Figures = ours.recv()
    except EOFError:
        figures = {}
    child.join()
    if "failed" in figures or child.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"cannot measure {cell} {arguments}: {figures.get('failed', child.exitcode)}")
    return figures


def _measure(answer: Connection, cell: str, arguments: Figures) -> None:
    logging.disable()  # what is lost is in the table
    warnings.simplefilter("ignore")
    try:
        answer.send(CELLS[cell](**arguments))
    except Exception:
        answer.send({"failed": traceback.format_exc()})
