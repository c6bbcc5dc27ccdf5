"""Serving for real: sockets, threads and TLS around the application, from `start` to a graceful `stop`.

The law: what is not safe is refused before anything listens. Stopping ends streams first, then waits for answers under way.
"""

import asyncio
import atexit
import gc
import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol

import uvicorn

from whence.collect.answers import address_of
from whence.collect.receivers.listening import listen, server_context
from whence.collect.telemetry import Telemetry
from whence.errors import ConfigError, StorageError, WhenceError
from whence.serve.access.tokens import Access
from whence.serve.app import make_app
from whence.serve.mirror import start_mirror
from whence.serve.served import Served
from whence.serve.settings import ServeSettings
from whence.serve.webhooks import start_webhooks

_LOG: Final = logging.getLogger("whence.serve")
_START: Final = 30.0
_KEEP_ALIVE: Final = 60
_GARBAGE: Final = (100_000, 20, 100)
"""How many new objects Python looks through for circles, and how often it looks at older ones."""
BESIDE: Final[tuple[str, ...]] = ("whence.serve.jaeger.storage",)
"""Modules of doors that are no routes: each has `start(served, settings, access)`, which gives a `Door` that listens, or None
where its settings say that it is not wanted."""


class Door(Protocol):
    """What answers beside HTTP."""

    said: str
    """What it is, for the line that says what is served where."""
    address: tuple[str, int]
    """The host it was asked to listen at, and the port it does, also where port 0 was asked for."""

    def stop(self, seconds: float) -> None:
        """Take nothing more, and let answers under way be given for at most so long."""


class Serving:
    """An archive served from `start` to `stop`, on threads of its own."""

    def __init__(
        self,
        settings: ServeSettings,
        *,
        clock: Callable[[], int] = time.time_ns,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.settings = settings
        self._clock, self._telemetry = clock, telemetry
        self.beside: list[Door] = []
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.served: Served | None = None
        self.port = 0
        """Where it listens, also where port 0 was asked for."""

    def start(self) -> None:
        """Listen and answer. Raises ConfigError or StorageError, and then nothing listens."""
        settings = self.settings
        access = Access(settings.auth, settings.masks, clock=self._clock)
        check_safe(settings, access)
        tls = server_context(settings.tls) if settings.tls else None
        served = self.served = Served(
            Path(settings.directory), settings.stream, clock=self._clock, telemetry=self._telemetry
        )
        try:
            app = make_app(served, settings, access)
            sockets = listen(settings.endpoint, "tcp", "HTTP")
            self.port = sockets[0].getsockname()[1]
            config = uvicorn.Config(
                app, proxy_headers=False, lifespan="off", server_header=False, log_config=None, access_log=False,
                log_level="critical", timeout_keep_alive=_KEEP_ALIVE, ws_per_message_deflate=False,
                timeout_graceful_shutdown=max(1, int(settings.stop_timeout)),
            )  # fmt: skip
            config.load()
            config.ssl = tls
            self._server = uvicorn.Server(config)
            self._begin(self._server, sockets)
            start_mirror(served, settings)
            start_webhooks(served, settings)
            for name in BESIDE:
                if door := import_module(name).start(served, settings, access):
                    self.beside.append(door)
        except WhenceError:
            self.stop(0.0)
            raise
        threading.Thread(target=_warm, args=(served,), name="whence warm", daemon=True).start()

    def _begin(self, server: uvicorn.Server, sockets: list[socket.socket]) -> None:
        self._thread = threading.Thread(target=server.run, args=(sockets,), name="whence http", daemon=True)
        self._thread.start()
        until = time.monotonic() + _START
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                raise StorageError(f"cannot serve at {self.settings.endpoint}: the server did not start; see its log")
            time.sleep(0.005)

    def stop(self, seconds: float | None = None) -> bool:
        """Take nothing more, end streams, let answers under way be given for at most so long. Whether all came to an end."""
        until = time.monotonic() + (self.settings.stop_timeout if seconds is None else seconds)
        server, thread = self._server, self._thread
        if server is not None:
            server.config.timeout_graceful_shutdown = max(1, int(until - time.monotonic()))
            server.should_exit = True
        if self.served is not None:
            self.served.close()
        while self.beside:
            self.beside.pop().stop(max(until - time.monotonic(), 0.0))
        if thread is not None:
            thread.join(max(until - time.monotonic(), 0.0) + 2.0)
            _await_workers(until + 2.0)
        return thread is None or not thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether it still answers."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def url(self) -> str:
        """What a browser on this machine is pointed at."""
        host = address_of(self.settings.endpoint)[0] or "localhost"
        with suppress(ValueError):
            address = ipaddress.ip_address(host)
            if address.is_unspecified:
                host = "localhost"
            elif address.version == 6:
                host = f"[{host}]"
        return f"{'https' if self.settings.tls else 'http'}://{host}:{self.port}"


def _await_workers(until: float) -> None:
    """Wait for the threads that gave answers to an event loop that is closed: they hold what they were asked last.

    A process that ends while one of them is still in Python says that whatever they hold was leaked.
    """
    for one in threading.enumerate():
        loop = getattr(one, "loop", None)  # of AnyIO's worker threads
        if isinstance(loop, asyncio.AbstractEventLoop) and loop.is_closed():
            one.join(max(until - time.monotonic(), 0.0))


def check_safe(settings: ServeSettings, access: Access) -> None:
    """Raises ConfigError where whoever reaches this machine could read the archive, and nobody has said that they may."""
    if access.required or settings.insecure_no_auth or is_local(settings.endpoint):
        return
    raise ConfigError(
        f"cannot listen at {settings.endpoint}: whoever reaches it could read everything; give tokens (`auth`, --tokens FILE),"
        " listen at 127.0.0.1, or say --insecure-no-auth"
    )


def is_local(endpoint: str) -> bool:
    """Whether every address that an endpoint stands for is this machine's own loopback. Raises ConfigError."""
    host, port = address_of(endpoint)
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as cause:
        raise ConfigError(f"cannot listen at {endpoint}: {cause.strerror or cause}; choose another endpoint") from None
    return all(ipaddress.ip_address(str(one[4][0]).partition("%")[0]).is_loopback for one in found)


def described(serving: Serving) -> str:
    """What is served and where, in one line."""
    settings = serving.settings
    there = "" if Path(settings.directory).expanduser().exists() else ", which is still to come,"
    auth = settings.auth
    who = "with a token" if auth.tokens or auth.file else "for anybody" if not is_local(settings.endpoint) else ""
    doors = "".join(f"; {door.said} at {door.address[0]}:{door.address[1]}" for door in serving.beside)
    return " ".join(filter(None, (f"serving {settings.directory}{there} at {serving.url}", who))) + doors


def seek_garbage_less() -> None:
    """Let this process look for circular garbage less often, and never among what is there already.

    An answer is made of many small dicts that are gone with it. With Python's own settings, going through them again and again
    takes half the time of a trace of ten thousand spans. When the process ends all of it counts again: what is not taken down
    then DuckDB calls leaked, on standard error.
    """
    gc.freeze()
    atexit.register(gc.unfreeze)
    gc.set_threshold(*_GARBAGE)


def _warm(served: Served) -> None:
    """Make what the first question would have to wait for."""
    try:
        served.engine.blocks()
    except (WhenceError, OSError) as cause:
        _LOG.warning("cannot read the archive yet: %s", cause)
