"""Builders: `whence collect` with an archive, started again and again at the same ports, and senders that load it meanwhile.

Each sender has records of its own, one a request, and sends each again until it is taken, as exporters do.
"""

import http.client
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData, ResourceLogs, ScopeLogs

from build_lines import WHENCE
from build_receivers import PROTO, Called, called, lines_in
from build_requests import records_of
from build_walk import environment
from ports import free_port
from waiting import until

CONFIG = """\
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{http}", {more}}}, grpc: {{endpoint: "127.0.0.1:{grpc}"}}}}}}}}
exporters: {{whence: {{directory: "{archive}", {exporter}}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    logs: {{receivers: [otlp], exporters: [whence]}}
    traces: {{receivers: [otlp], exporters: [whence]}}
    metrics: {{receivers: [otlp], exporters: [whence]}}
"""


A_BREATH = 0.003
"""Seconds between an answer and the next request of a sender: six of them are a load, and the collector gets its share too."""


class Served:
    """A collector and its archive."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder, self.arguments = folder, arguments
        self.archive = folder / "archive"
        self.http, self.grpc = free_port(), free_port()
        self.log = folder / "log"
        self.config = folder / "c.yaml"
        self.starts = 0
        self.write()

    def write(self, more: str = "", exporter: str = "") -> None:
        """The configuration, with more settings of the HTTP listener and of the archive."""
        self.config.write_text(
            CONFIG.format(http=self.http, grpc=self.grpc, archive=self.archive, more=more, exporter=exporter)
        )

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        command = [WHENCE, "collect", "--config", str(self.config), "--state", str(self.folder), *self.arguments]
        self.starts += 1
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
        until(lambda: self.said("ready: ") == self.starts or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()

    def said(self, words: str) -> int:
        """How many lines of the log have these words in them."""
        return sum(words in line for line in self.log.read_text().splitlines()) if self.log.exists() else 0

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signals, and gives the exit code."""
        self.process.send_signal(number)
        return self.process.wait(90)

    def children(self) -> list[int]:
        """The processes it has started that are still there."""
        found = [path.read_text() for path in Path(f"/proc/{self.process.pid}/task").glob("*/children")]
        return [int(pid) for pid in " ".join(found).split() if is_running(int(pid))]

    def memory(self, what: str = "VmRSS") -> int:
        """Bytes that it holds (`VmRSS`), or has held since `forget_peak` (`VmHWM`). Linux."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(next(line for line in status.splitlines() if line.startswith(what)).split()[1])

    def forget_peak(self) -> None:
        """From now on `VmHWM` counts anew. Linux."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def bodies(self) -> Counter[str]:
        """The text of each log record in the archive, and how often it is there."""
        records = [one[-1] for line in lines_in(self.archive, "logs") for one in records_of("logs", orjson.loads(line))]
        return Counter(record["body"]["stringValue"] for record in records)


def is_running(pid: int) -> bool:
    """Whether a process is there, and no zombie. Linux."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def a_served(folder: Path, *arguments: str, more: str = "") -> Iterator[Served]:
    """One that runs; ended afterwards, with its processes."""
    folder.mkdir(exist_ok=True)
    one = Served(folder, *arguments)
    one.write(more)
    one.start()
    try:
        yield one
    finally:
        children = one.children() if one.process.poll() is None else []
        one.process.kill()
        one.process.wait(90)
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def a_request(body: str) -> bytes:
    """One log record."""
    record = LogRecord(time_unix_nano=1, body=AnyValue(string_value=body))
    data = LogsData(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[record])])])
    return bytes(data.SerializeToString())


class Load:
    """Senders over both transports, from `start` to `stop`."""

    def __init__(self, served: Served, http: int = 3, grpc: int = 3) -> None:
        self._served = served
        self._over = threading.Event()
        self.acknowledged: list[str] = []
        self.unanswered: Counter[str] = Counter()
        """Attempts whose connection broke: the sender cannot know what became of them."""
        self.refused: Counter[str] = Counter()
        """Attempts that were answered: not now."""
        self.wrong: list[str] = []
        """Answers that must not be."""
        names = [(self._over_http, f"http{n}") for n in range(http)] + [
            (self._over_grpc, f"grpc{n}") for n in range(grpc)
        ]
        self._threads = [threading.Thread(target=send, args=(name,), daemon=True) for send, name in names]
        self.senders = [name for _, name in names]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(90)

    def wait(self, count: int) -> None:
        """Until each sender has had so many more acknowledged."""
        before = Counter(one.split()[0] for one in list(self.acknowledged))

        def all_of_them() -> bool:
            now = Counter(one.split()[0] for one in list(self.acknowledged))
            return all(now[name] >= before[name] + count for name in self.senders)

        until(all_of_them)

    def _bodies(self, name: str) -> Iterator[str]:
        number = 0
        while not self._over.is_set():
            yield f"{name} {number}"
            number += 1

    def _over_http(self, name: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._served.http, timeout=60)
        for body in self._bodies(name):
            while not self._is_taken_over_http(connection, body) and not self._over.wait(0.02):
                pass
        connection.close()

    def _is_taken_over_http(self, connection: http.client.HTTPConnection, body: str) -> bool:
        try:
            if connection.sock is None:
                connection.connect()
        except OSError:
            return False  # nobody listens: nothing was sent
        try:
            connection.request("POST", "/v1/logs", a_request(body), {"content-type": PROTO})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self.unanswered[body] += 1
            connection.close()
            return False
        return self._noted(body, response.status == 200, response.status in (429, 503), f"HTTP {response.status}")

    def _over_grpc(self, name: str) -> None:
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.min_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 200),
        ]
        with grpc.insecure_channel(f"127.0.0.1:{self._served.grpc}", options) as channel:
            for body in self._bodies(name):
                while not self._is_taken_over_grpc(called(channel, "logs", a_request(body)), body):
                    if self._over.wait(0.02):
                        break

    def _is_taken_over_grpc(self, answer: Called, body: str) -> bool:
        if answer.code in ("UNAVAILABLE", "CANCELLED") and not answer.details:
            if "failed to connect" not in answer.message.lower():
                self.unanswered[body] += 1
            return False
        return self._noted(
            body, answer.code == "OK", answer.details == ["RetryInfo"], f"gRPC {answer.code}: {answer.message}"
        )

    def _noted(self, body: str, taken: bool, refused: bool, said: str) -> bool:
        if taken:
            self.acknowledged.append(body)
            self._over.wait(A_BREATH)
        elif refused:
            self.refused[body] += 1
        else:
            self.wrong.append(f"{body}: {said}")
        return taken

    def check(self, *, answered: bool) -> None:
        """Fails unless the archive has each acknowledged record once, and another only where its sender could not know.

        `answered`: nobody was left without an answer whose record was taken, so that nothing at all is there twice.
        """
        kept = self._served.bodies()
        assert self.wrong == []
        assert [body for body in self.acknowledged if not kept[body]] == [], "lost"
        assert len(self.acknowledged) == len(set(self.acknowledged))
        due = Counter(self.acknowledged)
        if not answered:
            due += self.unanswered
        assert {body: count for body, count in kept.items() if count > due[body]} == {}, "doubled"
