"""Trouble on the way to a backend: a TCP proxy that refuses, hangs, cuts, slows and comes back, and collectors behind it.

Everything is real: sockets, processes of `whence collect`, files. Nothing here waits for a time to pass but to slow bytes down.
"""

import random
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import requests

from build_lines import WHENCE
from build_walk import environment
from ports import free_port
from waiting import listens, until

Way = Literal["through", "refuse", "hang", "cut", "slow"]
_RESET = struct.pack("ii", 1, 0)
_PIECE = 65_536


class Proxy:
    """Passes connections on to one address, until it is told otherwise. Its own port stays the same.

    `refuse`: nobody listens, and open connections are reset. `hang`: connections open or made now are silent for ever, as
    behind a router that has forgotten them; only new ones, made later, get through. `cut`: the request arrives, its answer
    is reset in the middle. `slow`: a few bytes at a time.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("http://").removeprefix("https://").rpartition(":")
        self._target = host, int(port)
        self.port = free_port()
        self.way: Way = "through"
        self.made = 0
        """Connections that were made to it."""
        self.cuts = 0
        """Connections that were cut in the middle of an answer."""
        self.up = 0
        """Bytes that went to the backend."""
        self.most: int | None = None
        """Bytes of an answer that get through before a cut; None: any number."""
        self._chance = random.Random(7)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._open: set[_Pair] = set()
        self._listener: socket.socket | None = None
        self._listen()

    @property
    def http(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def grpc(self) -> str:
        """Its address."""
        return f"127.0.0.1:{self.port}"

    def go(self, way: Way) -> None:
        """From now on, and for the connections there are."""
        before, self.way = self.way, way
        if way == "refuse":
            self._deafen()
            self._reset_all()
        elif before == "refuse":
            self._listen()
        if way == "hang":
            with self._lock:
                for pair in self._open:
                    pair.dead = True

    def close(self) -> None:
        """The end of everything."""
        self._ended.set()
        self._deafen()
        self._reset_all()

    # --- connections ---------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _deafen(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)  # a thread that waits in `accept` holds the port open otherwise
            self._listener.close()
            self._listener = None

    def _reset_all(self) -> None:
        with self._lock:
            pairs = list(self._open)
        for pair in pairs:
            self._drop(pair)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            self.made += 1
            try:
                far = socket.create_connection(self._target, timeout=30)
            except OSError:
                _reset(near)
                continue
            far.settimeout(None)
            pair = _Pair(near, far, self.way == "hang")
            with self._lock:
                self._open.add(pair)
            if self.way == "refuse":
                self._drop(pair)
                continue
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(pair, *ends), daemon=True).start()

    def _pump(self, pair: "_Pair", source: socket.socket, sink: socket.socket) -> None:
        answer = source is pair.far
        try:
            while data := source.recv(_PIECE):
                if pair.dead:
                    self._ended.wait()  # silent, and not closed: who waits must give up by itself
                    return
                if answer and self.way == "cut":
                    self.cuts += 1
                    most = self._chance.randrange(1, len(data) + 1) if self.most is None else self.most
                    sink.sendall(data[: min(most, len(data) - 1)])
                    break
                self._pass(data, sink)
                self.up += 0 if answer else len(data)
        except OSError:
            pass
        self._drop(pair)

    def _pass(self, data: bytes, sink: socket.socket) -> None:
        done = 0
        while self.way == "slow" and done < len(data) and not self._ended.wait(0.002):
            sink.sendall(data[done : done + 200])
            done += 200
        sink.sendall(data[done:])

    def _drop(self, pair: "_Pair") -> None:
        with self._lock:
            self._open.discard(pair)
        _reset(pair.near)
        _reset(pair.far)


class _Pair:
    """A connection and the one that it is passed on to."""

    def __init__(self, near: socket.socket, far: socket.socket, dead: bool) -> None:
        self.near, self.far, self.dead = near, far, dead


def _reset(one: socket.socket) -> None:
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        one.close()


@contextmanager
def a_proxy(target: str) -> Iterator[Proxy]:
    """A proxy to an address or URL."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()


