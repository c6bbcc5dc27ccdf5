"""What a live stream costs that hardly says anything, and how soon it says the first thing, over each of the three ways.

The law: the server is a process of its own with its default settings; every answer is looked at before its time counts.
"""

import http.client
import json
import selectors
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from websockets.sync.client import connect

from benchmarks.serve_live import LINE, begin, cpu_of, most_files, serve
from whence.archive.writer import ArchiveWriter
from whence.otlp.page import Line

_HEARD: Final = bytearray(1 << 16)
_WAIT: Final = 600.0
_EVENTS: Final = 1_000


class Idle(NamedTuple):
    """So many subscribers to whom nothing happens."""

    subscribers: int
    connected: float
    """Seconds until all of them were."""
    kib: float
    """Of the server's memory for each of them."""
    cores: float
    """That the server took, heartbeats included."""


class First(NamedTuple):
    """How soon, in milliseconds: median and 99th percentile."""

    way: str
    connected: tuple[float, float]
    """From connecting to the first message: the subscriber is told that it is one, or has a cursor."""
    old: tuple[float, float]
    """From connecting to the first event of those that were there."""
    new: tuple[float, float]
    """From writing an event to its arrival, where nobody else listens."""


def idle(counts: tuple[int, ...], seconds: float) -> list[Idle]:
    """Each of these numbers of subscribers, a server for each."""
    return [_idle(count, seconds) for count in counts]


def _idle(count: int, seconds: float) -> Idle:
    most_files()
    with tempfile.TemporaryDirectory() as folder:
        with closing(ArchiveWriter(Path(folder))) as writer:
            _write(writer, 0, 10)
        serving, told = begin(serve, Path(folder), "5s")
        port = told.recv()
        waiting = selectors.DefaultSelector()
        _listen(waiting, port, 1)
        before, began = _resident(serving.pid or 0), time.monotonic()
        _listen(waiting, port, count - 1)
        connected = time.monotonic() - began
        _drain(waiting, seconds / 2)
        busy, began = cpu_of(serving.pid or 0), time.monotonic()
        _drain(waiting, seconds)
        cores = (cpu_of(serving.pid or 0) - busy) / (time.monotonic() - began)
        kib = (_resident(serving.pid or 0) - before) / 1024 / (count - 1)
        told.send(None)
        told.recv()
        for key in [*waiting.get_map().values()]:
            key.fileobj.close()  # type: ignore[union-attr]
        serving.join(_WAIT)
        return Idle(count, connected, kib, cores)


def _listen(waiting: selectors.BaseSelector, port: int, count: int) -> None:
    """So many more connections, each until it has its first message."""
    fresh = set()
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        waiting.register(one, selectors.EVENT_READ)
        fresh.add(one.fileno())
    until = time.monotonic() + _WAIT
    while fresh:
        for key, _ in waiting.select(1.0):
            if b"event: connected" in key.fileobj.recv(1 << 16):  # type: ignore[union-attr]
                fresh.discard(key.fd)
        if time.monotonic() > until:
            raise RuntimeError(f"{len(fresh)} of {count} subscribers were not connected in {_WAIT:.0f} s")


def _drain(waiting: selectors.BaseSelector, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        for key, _ in waiting.select(left):
            if not key.fileobj.recv_into(_HEARD):  # type: ignore[union-attr]
                raise RuntimeError("a subscriber was let go")


def _resident(pid: int) -> float:
    fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()
    return float(fields[0]) * 1024


# --- the first thing that is said -----------------------------------------------------------------------------------------


def first(times: int) -> list[First]:
    """Each way, so many times."""
    with tempfile.TemporaryDirectory() as folder, closing(ArchiveWriter(Path(folder))) as writer:
        _write(writer, 0, _EVENTS)
        serving, told = begin(serve, Path(folder), "5s")
        port = told.recv()
        number = _EVENTS
        found = []
        for way, open_it in WAYS.items():
            taken: list[tuple[float, float, float]] = []
            for _ in range(times):
                connected, new = _live(open_it, port, writer, number)
                taken.append((connected, _old(open_it, port), new))
                number += 1
            found.append(First(way, *(_spread([one[n] for one in taken]) for n in range(3))))
        told.send(None)
        told.recv()
        serving.join(_WAIT)
        return found


def _live(open_it: "Open", port: int, writer: ArchiveWriter, number: int) -> tuple[float, float]:
    began = time.perf_counter()
    listening = open_it(port, "")
    connected = time.perf_counter() - began
    began = time.perf_counter()
    _write(writer, number, number + 1)
    if listening.next() != f"e{number:09d}":
        raise RuntimeError("another event came than was written")
    new = time.perf_counter() - began
    listening.close()
    return connected, new


def _old(open_it: "Open", port: int) -> float:
    began = time.perf_counter()
    listening = open_it(port, "since=1h")
    if listening.next() != "e000000000":
        raise RuntimeError("the first event is another")
    took = time.perf_counter() - began
    listening.close()
    return took


def _write(writer: ArchiveWriter, first: int, last: int) -> None:
    now = time.time_ns()
    lines = [Line(LINE % (now, now, n, n % 40, n // 500, now), 1, now, now) for n in range(first, last)]
    writer.append("run-1", "logs", lines)


def _spread(taken: list[float]) -> tuple[float, float]:
    ordered = sorted(taken)
    return statistics.median(ordered) * 1e3, ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)] * 1e3


class _Sse:
    def __init__(self, port: int, query: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_WAIT)
        self._connection.request("GET", f"/api/stream?{query}")
        self._answer = self._connection.getresponse()
        while self._answer.readline() != b"event: connected\n":
            pass

    def next(self) -> str:
        while True:
            line = self._answer.readline()
            if line.startswith(b'data: {"id"'):
                return str(json.loads(line[6:])["id"])

    def close(self) -> None:
        self._connection.close()


class _WebSocket:
    def __init__(self, port: int, query: str) -> None:
        # A client whose own queue is full no longer hears that the server agrees to close, and waits for that in vain.
        self._socket = connect(f"ws://127.0.0.1:{port}/api/stream?{query}", max_queue=None)
        self._socket.recv(timeout=_WAIT)

    def next(self) -> str:
        while True:
            message = json.loads(self._socket.recv(timeout=_WAIT))
            if message["message"] == "event":
                return str(message["event"]["id"])

    def close(self) -> None:
        self._socket.close()


class _Poll:
    def __init__(self, port: int, query: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_WAIT)
        self._found = self._ask(f"limit=1&{query}")

    def _ask(self, query: str) -> dict[str, object]:
        self._connection.request("GET", f"/api/poll?{query}")
        found: dict[str, object] = json.loads(self._connection.getresponse().read())
        return found

    def next(self) -> str:
        events: object = self._found["events"]
        while not events:
            self._found = self._ask(f"cursor={self._found['cursor']}&limit=1&wait=20s")
            events = self._found["events"]
        return str(events[0]["id"])  # type: ignore[index]

    def close(self) -> None:
        self._connection.close()


Open = Callable[[int, str], _Sse | _WebSocket | _Poll]
WAYS: Final[dict[str, Open]] = {"Server-Sent Events": _Sse, "WebSocket": _WebSocket, "polling": _Poll}
