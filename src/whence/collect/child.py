"""One of several processes: a service that does what its parent asks over a socket. Run as `python -m whence.collect.child FD`.

A parent that is gone means stop.
"""

import os
import queue
import signal
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any, Final

from whence.collect.config.check import check
from whence.collect.config.model import Config
from whence.collect.config.sources import Read
from whence.collect.config.tree import Node
from whence.collect.kinds import Catalog
from whence.collect.logs import set_up_log
from whence.collect.messages import Done, Failed, Hello
from whence.collect.scrape import watch_process
from whence.collect.service import Service, Surroundings
from whence.collect.signals import attended
from whence.collect.telemetry import Telemetry
from whence.errors import WhenceError

_PARENT_GONE: Final = 30.0
"""Seconds to stop in, where nobody is left to say."""


class Child:
    """One process's life."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._work: queue.SimpleQueue[tuple[int, tuple[Any, ...]]] = queue.SimpleQueue()
        self._telemetry = Telemetry()
        hello: Hello = connection.recv()
        around = Surroundings(self._telemetry, hello.directory, hello.process, hello.processes, "inside")
        self._hello = hello
        self._service = Service(around)

    def run(self) -> int:
        """Until the parent says stop, or is gone. The exit code."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        return attended(self._serve, {signal.SIGTERM: lambda *_: self._work.put((0, ("stop", _PARENT_GONE)))})

    def _serve(self) -> int:
        watch_process(self._telemetry)
        threading.Thread(target=self._listen, name="parent", daemon=True).start()
        while True:
            number, (what, *given) = self._work.get()
            outcome = self._do(what, given)
            if number:
                self._say(number, outcome)
            if what == "stop" or (what == "start" and isinstance(outcome, Failed)):
                return 0 if isinstance(outcome, Done) and not outcome.value else 3

    def _listen(self) -> None:
        """Questions are answered at once, work is put in line."""
        while True:
            try:
                number, asked = self._connection.recv()
            except (EOFError, OSError):
                self._work.put((0, ("stop", _PARENT_GONE)))
                return
            if asked[0] == "health":
                self._say(number, Done(self._service.health()))
            elif asked[0] == "families":
                self._say(number, Done(self._telemetry.families()))
            else:
                self._work.put((number, asked))

    def _do(self, what: str, given: list[Any]) -> Done | Failed:
        try:
            if what == "start":
                self._service.start(self._checked(self._hello.root))
                return Done()
            if what == "reload":
                return Done(self._service.reload(self._checked(given[0]), given[1]))
            return Done(self._service.stop(given[0]))
        except WhenceError as cause:
            return Failed(str(cause))

    def _checked(self, root: Node) -> Config:
        """What the parent has checked already; here it is checked for the settings' objects."""
        config = check(Read(root, [], []), Catalog())
        fields = {"process": str(self._hello.process)}
        set_up_log(
            config.telemetry.logs, fields | {k: v for k, v in config.telemetry.resource.items() if v is not None}
        )
        return config

    def _say(self, number: int, outcome: Done | Failed) -> None:
        try:
            with self._sending:
                self._connection.send((number, outcome))
        except OSError:
            pass  # the parent is gone, and `_listen` has noticed


if __name__ == "__main__":
    code = Child(Connection(int(sys.argv[1]))).run()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a component that did not stop in time has been named; its threads must not hold the process
