"""`make bench-forward`: how much OTLP the collector sends on, to another whence and to rotel, both throwing it away.

Every row is a collector between the load of `benchmarks.collect` and a backend, each a process of its own on the same cores. Its
queue is short and makes senders wait, so that what is taken is what is sent on. CPU is that of the collector in the middle alone.
`python -m benchmarks.forward [--seconds N] [--rotel FILE]`.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.collect import IN_FLIGHT, Server, _cells, _rotel, free_port, measure, rotel_server, running
from benchmarks.record import table
from benchmarks.requests import PER_REQUEST

_CONFIG: Final = """
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{http}"}}, grpc: {{endpoint: "127.0.0.1:{grpc}"}}}}}}
exporters: {{{exporter}}}
{extensions}
service:
  telemetry: {{metrics: {{level: none}}}}
  {used}
  pipelines:
    traces: {{receivers: [otlp], exporters: [{name}]}}
    logs: {{receivers: [otlp], exporters: [{name}]}}
"""

Case = tuple[str, Callable[[], AbstractContextManager[Server]], Callable[[Server], AbstractContextManager[Server]]]
"""A row's name, its backend, and what stands before that."""


@contextmanager
def whence(exporter: str, storage: bool = False) -> Iterator[Server]:
    """A collector with one exporter."""
    with tempfile.TemporaryDirectory(prefix="whence-bench-") as folder:
        http, grpc = free_port(), free_port()
        extensions = f"extensions: {{file_storage: {{directory: {folder}/queue}}}}" if storage else ""
        used = "extensions: [file_storage]" if storage else ""
        name = exporter.partition(":")[0]
        config = Path(folder, "config.yaml")
        config.write_text(
            _CONFIG.format(http=http, grpc=grpc, exporter=exporter, extensions=extensions, used=used, name=name)
        )
        command = [str(Path(sys.executable).with_name("whence")), "collect", "--config", str(config)]
        with running([*command, "--state", f"{folder}/state"], http, grpc) as server:
            yield server


def exporter(by: str, backend: Server, compression: str, storage: bool) -> str:
    """The one that sends on."""
    queue = "queue_size: 20, block_on_overflow: true" + (", storage: file_storage" if storage else "")
    target = f"http://127.0.0.1:{backend.http if by == 'http' else backend.grpc}"
    return f'otlp_{by}: {{endpoint: "{target}", compression: {compression}, sending_queue: {{{queue}}}}}'


def rotel_between(agent: Path, by: str, backend: Server, compression: str) -> AbstractContextManager[Server]:
    """rotel, which sends on; it answers before it has."""
    http, grpc = free_port(), free_port()
    target = f"http://127.0.0.1:{backend.http if by == 'http' else backend.grpc}"
    listens = ["--otlp-http-endpoint", f"127.0.0.1:{http}", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"]
    sends = ["--exporter", "otlp", "--otlp-exporter-endpoint", target, "--otlp-exporter-protocol", by]
    return running([str(agent), "start", *listens, *sends, "--otlp-exporter-compression", compression], http, grpc)


def _cases(by: str, rotel: Path | None) -> list[Case]:
    def nop() -> AbstractContextManager[Server]:
        return whence("nop: {}")

    def sends(compression: str, storage: bool = False) -> Callable[[Server], AbstractContextManager[Server]]:
        return lambda backend: whence(exporter(by, backend, compression, storage), storage)

    packed = ("gzip", "zstd") if by == "http" else ("gzip",)
    found: list[Case] = [(f"whence to whence, {kind}", nop, sends(kind)) for kind in (*packed, "none")]
    found.append(("whence to whence, none, queue on disk", nop, sends("none", True)))
    if rotel:
        found.append(("whence to rotel, none", lambda: rotel_server(rotel), sends("none")))
        for kind in ("gzip", "none"):
            name = f"rotel to whence, {kind}"
            found.append((name, nop, lambda backend, kind=kind: rotel_between(rotel, by, backend, kind)))  # type: ignore[misc]
    return found


def main(arguments: list[str] | None = None) -> None:
    """The whole table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each row")
    parser.add_argument("--rotel", type=Path, default=_rotel(), help="the program rotel-agent")
    parser.add_argument("--tiny", action="store_true", help="one row: whether it still runs")
    given = parser.parse_args(arguments)
    if given.tiny:
        given.seconds, given.rotel = 0.2, None
    rows = []
    for by in ("http", "grpc")[: 1 if given.tiny else 2]:
        for name, make, between in _cases(by, given.rotel)[: 1 if given.tiny else None]:
            with make() as backend, between(backend) as server:
                rows.append(measure(name, server, by, "traces", given.seconds))
    print(f"{datetime.now(UTC):%Y-%m-%d}, CPython {platform.python_version()}, {os.cpu_count()} cores")
    head = ["sent on", "", "records/s", "CPU s per million", "p50 ms", "p99 ms", "failed", "memory MiB"]
    table(f"{IN_FLIGHT} requests of {PER_REQUEST} records in flight", head, [_cells(row) for row in rows])


if __name__ == "__main__":
    main()
