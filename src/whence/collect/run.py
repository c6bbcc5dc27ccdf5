"""`whence collect`: reads the configuration, runs one process or several, and does what signals ask for.

SIGTERM and SIGINT stop, a second one at once; SIGHUP reads the configuration again.
"""

import logging
import os
import queue
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final
from uuid import uuid4

from whence.collect.config.check import check
from whence.collect.config.model import BadConfig, Config
from whence.collect.config.sources import Sources, read_sources
from whence.collect.config.tree import Node
from whence.collect.kinds import Catalog
from whence.collect.logs import set_up_log
from whence.collect.processes import One, allow_files, body
from whence.collect.scrape import Scraped, identity, watch_process
from whence.collect.signals import Heard, attended
from whence.errors import WhenceError

_LOG: Final = logging.getLogger("whence.collect")
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    sources: Sources
    state: Path
    processes: int = 1
    stop_seconds: float = 30.0
    on_ready: Callable[[], None] = lambda: None
    """Called once every component has started."""


class Collector:
    """One run."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._events: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stopping = False
        self._instance = str(uuid4())
        self._body = body(options.processes, options.state, lambda: self._events.put("tend"))
        self._scraped = Scraped(lambda: self._body.families(self._scraped.labels))

    def run(self) -> int:
        """Until a signal says stop. The exit code: 0, or 3 where something was left unfinished.

        Raises BadConfig, ConfigError or StorageError where it cannot start.
        """
        heard: dict[signal.Signals, Heard] = dict.fromkeys(_STOPPING, self._asked_to_stop)
        return attended(self._work, {**heard, signal.SIGHUP: lambda *_: self._events.put("reload")})

    def _work(self) -> int:
        allow_files()
        config, root = self._read()
        self._log_as(config)
        self._scraped.labels = identity(config.telemetry, self._instance)
        if isinstance(self._body, One):
            watch_process(self._body.telemetry)
        self._scraped.use(config.telemetry)
        self._body.start(config, root)
        _LOG.info("ready: %s", _described(config, self._options.processes))
        notify("READY=1")
        self._options.on_ready()
        self._serve()
        return self._stop()

    def _serve(self) -> None:
        wait: float | None = None
        while True:
            try:
                event = self._events.get(timeout=wait)
            except queue.Empty:
                event = "tend"
            if event == "stop":
                return
            if event == "reload":
                notify("RELOADING=1")
                self._reload()
                notify("READY=1")
            wait = self._body.tend()

    def _read(self) -> tuple[Config, Node]:
        found = read_sources(self._options.sources, os.environ)
        return check(found, Catalog()), found.root

    def _log_as(self, config: Config) -> None:
        set_up_log(
            config.telemetry.logs, {key: value for key, value in config.telemetry.resource.items() if value is not None}
        )
        for note in config.notes:
            _LOG.warning("%s", note)

    def _reload(self) -> None:
        try:
            config, root = self._read()
        except BadConfig as bad:
            for problem in bad.problems:
                _LOG.error("reload: %s", problem)
            _LOG.error("reload refused: the configuration has %d faults; the old one goes on", len(bad.problems))
            return
        try:
            said = self._body.reload(config, root, self._options.stop_seconds)
            self._log_as(config)
            self._scraped.use(config.telemetry)
            self._scraped.labels = identity(config.telemetry, self._instance)
        except WhenceError as cause:
            _LOG.error("reload refused: %s; the old configuration goes on", cause)
            return
        _LOG.info("reloaded: %s", said)

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            os.write(2, b"whence: stopped at once; what was not acknowledged is with its senders\n")
            os._exit(128 + number)
        self._stopping = True
        self._events.put("stop")

    def _stop(self) -> int:
        seconds = self._options.stop_seconds
        _LOG.info("stopping: up to %.0f s to finish; a second signal stops at once", seconds)
        notify("STOPPING=1")
        left = self._body.stop(seconds)
        for line in left:
            _LOG.error("left: %s", line)
        self._scraped.close()
        _LOG.info("stopped%s", f" with {len(left)} things left" if left else ": nothing is left")
        return 3 if left else 0


def collect(options: Options, exit_now: Callable[[int], None] = os._exit) -> int:
    """Run a collector. Raises as `Collector.run`."""
    code = Collector(options).run()
    logging.shutdown()
    if code:
        exit_now(code)  # a component that did not stop must not hold the process
    return code


def notify(state: str) -> None:
    """Tell systemd, where it has asked to be told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)


def _described(config: Config, processes: int) -> str:
    lines = [f"{line.id} ({', '.join(line.receivers)} -> {', '.join(line.exporters)})" for line in config.pipelines]
    said = f"{len(lines)} pipeline{'s' if len(lines) > 1 else ''}: {'; '.join(lines)}"
    return said + (f"; in {processes} processes" if processes > 1 else "")
