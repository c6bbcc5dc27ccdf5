"""Builders for live streams: events that are written while somebody listens, and what a listener was given."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, connect_sse
from websockets.sync import client as sync
from websockets.sync.client import ClientConnection

from build import an_event, append
from build_serve import Client, Reply
from whence.archive.removal import remove, settled_plan
from whence.archive.retention import Policy
from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.serve.live.cursor import parse_cursor
from whence.serve.live.feed import Feed
from whence.serve.live.listener import Listener
from whence.serve.live.messages import Given, Message, Notice
from whence.serve.live.past import NOW, Start
from whence.serve.live.subscriber import ALL, Terms, View

TURNING = WriterOptions(rotate_bytes=4_000, compress_over=0, probe_seconds=0.01)
"""Files that rotate every few events, and are sealed and compressed at once."""


def forget(directory: Path) -> None:
    """Have retention remove every closed file."""
    now = 4_000_000_000_000_000_000
    plan = settled_plan(directory, Policy(days=1), now=now)
    assert plan.going
    assert all(one.trouble is None for one in remove(directory, plan.going, now, lambda going: None))


def write(writer: ArchiveWriter, names: Iterator[str] | list[str], run: str = "run-1", **fields: Any) -> None:
    """An event of each id, each on a line of its own. `fields`: as of `an_event`."""
    for name in names:
        append(writer, [an_event("step", id=name, run=run, **fields)])


@contextmanager
def a_writer(directory: Path, options: WriterOptions | None = None) -> Iterator[ArchiveWriter]:
    """A writer of an archive, closed at the end."""
    writer = ArchiveWriter(directory, options or WriterOptions())
    try:
        yield writer
    finally:
        writer.close()


@contextmanager
def a_feed(directory: Path) -> Iterator[Feed]:
    """A feed of an archive, closed at the end."""
    feed = Feed(directory, poll=0.002)
    try:
        yield feed
    finally:
        feed.close()


class Ear:
    """A thread that takes whatever a listener is given, until told to stop."""

    def __init__(self, feed: Feed, start: Start | str = NOW, view: View = ALL, terms: Terms | None = None) -> None:
        at = Start(parse_cursor(start)) if isinstance(start, str) else start
        self.listener = Listener(feed, view, at, terms or Terms())
        self.heard: list[Message] = []
        self._woken = threading.Event()
        self._stop = threading.Event()
        self.joined = threading.Event()
        self.listener.subscriber.wake = self._woken.set
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._stop.is_set() and (found := self.listener.catch_up()) is not None:
            self.heard += found
        self.joined.set()
        while not self._stop.is_set():
            self._woken.wait(0.2)
            self._woken.clear()
            while found := self.listener.take():
                self.heard += found
                if self.listener.subscriber.ended:
                    return

    @property
    def ids(self) -> list[str]:
        """The ids of the events that were given, in their order."""
        return [one.event.id for one in self.heard if isinstance(one, Given)]

    @property
    def notices(self) -> list[Notice]:
        """What was said that is no event."""
        return [one for one in self.heard if isinstance(one, Notice)]

    def stop(self) -> list[str]:
        """Stop listening; the ids that were heard."""
        self._stop.set()
        self._woken.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        self.listener.close()
        return self.ids


def connect(url: str, **given: Any) -> ClientConnection:
    """A client library's WebSocket, as patient as a busy machine needs."""
    return sync.connect(url, open_timeout=60, ping_interval=None, **given)


def send(client: Client, method: str, path: str, body: Any) -> Reply:
    """A request with a JSON body."""
    headers = {"Authorization": f"Bearer {client.token}"} if client.token else {}
    found = httpx.request(method, f"http://127.0.0.1:{client.port}{path}", json=body, headers=headers, timeout=60)
    return Reply(found.status_code, dict(found.headers), found.content)


class SseEar:
    """A client library's connection to a stream, read on a thread until it ends or is told to stop."""

    def __init__(
        self, url: str, path: str = "/api/stream", *, token: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.heard: list[ServerSentEvent] = []
        self.ids: list[str] = []
        """Of the events that were given, in their order."""
        self.headers: Mapping[str, str] = {}
        self._sent = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        self._client = httpx.Client(base_url=url, timeout=60)
        self._socket: socket.socket | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, args=(path,), daemon=True)
        self._thread.start()

    def _listen(self, path: str) -> None:
        with suppress(httpx.TransportError), connect_sse(self._client, "GET", path, headers=self._sent) as stream:
            self._socket = stream.response.extensions["network_stream"].get_extra_info("socket")
            self.headers = stream.response.headers
            for message in stream.iter_sse():
                if message.event == "message":
                    self.ids.append(message.json()["id"])
                self.heard.append(message)
                if self._stop.is_set():
                    return

    @property
    def alive(self) -> bool:
        """Whether the connection still stands."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Cut the connection."""
        self._stop.set()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        self._client.close()
        assert not self._thread.is_alive()

    def __enter__(self) -> "SseEar":
        return self

    def __exit__(self, *trouble: object) -> None:
        self.stop()
