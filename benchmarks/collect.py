"""`make bench-collect`: how much OTLP the collector takes, each request acknowledged when it is on the device, beside its peers.

Every row is a server of its own and, in turn, the same load from another process on the same cores: so many requests in flight
for so many seconds. CPU is the server's, all its processes together. The OpenTelemetry Collector writes the same lines by its
file exporter, which does not sync them; rotel throws away what it gets (it has no file to write to). Each is left out where it
is not installed. `python -m benchmarks.collect [--seconds N] [--otelcol FILE] [--rotel FILE] [--json FILE]`.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import signal as signals
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc.aio

from benchmarks.record import table
from benchmarks.requests import PER_REQUEST, requests
from whence.native import CORE
from whence.otlp.service import METHODS
from whence.otlp.wire import Signal

DIFFERENT: Final = 40
"""Requests that are sent round and round."""
IN_FLIGHT: Final = 8
SIGNALS: Final[tuple[Signal, ...]] = ("traces", "logs")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_CONFIG: Final = """
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{http}"}}, grpc: {{endpoint: "127.0.0.1:{grpc}"}}}}}}
exporters:
  whence: {{directory: {directory}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [whence]}}
    logs: {{receivers: [otlp], exporters: [whence]}}
"""
_OTELCOL: Final = """
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{http}"}}, grpc: {{endpoint: "127.0.0.1:{grpc}"}}}}}}
exporters:
  file/traces: {{path: {directory}/traces.jsonl}}
  file/logs: {{path: {directory}/logs.jsonl}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file/traces]}}
    logs: {{receivers: [otlp], exporters: [file/logs]}}
"""


class Load(NamedTuple):
    """What one load process found: requests answered well, seconds, and each answer's time in milliseconds."""

    answered: int
    failed: int
    seconds: float
    p50: float
    p99: float


# --- the load, in a process of its own ------------------------------------------------------------------------------------


async def _http(port: int, signal: Signal, seconds: float) -> Load:
    """Keep-alive connections, each with one request in flight."""
    heads = f"POST /v1/{signal} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: "
    data = [heads.encode() + str(len(body)).encode() + b"\r\n\r\n" + body for body in requests(signal, DIFFERENT, 1)]
    times: list[float] = []
    failed = 0
    until = time.perf_counter() + seconds

    async def connection(first: int) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        number = first
        while time.perf_counter() < until:
            began = time.perf_counter()
            writer.write(data[number % DIFFERENT])
            head = await reader.readuntil(b"\r\n\r\n")
            lower = head.lower()
            if b"content-length: " in lower:
                await reader.readexactly(int(lower.split(b"content-length: ")[1].split(b"\r\n")[0]))
            elif b"chunked" in lower:
                await reader.readuntil(b"0\r\n\r\n")
            if head.split(b" ", 2)[1] == b"200":
                times.append((time.perf_counter() - began) * 1e3)
            else:
                failed += 1
            number += IN_FLIGHT
        writer.close()

    await asyncio.gather(*(connection(number) for number in range(IN_FLIGHT)))
    return _load(times, failed, seconds)


async def _grpc(port: int, signal: Signal, seconds: float) -> Load:
    """One channel a request in flight, as as many clients would have."""
    data = requests(signal, DIFFERENT, 1)
    times: list[float] = []
    failed = 0
    until = time.perf_counter() + seconds

    async def client(first: int) -> None:
        nonlocal failed
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
            export = channel.unary_unary(METHODS[signal])
            number = first
            while time.perf_counter() < until:
                began = time.perf_counter()
                try:
                    await export(data[number % DIFFERENT])
                    times.append((time.perf_counter() - began) * 1e3)
                except grpc.aio.AioRpcError:
                    failed += 1
                number += IN_FLIGHT

    await asyncio.gather(*(client(number) for number in range(IN_FLIGHT)))
    return _load(times, failed, seconds)


def _load(times: list[float], failed: int, seconds: float) -> Load:
    ordered = sorted(times) or [float("nan")]
    return Load(len(times), failed, seconds, statistics.median(ordered), ordered[int(len(ordered) * 0.99)])


