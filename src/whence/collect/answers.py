"""A small HTTP listener for what the collector says of itself: metrics and health. Not a way in for data.

The law: only GET and HEAD, no body is read, nobody can keep a connection waiting for long.
"""

import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, NamedTuple

from whence.errors import ConfigError, StorageError

_PATIENCE: Final = 10.0
"""Seconds that a client may take for its request."""


class Answer(NamedTuple):
    """What is said."""

    status: int
    content_type: str
    body: bytes


Routes = Mapping[str, Callable[[], Answer]]


def address_of(endpoint: str) -> tuple[str, int]:
    """Host and port of `localhost:8888`, `[::1]:8888` or `:8888` (every interface). Raises ConfigError."""
    host, colon, port = endpoint.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535 or ("]" not in host and ":" in host):
        raise ConfigError(f"cannot listen at {endpoint!r}: expected HOST:PORT, such as localhost:8888 or [::1]:8888")
    return host.removeprefix("[").removesuffix("]"), int(port)


class Listener:
    """Answers GET requests by path until it is closed."""

    def __init__(self, endpoint: str, routes: Routes, what: str) -> None:
        """Listens at once. Raises ConfigError, or StorageError where the port cannot be had."""
        host, port = address_of(endpoint)
        try:
            found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
            self._server = _server(family, address[0], port, routes)
        except OSError as cause:
            raise StorageError(
                f"cannot listen at {endpoint} for {what}: {cause.strerror or cause}; choose another endpoint"
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name=what, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens, also where port 0 was asked for."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_PATIENCE)


def _server(family: int, host: str | int, port: int, routes: Routes) -> ThreadingHTTPServer:
    class Asked(BaseHTTPRequestHandler):
        timeout = _PATIENCE
        server_version = "whence"
        sys_version = ""

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, with_body: bool) -> None:
            path = self.path.partition("?")[0]
            route = routes.get(path) or routes.get(path.rstrip("/") or "/")
            answer = route() if route else Answer(404, "text/plain; charset=utf-8", b"nothing is here\n")
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if with_body:
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody wants a line for each scrape."""

    class Server(ThreadingHTTPServer):
        address_family = family
        daemon_threads = True
        block_on_close = False

    return Server((str(host), port), Asked)
