"""How many subscribers get how many events a second over Server-Sent Events, with nothing missing or doubled, and how late.

The law: every byte of every subscriber is checked: two read each event's id, the others must have been given the same bytes.
`python -m benchmarks.serve_live --subscribers 100 --rate 10000 --seconds 20` measures one point.
"""

import argparse
import multiprocessing
import os
import re
import resource
import selectors
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple
from zlib import crc32

from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.otlp.page import Line
from whence.serve.run import Serving
from whence.serve.settings import ServeSettings

FORK: Final = multiprocessing.get_context("fork")
TICK: Final = 0.01
"""Seconds between two writes: what a recorder or a collector writes at once."""
UNPACED, _PORTION = 10_000, 500
"""Events of each second where as many are written as can be, and how many of them at once."""
READERS: Final = 2
"""Subscribers who read every event's id; the others compare bytes."""
PATIENCE: Final = 60.0
_BUFFER: Final = bytearray(1 << 18)
_EVENT: Final = re.compile(rb'data: \{"id":"(e\d{9})".*?"sent":(\d+)')
LINE: Final = (
    b'{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"town"}}]},"scopeLogs":'
    b'[{"scope":{"name":"town"},"logRecords":[{"timeUnixNano":"%d","observedTimeUnixNano":"%d","severityNumber":9,'
    b'"severityText":"INFO","eventName":"action","attributes":[{"key":"log.record.uid","value":{"stringValue":"e%09d"}},'
    b'{"key":"whence.run","value":{"stringValue":"run-1"}},{"key":"whence.kind","value":{"stringValue":"action"}},'
    b'{"key":"whence.agent","value":{"stringValue":"a%d"}},{"key":"whence.turn","value":{"intValue":"%d"}},'
    b'{"key":"whence.payload","value":{"kvlistValue":{"values":[{"key":"sent","value":{"intValue":"%d"}}]}}}]}]}]}]}'
    b"\n"
)


class Point(NamedTuple):
    """What is measured."""

    subscribers: int
    rate: int
    """Events a second; 0: as fast as they can be written."""
    seconds: float


class Result(NamedTuple):
    """What came out."""

    events: int
    """That were written; each subscriber got each of them once where `exact`."""
    exact: bool
    written: float
    """Events a second that were really written."""
    given: float
    """Events a second that each subscriber got, until the last had the last."""
    late: tuple[float, float]
    """Milliseconds from writing to reading: the median and the 99th percentile."""
    server_cpu: float
    """Seconds of CPU the server took for each second of writing."""
    server_mib: float
    """The most memory the server had."""
    megabytes: float
    """A second, to all subscribers."""
    client_cpu: float
    """Seconds of CPU the process of the subscribers took for each second."""


def measure(point: Point) -> Result:
    """One point, with a server, a writer and the subscribers in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        serving, server = begin(serve, Path(folder), "1h")
        port = server.recv()
        listening, ears = begin(_listen, port, point)
        ears.recv()
        before = cpu_of(serving.pid or 0)
        writing, writer = begin(_write, Path(folder), point)
        events, took = writer.recv()
        ears.send(events)
        heard = ears.recv()
        busy = cpu_of(serving.pid or 0) - before
        server.send(None)
        most = server.recv()
        for process in (serving, listening, writing):
            process.join(PATIENCE)
        return Result(
            events, heard["exact"], events / took, events / heard["seconds"], heard["late"],
            busy / heard["seconds"], most / 1024, heard["bytes"] / heard["seconds"] / 1e6,
            heard["cpu"] / heard["seconds"],
        )  # fmt: skip


def most_files() -> None:
    """Let this process open as many files as it may."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def begin(work: Callable[..., None], *given: Any) -> tuple[Any, Connection]:
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=work, args=(theirs, *given), daemon=True)
    process.start()
    return process, ours


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- the server and the writer ------------------------------------------------------------------------------------------