def load(protocol: str, port: int, signal: Signal, seconds: float) -> Load:
    """The load from another process."""
    command = [sys.executable, "-m", "benchmarks.collect", "--load", protocol, str(port), signal, str(seconds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return Load(*json.loads(done.stdout))


# --- the servers ----------------------------------------------------------------------------------------------------------


class Server(NamedTuple):
    """A server that is running: its process, and the ports it listens on."""

    pid: int
    http: int
    grpc: int


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(command: list[str], http: int, grpc_port: int, **variables: str) -> Iterator[Server]:
    """A server that listens, until the end of the block."""
    with (
        tempfile.TemporaryFile() as told,
        subprocess.Popen(command, stdout=told, stderr=told, env={**os.environ, **variables}) as process,
    ):
        try:
            until = time.monotonic() + 60
            for port in (http, grpc_port):
                while True:
                    try:
                        socket.create_connection(("127.0.0.1", port), 1).close()
                        break
                    except OSError:
                        if process.poll() is not None or time.monotonic() > until:
                            told.seek(0)
                            sys.exit(f"{command[0]} does not listen: {told.read().decode(errors='replace')}")
                        time.sleep(0.05)
            yield Server(process.pid, http, grpc_port)
        finally:
            process.send_signal(signals.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def whence_server(processes: int = 1, **variables: str) -> Iterator[Server]:
    """The collector with an archive, as it is without being told anything more."""
    with tempfile.TemporaryDirectory(prefix="whence-bench-") as folder:
        http, grpc_port = free_port(), free_port()
        config = Path(folder, "config.yaml")
        config.write_text(_CONFIG.format(http=http, grpc=grpc_port, directory=Path(folder, "archive")))
        command = [str(Path(sys.executable).with_name("whence")), "collect", "--config", str(config)]
        if processes > 1:
            command += ["--processes", str(processes)]
        with running(command, http, grpc_port, **variables) as server:
            yield server


@contextmanager
def otelcol_server(program: Path) -> Iterator[Server]:
    """The OpenTelemetry Collector, which writes files."""
    with tempfile.TemporaryDirectory(prefix="whence-bench-") as folder:
        http, grpc_port = free_port(), free_port()
        config = Path(folder, "config.yaml")
        config.write_text(_OTELCOL.format(http=http, grpc=grpc_port, directory=folder))
        with running([str(program), "--config", str(config)], http, grpc_port) as server:
            yield server


@contextmanager
def rotel_server(agent: Path) -> Iterator[Server]:
    """rotel, which throws everything away."""
    http, grpc_port = free_port(), free_port()
    endpoints = ["--otlp-http-endpoint", f"127.0.0.1:{http}", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc_port}"]
    with running([str(agent), "start", *endpoints, "--exporter", "blackhole"], http, grpc_port) as server:
        yield server


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for one in found:
        for children in Path(f"/proc/{one}/task").glob("*/children"):  # any of its threads may have started one
            found += map(int, children.read_text().split())
    return found


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process and its children have used."""
    total = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def memory_of(pid: int) -> float:
    """MiB that a process and its children had at most, added."""
    found = 0
    for one in family(pid):
        status = Path(f"/proc/{one}/status").read_text()
        found += int(status.partition("VmHWM:")[2].split()[0])
    return found / 1024


# --- the table ------------------------------------------------------------------------------------------------------------


def measure(name: str, server: Server, protocol: str, signal: Signal, seconds: float) -> dict[str, Any]:
    """One row: a second at most to warm up, then the load."""
    port = server.http if protocol == "http" else server.grpc
    load(protocol, port, signal, min(seconds, 1.0))
    before = cpu_of(server.pid)
    found = load(protocol, port, signal, seconds)
    used = cpu_of(server.pid) - before
    records = found.answered * PER_REQUEST
    if used <= 0:
        sys.exit(f"{name}: the meter of CPU stands still; no row of this run can be trusted")
    return {
        "server": name, "protocol": protocol, "signal": signal, "records_per_s": records / found.seconds,
        "cpu_s_per_million": used / max(records, 1) * 1e6, "p50_ms": found.p50, "p99_ms": found.p99,
        "failed": found.failed, "memory_mib": memory_of(server.pid),
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """The whole table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each row")
    parser.add_argument("--otelcol", type=Path, default=_otelcol(), help="the program otelcol or otelcol-contrib")
    parser.add_argument("--rotel", type=Path, default=_rotel(), help="the program rotel-agent")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    parser.add_argument(
        "--tiny", action="store_true", help="one row of each protocol, a moment each: whether it still runs"
    )
    parser.add_argument("--load", nargs=4, metavar=("PROTOCOL", "PORT", "SIGNAL", "SECONDS"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.load:
        protocol, port, signal, seconds = given.load
        print(json.dumps(asyncio.run((_http if protocol == "http" else _grpc)(int(port), signal, float(seconds)))))
        return
    rows: list[dict[str, Any]] = []
    servers: list[tuple[str, Any]] = [("whence", whence_server), ("whence, 2 processes", lambda: whence_server(2))]
    if given.tiny:
        given.seconds, servers = 0.2, servers[:1]
    else:
        if CORE.module is not None:
            servers.insert(0, ("whence, pure Python", lambda: whence_server(WHENCE_NATIVE="0")))
        if given.otelcol:
            servers.append(("Collector, not synced", lambda: otelcol_server(given.otelcol)))
        if given.rotel:
            servers.append(("rotel, thrown away", lambda: rotel_server(given.rotel)))
    for protocol in ("http", "grpc"):
        for signal in SIGNALS[: 1 if given.tiny else 2]:
            for name, make in servers:
                with make() as server:
                    rows.append(measure(name, server, protocol, signal, given.seconds))
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, CPython {platform.python_version()}, {os.cpu_count()} cores; core: {CORE.why}"
    )
    head = ["server", "", "records/s", "CPU s per million", "p50 ms", "p99 ms", "failed", "memory MiB"]
    title = f"{IN_FLIGHT} requests of {PER_REQUEST} records in flight; whence acknowledges what is on the device"
    table(title, head, [_cells(row) for row in rows])
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        row["server"], f"{row['protocol']} {row['signal']}", f"{row['records_per_s']:,.0f}",
        f"{row['cpu_s_per_million']:.2f}", f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}", str(row["failed"]),
        f"{row['memory_mib']:.0f}",
    ]  # fmt: skip


def _otelcol() -> Path | None:
    """The Collector, where it is installed."""
    found = shutil.which("otelcol-contrib") or shutil.which("otelcol")
    return Path(found) if found else None


def _rotel() -> Path | None:
    """The binary in the `rotel` package, where that is installed."""
    try:
        import rotel
    except ImportError:
        return None
    found = Path(rotel.__file__).with_name("rotel-agent")
    return found if found.exists() else None


if __name__ == "__main__":
    main()
