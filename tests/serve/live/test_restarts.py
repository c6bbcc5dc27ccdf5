"""Real clients against a real server, both killed again and again while files rotate, are sealed and compressed: every event
once, for each of them."""

import json
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from httpx_sse import connect_sse
from websockets.exceptions import WebSocketException

from build_examples import often
from build_live import TURNING, a_writer, connect, write
from build_programs import WHENCE
from ports import free_port
from waiting import until

COUNT = often(300, 6_000)
KILLS = often(2, 12)
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


class Killed:
    """`whence serve` in a process of its own, always at the same port, killed with no warning and begun again."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        config = directory.with_name("serve.yaml")
        config.write_text(
            f"endpoint: 127.0.0.1:{self.port}\nstream: {{heartbeat: 200ms}}\njaeger: {{enabled: false}}\n"
        )
        self._command = [WHENCE, "serve", "-a", str(directory), "--config", str(config)]
        self.url = f"http://127.0.0.1:{self.port}"
        self.begin()

    def begin(self) -> None:
        """Start, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        until(self._answers, 150)

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health", timeout=30).status_code == 200
        return False

    def kill(self) -> None:
        """At once, in the middle of anything."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(60)


@contextmanager
def a_killed_server(directory: Path) -> Iterator[Killed]:
    server = Killed(directory)
    try:
        yield server
    finally:
        server.kill()


class Client:
    """Somebody who wants every event, by one way, and whose connection breaks now and then: `place` and `ids` outlive it."""

    def __init__(self, listen: "Callable[[Client, int], None]", url: str, seed: int) -> None:
        self.url, self.ids, self.notices = url, list[str](), list[str]()
        self.place: str | None = None
        self.begun = threading.Event()
        self._listen, self._chance = listen, random.Random(seed)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.stopped = False
        self._thread.start()

    def _run(self) -> None:
        while not self.stopped:
            with suppress(httpx.HTTPError, OSError, WebSocketException, TimeoutError):
                self._listen(self, self._chance.randrange(5, 200))
            time.sleep(0.02)

    def take(self, name: str, place: str, id: str | None) -> None:
        """A message, and that it was dealt with."""
        if name == "event":
            assert id is not None
            self.ids.append(id)
        elif name == "missed":
            self.notices.append(place)
        self.place = place or self.place
        self.begun.set()

    def stop(self) -> None:
        self.stopped = True
        self._thread.join(60)


def over_sse(client: Client, most: int) -> None:
    """Take so many messages, then break off."""
    headers = {"Last-Event-ID": client.place} if client.place else {}
    with (
        httpx.Client(timeout=10) as http,
        connect_sse(http, "GET", f"{client.url}/api/stream", headers=headers) as stream,
    ):
        for n, message in enumerate(stream.iter_sse()):
            event = message.event == "message"
            client.take("event" if event else message.event, message.id, message.json()["id"] if event else None)
            if n == most or client.stopped:
                return


def over_websocket(client: Client, most: int) -> None:
    """The same."""
    at = f"?cursor={quote(client.place)}" if client.place else ""
    with connect(client.url.replace("http", "ws") + "/api/stream" + at, close_timeout=1) as stream:
        for _ in range(most):
            message = json.loads(stream.recv(timeout=10))
            client.take(message["message"], message.get("cursor", ""), message.get("event", {}).get("id"))
            if client.stopped:
                break
        stream.socket.shutdown(socket.SHUT_RDWR)


def over_polling(client: Client, most: int) -> None:
    """One answer of at most so many events."""
    query = {"limit": most, "wait": "1s", **({"cursor": client.place} if client.place else {})}
    answer = httpx.get(f"{client.url}/api/poll", params=query, timeout=10).raise_for_status().json()
    for event in answer["events"]:
        client.take("event", "", event["id"])
    client.notices += [str(one) for one in answer["notices"]]
    client.take("place", answer["cursor"], None)


@pytest.mark.timeout(600)
def test_every_event_once_across_kills_of_both_ends_while_files_change(tmp_path: Path) -> None:
    """A client of each kind breaks off every few messages, the server is killed in the middle, two writers' files turn."""
    with a_killed_server(tmp_path / "archive") as server:
        clients = [Client(way, server.url, n) for n, way in enumerate((over_sse, over_websocket, over_polling))]
        for client in clients:
            assert client.begun.wait(60)
        names = [[f"{n}-{i:05d}" for i in range(COUNT)] for n in range(2)]
        with a_writer(tmp_path / "archive", TURNING) as one, a_writer(tmp_path / "archive", TURNING) as other:
            for kill in range(KILLS):
                part = slice(kill * COUNT // KILLS, (kill + 1) * COUNT // KILLS)
                writing = [
                    threading.Thread(target=write, args=(writer, names[n][part]))
                    for n, writer in enumerate((one, other))
                ]
                for thread in writing:
                    thread.start()
                until(lambda kill=kill: all(len(client.ids) > kill * COUNT * 2 // KILLS for client in clients), 150)  # type: ignore[misc]
                server.kill()
                server.begin()
                for thread in writing:
                    thread.join()
        expected = {name for own in names for name in own}
        until(lambda: all(len(client.ids) >= len(expected) for client in clients))
        for client in clients:
            client.stop()
            assert len(client.ids) == len(set(client.ids)) and set(client.ids) == expected
            assert client.notices == []
            for n in range(2):
                assert [id for id in client.ids if id[0] == str(n)] == names[n]
    assert list(tmp_path.rglob("*.zst"))


class Browser:
    """A page in headless Chromium that listens with the browser's own EventSource; `ids` and `place` outlive the browser."""

    SCRIPT = """
        window.heard = []; window.place = ""; window.missed = 0;
        window.source = new EventSource(arguments[0]);
        const keep = (message) => { if (message.lastEventId) window.place = message.lastEventId; };
        window.source.onmessage = (message) => { window.heard.push(JSON.parse(message.data).id); keep(message); };
        for (const name of ["connected", "heartbeat"]) window.source.addEventListener(name, keep);
        window.source.addEventListener("missed", () => { window.missed += 1; });
    """

    def __init__(self, url: str, profile: Path, place: str = "") -> None:
        from selenium.webdriver import Chrome, ChromeOptions, ChromeService

        options = ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--user-data-dir={profile}"):
            options.add_argument(argument)
        self.driver = Chrome(options, ChromeService(str(DRIVER)))
        self.driver.get(f"{url}/health")
        self.driver.execute_script(self.SCRIPT, "/api/stream" + (f"?cursor={quote(place)}" if place else ""))

    def place(self) -> str:
        return str(self.driver.execute_script("return window.place"))

    def heard(self) -> list[str]:
        return list(self.driver.execute_script("return window.heard"))

    def leave(self) -> tuple[list[str], str]:
        """Kill the browser in the middle; what the page had heard, and its place."""
        ids, place, missed = self.driver.execute_script("return [window.heard, window.place, window.missed]")
        assert missed == 0
        self.driver.quit()
        return list(ids), str(place)


@pytest.mark.timeout(600)
@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")
def test_a_browser_hears_every_event_once_across_kills_of_the_server_and_of_itself(tmp_path: Path) -> None:
    """EventSource comes back by itself with its last id; another browser goes on from the place the first had."""
    pytest.importorskip("selenium")
    directory = tmp_path / "archive"
    names = [f"e{n:05d}" for n in range(400)]
    with a_killed_server(directory) as server, a_writer(directory, TURNING) as writer:
        first = Browser(server.url, tmp_path / "one")
        until(lambda: first.place() != "")
        write(writer, names[:100])
        until(lambda: len(first.heard()) >= 50)
        server.kill()
        write(writer, names[100:200])
        server.begin()
        write(writer, names[200:250])
        until(lambda: len(first.heard()) >= 250, 150)
        ids, place = first.leave()
        write(writer, names[250:300])
        second = Browser(server.url, tmp_path / "two", place)
        write(writer, names[300:])
        until(lambda: len(ids) + len(second.heard()) >= len(names))
        more, _ = second.leave()
        assert ids + more == names
