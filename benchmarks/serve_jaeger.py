"""How fast a served archive answers what Jaeger, its UI and Grafana ask: searches, summaries, traces, lists, over HTTP and gRPC.

The law: the server is a process of its own, as `whence serve` starts it; every answer is looked at before its time counts.
`python -m benchmarks.serve_jaeger --events 1000000` makes the archive; `--archive DIR` takes one that is there.
"""

import argparse
import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import grpc
import orjson

from benchmarks.generate import START, generate
from whence.archive.writer import ArchiveWriter
from whence.index.engine import Engine
from whence.otlp.page import Line
from whence.serve.jaeger.proto import STORAGE

LARGE: Final = f"{0x10008:032x}"
SPANS: Final = 10_008
PER_LINE: Final = 500
_SERVICE: Final = "large"
_SERVE: Final = "import sys; from whence.cli import main; sys.argv[1:1] = ['serve', '--config']; main()"
READER: Final = "/jaeger.storage.v2.TraceReader"
WINDOW: Final = {"query.startTimeMin": "2020-01-01T00:00:00Z", "query.startTimeMax": "2040-01-01T00:00:00Z"}


class Timing(NamedTuple):
    """How long one question took, in milliseconds."""

    name: str
    first: float
    median: float
    worst: float
    size: int
    """Bytes of the answer."""


def add_large_trace(directory: Path, count: int = SPANS) -> None:
    """One trace of so many spans, each with five attributes, in lines of 500."""
    writer = ArchiveWriter(directory)
    for at in range(0, count, PER_LINE):
        spans = [_span(n) for n in range(at, min(at + PER_LINE, count))]
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": _SERVICE}}]}
        tree = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "bench"}, "spans": spans}]}]}
        writer.append("large", "traces", [Line(orjson.dumps(tree) + b"\n", len(spans), START, START)])
    report = writer.close()
    if report.reason:
        raise RuntimeError(f"cannot add the large trace: {report.reason}")


def _span(n: int) -> dict[str, Any]:
    start = START + n * 1_000_000
    said = {
        "http.route": "/orders",
        "step": str(n % 10),
        "region": "north",
        "attempt": str(n % 3),
        "worker": str(n % 40),
    }
    return {
        "traceId": LARGE, "spanId": f"{n + 1:016x}", "name": f"step {n % 10}", "kind": 1,
        **({"parentSpanId": f"{n // 8 + 1:016x}"} if n else {}),
        "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 5_000_000),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in said.items()],
    }  # fmt: skip