class Collect:
    """`whence collect` with one exporter, in a process of its own; it can be killed and begun again, with the same ports."""

    def __init__(self, folder: Path, exporter: str, extensions: str = "") -> None:
        self.http = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        named = f"extensions: {{{extensions}}}\n" if extensions else ""
        used = f"extensions: [{extensions.partition(':')[0]}], " if extensions else ""
        lines = ", ".join(f"{signal}: {{receivers: [otlp], exporters: [out]}}" for signal in ("logs", "traces"))
        self._config = folder / "c.yaml"
        self._config.write_text(
            f'receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{self.http}"}}}}}}}}\n'
            f"exporters: {{{exporter}}}\n{named}"
            f"service: {{{used}telemetry: {{metrics: {{level: none}}}}, pipelines: {{{lines}}}}}\n".replace(
                "[out]", f"[{exporter.partition(':')[0]}]"
            )
        )

    def begin(self, *options: str) -> None:
        """Start it; it listens on return."""
        command = [WHENCE, "collect", "--config", str(self._config), "--state", str(self._folder / "state"), *options]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
        until(lambda: listens(self.http) or self._run.poll() is not None)
        assert self._run.poll() is None, self.log()

    def kill(self) -> None:
        """SIGKILL."""
        self._run.send_signal(signal.SIGKILL)
        self._run.wait(60)

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self._run.terminate()
        return self._run.wait(90)

    def log(self) -> str:
        """All that it has said, also before it was killed."""
        return (self._folder / "log").read_text()

    def running(self) -> bool:
        """Whether it still does."""
        return self._process is not None and self._process.poll() is None

    @property
    def _run(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process


@contextmanager
def a_collect(folder: Path, exporter: str, extensions: str = "", *options: str) -> Iterator[Collect]:
    """A collector that runs; it is killed where the block leaves it running."""
    folder.mkdir(exist_ok=True)
    collect = Collect(folder, exporter, extensions)
    collect.begin(*options)
    try:
        yield collect
    finally:
        if collect.running():
            collect.kill()


class Load:
    """Sends log records, each with a body of its own, until it is told to stop; what is not acknowledged is sent again."""

    def __init__(self, port: int, senders: int = 3, records: int = 4) -> None:
        self.taken: list[str] = []
        """The bodies that were acknowledged."""
        self.refused = 0
        """Requests that were to be sent again."""
        self._port = port
        self._records = records
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(senders)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """No more is sent."""
        self._over.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(60)

    def more(self, requests: int = 8) -> None:
        """Wait until so many more were acknowledged."""
        wanted = len(self.taken) + requests * self._records
        until(lambda: len(self.taken) >= wanted)

    def post(self, bodies: list[str]) -> bool:
        """One request beside the others; whether it was acknowledged."""
        with requests.Session() as session:
            return self._post(session, bodies)

    def _send(self, number: int) -> None:
        count = 0
        with requests.Session() as session:
            while not self._over.is_set():
                bodies = [f"sender {number}, request {count}, record {n}" for n in range(self._records)]
                if self._post(session, bodies):
                    self.taken += bodies
                    count += 1
                self._over.wait(0.002)

    def _post(self, session: requests.Session, bodies: list[str]) -> bool:
        records = [{"timeUnixNano": "1", "body": {"stringValue": body}} for body in bodies]
        tree = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
        try:
            answer = session.post(f"http://127.0.0.1:{self._port}/v1/logs", json=tree, timeout=60)
        except requests.RequestException:
            self._over.wait(0.05)
            return False
        if answer.status_code != 200:
            assert answer.status_code in (429, 503), answer.text
            self.refused += 1
            self._over.wait(0.05)
            return False
        return True


def missing(load: Load, bodies: Callable[[], list[str]]) -> set[str]:
    """What was acknowledged and has not arrived, by content."""
    return set(load.taken) - set(bodies())
