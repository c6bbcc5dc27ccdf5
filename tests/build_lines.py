"""Builders: a receiver and an exporter for collectors in processes of their own, and such a collector.

`line` listens on a TCP port, shared where there are several processes: each line is a log record, answered `ok`, `refused` or
`never`. `append` writes bodies to a file, on the device before it returns, and waits while `<file>.hold` is there,
leaving `<file>.held` to be seen.
Both are found by entry points, as any package's components are.
"""

import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ports import free_port
from waiting import until
from whence.collect.batch import Batch, Receipt
from whence.collect.component import Consumer, Health, Host, Plug
from whence.collect.outcome import Refused
from whence.collect.settings import Settings
from whence.errors import DataError
from whence.otlp.wire import Signal

SECONDS = 90.0
TESTS = Path(__file__).parent
WHENCE = str(Path(sys.executable).with_name("whence"))


class LineSettings(Settings):
    """Where it listens."""

    port: int


class AppendSettings(Settings):
    """Where it writes."""

    path: str
    label: str = ""


class LineReceiver:
    """One request a line."""

    def __init__(self, settings: LineSettings, host: Host, outputs: Mapping[Signal, Consumer]) -> None:
        self._settings = settings
        self._output = outputs["logs"]
        self._host = host

    def start(self, host: Host) -> None:
        """Listens."""
        output = self._output

        class Each(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    record = {"timeUnixNano": "1", "body": {"stringValue": line.decode().strip()}}
                    tree = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
                    try:
                        output.consume(Batch("logs", tree=tree, transport="line"))
                        self.wfile.write(f"ok {os.getpid()}\n".encode())
                    except Refused:
                        self.wfile.write(b"refused\n")
                    except DataError:
                        self.wfile.write(b"never\n")

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            allow_reuse_port = host.processes > 1
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", self._settings.port), Each)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self, deadline: float) -> None:
        """Listens no more; what is inside goes on."""
        self._server.shutdown()
        self._server.server_close()

    def health(self) -> Health:
        """Well."""
        return Health()


class Append:
    """A file of bodies."""

    def __init__(self, settings: AppendSettings, host: Host) -> None:
        self._settings = settings
        self._hold = Path(settings.path + ".hold")

    def start(self, host: Host) -> None:
        """Opens the file."""
        self._file = os.open(self._settings.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def consume(self, batch: Batch) -> Receipt:
        """Returns when it is on the device."""
        while self._hold.exists():
            Path(self._settings.path + ".held").touch()
            time.sleep(0.01)
        record = (batch.tree or {})["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
        os.write(self._file, (self._settings.label + record["body"]["stringValue"] + "\n").encode())
        os.fsync(self._file)
        return Receipt()

    def stop(self, deadline: float) -> None:
        """Leaves the file."""

    def health(self) -> Health:
        """As the file `<path>.sick` says."""
        sick = Path(self._settings.path + ".sick")
        return Health(False, sick.read_text()) if sick.exists() else Health()


LINE = Plug(LineSettings, LineReceiver)
APPEND = Plug(AppendSettings, Append)


def doubled(batch: Batch) -> Batch | None:
    """A processor that is nothing but a function."""
    return batch


class RunningCollector:
    """`whence collect` in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.kept = folder / "kept"
        self.port, self.health_port, self.metrics_port = free_port(), free_port(), free_port()
        self.config = folder / "otel.yaml"
        self.write()
        _entry_points(folder / "site")
        self.log = folder / "log"
        self.process = self._start(arguments)

    def write(self, label: str = "", more: str = "") -> None:
        """The configuration; `more` is merged into it as YAML at the end."""
        self.config.write_text(f"""\
receivers: {{line: {{port: {self.port}}}}}
processors: {{doubled: }}
exporters:
  append: {{path: {self.kept}, label: "{label}"}}
extensions: {{health_check: {{endpoint: "127.0.0.1:{self.health_port}"}}}}
service:
  extensions: [health_check]
  pipelines:
    logs: {{receivers: [line], processors: [doubled], exporters: [append]}}
  telemetry:
    logs: {{encoding: json}}
    metrics: {{address: "127.0.0.1:{self.metrics_port}"}}
{more}""")

    def _start(self, arguments: tuple[str, ...]) -> "subprocess.Popen[bytes]":
        path = os.pathsep.join((str(self.folder / "site"), str(TESTS)))
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [WHENCE, "collect", "--config", str(self.config), *arguments],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": path},
                stderr=log,
                stdout=log,
            )

    def wait_ready(self) -> None:
        """Until it says so."""
        self.until(lambda: self.said("ready") or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()

    def said(self, words: str) -> list[dict[str, Any]]:
        """The log entries with these words in them."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if words in line["msg"]]

    def until(self, true: Callable[[], Any]) -> None:
        """Waits for it, and shows the log where it does not come."""
        until(true, said=self.log.read_text)

    def send(self, body: str) -> str:
        """One line on a connection of its own; the answer. Raises OSError where nobody answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as one:
            one.sendall(body.encode() + b"\n")
            answer = one.makefile().readline().strip()
        if not answer:
            raise ConnectionResetError("no answer")
        return answer

    def health(self) -> tuple[int, dict[str, Any]]:
        """Status and body."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/", timeout=SECONDS) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as answer:
            return answer.code, json.load(answer)

    def metrics(self) -> str:
        """What is scraped."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=SECONDS) as answer:
            text: str = answer.read().decode()
            return text

    def lines(self) -> list[str]:
        """What was kept."""
        return self.kept.read_text().splitlines() if self.kept.exists() else []

    def children(self) -> list[int]:
        """The processes it has started."""
        found = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True
        )
        return [int(line.split()[0]) for line in found.stdout.splitlines() if "whence.collect.child" in line]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signals, and gives the exit code."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


@contextmanager
def a_collector(folder: Path, *arguments: str) -> Iterator[RunningCollector]:
    """One that runs and is ready; ended afterwards whatever happens."""
    one = RunningCollector(folder, *arguments)
    try:
        one.wait_ready()
        yield one
    finally:
        children = one.children()
        one.process.kill()
        one.process.wait(SECONDS)
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def _entry_points(site: Path) -> None:
    info = site / "lines_for_tests-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lines-for-tests\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[whence.receivers]\nline = build_lines:LINE\n"
        "[whence.exporters]\nappend = build_lines:APPEND\n"
        "[whence.processors]\ndoubled = build_lines:doubled\n"
    )