class Server(NamedTuple):
    """`whence serve`: its ports of HTTP and gRPC, and its process."""

    port: int
    remote: int
    pid: int

    def memory(self) -> float:
        """The most MiB it has had in memory, mapped files included; 0 where the system does not say."""
        status = Path(f"/proc/{self.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


@contextmanager
def served(directory: Path, scratch: Path) -> Iterator[Server]:
    """`whence serve` of this archive."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    config = scratch / "serve.yaml"
    config.write_text(
        f"directory: {directory}\nendpoint: 127.0.0.1:{ports[0]}\njaeger: {{endpoint: 127.0.0.1:{ports[1]}}}\n"
    )
    process = subprocess.Popen([sys.executable, "-c", _SERVE, str(config)])
    try:
        until = time.monotonic() + 120
        while True:
            try:
                get(ports[0], "/health")
                break
            except OSError:
                if time.monotonic() > until or process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield Server(ports[0], ports[1], process.pid)
    finally:
        process.terminate()
        process.wait(60)


def get(port: int, path: str, accept: str = "application/json", **query: Any) -> bytes:
    """The body of an answer that must be 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    try:
        connection.request("GET", path + (f"?{urlencode(query)}" if query else ""), headers={"Accept": accept})
        reply = connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{path}: {reply.status} {body[:300]!r}")
        return body
    finally:
        connection.close()


def questions(port: int, channel: grpc.Channel) -> dict[str, Callable[[], bytes]]:
    """Everything that is asked, by name."""

    def remote(method: str, **fields: Any) -> bytes:
        call = channel.unary_stream(f"{READER}/{method}", STORAGE[f"{method}Request"].SerializeToString)
        return b"".join(call(STORAGE[f"{method}Request"](**fields), timeout=600))

    service = min(set(json.loads(get(port, "/api/services"))["data"]) - {_SERVICE})
    [newest] = json.loads(get(port, "/api/traces", service=service, limit=1))["data"]
    small, operation = newest["traceID"], newest["spans"][0]["operationName"]
    return {
        "services": lambda: get(port, "/api/services"),
        "operations": lambda: get(port, "/api/operations", service=service),
        "one trace": lambda: get(port, f"/api/traces/{small}"),
        "search: 20 newest, whole": lambda: get(port, "/api/traces", service=service, limit=20),
        "search: operation, over 1 s": lambda: get(
            port, "/api/traces", service=service, operation=operation, minDuration="1s", limit=20
        ),
        "search: tag error=true": lambda: get(port, "/api/traces", service=service, tags='{"error":"true"}', limit=20),
        "search: tag that is nowhere": lambda: get(port, "/api/traces", service=service, tags='{"no":"where"}'),
        "summaries: 20 newest": lambda: get(
            port, "/api/v3/trace-summaries", **WINDOW, **{"query.serviceName": service, "query.searchDepth": 20}
        ),
        "summaries: 1,500 newest": lambda: get(
            port, "/api/v3/trace-summaries", **WINDOW, **{"query.searchDepth": 1500}
        ),
        "gRPC summaries: 20": lambda: remote("FindTraceSummaries", query={"service_name": service, "search_depth": 20}),
        "gRPC traces: 20": lambda: remote("FindTraces", query={"service_name": service, "search_depth": 20}),
        "dependencies, of all time": lambda: get(port, "/api/dependencies"),
        "TraceQL: 20 newest": lambda: get(port, "/tempo/api/search", q=f'{{ resource.service.name = "{service}" }}'),
        "TraceQL: errors over 1 s": lambda: get(port, "/tempo/api/search", q="{ status = error && duration > 1s }"),
        "tags": lambda: get(port, "/tempo/api/v2/search/tags"),
        f"{SPANS:,} spans, v1": lambda: get(port, f"/api/traces/{LARGE}"),
        f"{SPANS:,} spans, v3": lambda: get(port, f"/api/v3/traces/{LARGE}"),
        f"{SPANS:,} spans, Tempo protobuf": lambda: get(port, f"/tempo/api/v2/traces/{LARGE}", "application/protobuf"),
        f"{SPANS:,} spans, gRPC": lambda: remote("GetTraces", query=[{"trace_id": bytes.fromhex(LARGE)}]),
    }


def measure(directory: Path, times: int = 7) -> tuple[list[Timing], float]:
    """The timings of an archive that has its index and the large trace, and the MiB that the server had at most."""
    found = []
    with tempfile.TemporaryDirectory() as scratch, served(directory, Path(scratch)) as server:
        options = [("grpc.max_receive_message_length", 4 << 20)]
        with grpc.insecure_channel(f"127.0.0.1:{server.remote}", options) as channel:
            for name, ask in questions(server.port, channel).items():
                took, size = [], 0
                for _ in range(times + 1):
                    began = time.perf_counter()
                    size = len(ask())
                    took.append((time.perf_counter() - began) * 1e3)
                found.append(Timing(name, took[0], statistics.median(took[1:]), max(took[1:]), size))
        return found, server.memory()


def show(found: list[Timing]) -> None:
    """One line a question."""
    print(f"{'question':<34} {'first':>9} {'median':>9} {'worst':>9} {'answer':>12}")
    for one in found:
        print(f"{one.name:<34} {one.first:>6.0f} ms {one.median:>6.0f} ms {one.worst:>6.0f} ms {one.size:>10,} B")


def main() -> None:
    """Make the archive where none is given, and measure."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument(
        "--archive", type=Path, help="an archive of benchmarks.generate; the large trace is added to it"
    )
    options.add_argument("--times", type=int, default=7)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="whence-bench-") as scratch:
        directory = given.archive or Path(scratch) / "archive"
        if given.archive is None:
            generate(directory, given.events)
        if not (directory / "large").exists():
            add_large_trace(directory)
        Engine(directory).blocks()
        found, memory = measure(directory, given.times)
        show(found)
        print(f"{memory:,.0f} MiB at most")


if __name__ == "__main__":
    main()