def serve(told: Connection, directory: Path, heartbeat: str) -> None:
    """A server with its default settings, save for the heartbeat."""
    settings = {"directory": str(directory), "endpoint": "127.0.0.1:0", "stream": {"heartbeat": heartbeat}}
    serving = Serving(ServeSettings.model_validate({**settings, "jaeger": {"enabled": False}}))
    most_files()
    serving.start()
    told.send(serving.port)
    told.recv()
    serving.stop(5.0)
    told.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _write(told: Connection, directory: Path, point: Point) -> None:
    """At the rate, or, where it is 0, as fast as the writer can."""
    writer = ArchiveWriter(directory, WriterOptions(rotate_bytes=20_000_000))
    total, number, began = int((point.rate or UNPACED) * point.seconds), 0, time.monotonic()
    while number < total:
        due = min(int((time.monotonic() - began) * point.rate) + 1 if point.rate else number + _PORTION, total)
        now = time.time_ns()
        lines = [Line(LINE % (now, now, n, n % 40, n // 500, now), 1, now, now) for n in range(number, due)]
        if lines:
            writer.append("run-1", "logs", lines)
        number = due
        if point.rate:
            time.sleep(TICK)
    told.send((total, time.monotonic() - began))
    writer.close()


# --- the subscribers ----------------------------------------------------------------------------------------------------


@dataclass
class _Ear:
    """One connection: the body of its answer without the chunks' sizes."""

    socket: socket.socket
    reads: bool
    begun: bool = False
    size: int = 0
    crc: int = 0
    seen: list[bytes] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    _head: bool = True
    _left: int = 0
    _rest: bytes = b""
    _line: bytes = b""

    def take(self, data: memoryview) -> None:
        """What came."""
        if len(data) < self._left:
            self._left -= len(data)
            self._body(data)
            return
        self._parse(self._rest + bytes(data))

    def _parse(self, data: bytes) -> None:
        at = 0
        if self._head:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._rest = data
                return
            self._head, at = False, end + 4
        while at < len(data):
            if self._left:
                part = data[at : at + self._left]
                at, self._left = at + len(part), self._left - len(part)
                self._body(part)
                continue
            start = at + 2 if data[at : at + 2] == b"\r\n" else at
            end = data.find(b"\r\n", start)
            if end < 0:
                break
            self._left, at = int(data[start:end], 16), end + 2
        self._rest = data[at:]

    def _body(self, part: memoryview | bytes) -> None:
        if not self.begun:
            self.begun = True  # the first chunk says that it is connected
            return
        self.size += len(part)
        self.crc = crc32(part, self.crc)
        if self.reads:
            self._read(bytes(part))

    def _read(self, part: bytes) -> None:
        now = time.time_ns()
        text = self._line + part
        whole = text.rfind(b"\n\n") + 2
        self._line = text[whole:] if whole > 1 else text
        for id, sent in _EVENT.findall(text[:whole] if whole > 1 else b""):
            self.seen.append(id)
            self.late.append((now - int(sent)) / 1e6)


def _listen(told: Connection, port: int, point: Point) -> None:
    most_files()
    ears = []
    waiting = selectors.DefaultSelector()
    for n in range(point.subscribers):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        ears.append(_Ear(connection, n < READERS))
        waiting.register(connection, selectors.EVENT_READ, ears[-1])
    deadline = time.monotonic() + PATIENCE + point.seconds * 3
    while not all(ear.begun for ear in ears):
        _hear(waiting, 1.0)
    told.send(None)
    began, busy, total = time.monotonic(), time.process_time(), -1
    while time.monotonic() < deadline:
        _hear(waiting, 0.1)
        if total < 0 and told.poll():
            total = told.recv()
        if total >= 0 and len(ears[0].seen) >= total and len({ear.size for ear in ears}) == 1:
            break
    seconds = time.monotonic() - began
    expected = [b"e%09d" % n for n in range(total)]
    exact = all(ear.seen == expected for ear in ears[:READERS]) and len({(ear.size, ear.crc) for ear in ears}) == 1
    late = sorted(ears[0].late) or [0.0]
    told.send(
        {
            "exact": exact,
            "seconds": seconds,
            "late": (late[len(late) // 2], late[len(late) * 99 // 100]),
            "bytes": sum(ear.size for ear in ears),
            "cpu": time.process_time() - busy,
        }
    )


def _hear(waiting: selectors.BaseSelector, seconds: float) -> None:
    for key, _ in waiting.select(seconds):
        got = key.fileobj.recv_into(_BUFFER)  # type: ignore[union-attr]
        key.data.take(memoryview(_BUFFER)[:got])


def main() -> None:
    """Measure one point and print it."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--subscribers", type=int, default=100)
    asked.add_argument("--rate", type=int, default=10_000)
    asked.add_argument("--seconds", type=float, default=20)
    given = asked.parse_args()
    print(told(Point(given.subscribers, given.rate, given.seconds)))


def told(point: Point) -> str:
    """One point measured, in a line."""
    found = measure(point)
    return (
        f"{point.subscribers:>4} subscribers, {found.written:>7,.0f} events/s written, {found.given:>7,.0f} given to each; "
        f"{found.events:,} events, {'each once' if found.exact else 'NOT ALL'}; "
        f"late {found.late[0]:,.0f} ms (p99 {found.late[1]:,.0f}); "
        f"{found.megabytes:,.0f} MB/s; server {found.server_cpu:.2f} cores, {found.server_mib:,.0f} MiB; "
        f"subscribers {found.client_cpu:.2f} cores"
    )


if __name__ == "__main__":
    main()
