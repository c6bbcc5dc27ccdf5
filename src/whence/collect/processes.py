"""Several processes that share the ports: started, asked, reloaded, stopped, and started again when one dies.

The law: the parent carries no data. Each child has files and queues of its own; the kernel spreads connections over them.
"""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from whence.collect.component import Health
from whence.collect.config.model import Config
from whence.collect.config.tree import Node
from whence.collect.messages import Done, Failed, Hello
from whence.collect.service import Service, Surroundings
from whence.collect.telemetry import Family, Telemetry, beside
from whence.errors import StorageError, WhenceError

try:
    import resource
except ImportError:  # where the system has none
    resource = None  # type: ignore[assignment]

_ASKING: Final = 3.0
"""Seconds that a process has for an answer about itself."""
_STARTING: Final = 120.0
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
"""Seconds between the death of a process and its next start: twice as long each time that it did not live for a minute."""
_LONG_LIFE: Final = 60.0
_FILES: Final = 65_536

_LOG: Final = logging.getLogger("whence.collect.processes")


class Worker:
    """One child, as its parent sees it."""

    def __init__(self, hello: Hello, gone: Callable[["Worker"], None]) -> None:
        """Starts the process; its components start when it is asked."""
        ours, theirs = socket.socketpair()
        self.hello = hello
        self.began = time.monotonic()
        self._gone = gone
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Done | Failed]] = {}
        self._number = 0
        with theirs:
            # -P: what lies in the working directory is not to be imported.
            command = [sys.executable, "-P", "-m", "whence.collect.child", str(theirs.fileno())]
            # A session of its own: Ctrl-C at the terminal is for the parent, which tells its children.
            self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
        self._connection = Connection(ours.detach())
        self._connection.send(hello)
        threading.Thread(target=self._listen, name=f"process {hello.process}", daemon=True).start()

    def ask(self, what: str, *given: Any, timeout: float = _ASKING) -> Any:
        """What came of it. Raises StorageError where it failed, or does not answer in time."""
        answer: Future[Done | Failed] = Future()
        with self._lock:
            self._number += 1
            number = self._number
            self._waiting[number] = answer
            try:
                self._connection.send((number, (what, *given)))
            except OSError:
                answer.set_result(Failed(f"process {self.hello.process} is gone"))
        try:
            outcome = answer.result(timeout)
        except Late:
            outcome = Failed(f"process {self.hello.process} has not answered in {timeout:.0f} s")
        finally:
            self._waiting.pop(number, None)
        if isinstance(outcome, Failed):
            raise StorageError(outcome.said)
        return outcome.value

    def _listen(self) -> None:
        while True:
            try:
                number, outcome = self._connection.recv()
            except (EOFError, OSError):
                break
            answer = self._waiting.get(number)
            if answer:
                answer.set_result(outcome)
        self.process.wait()
        for answer in list(self._waiting.values()):
            if not answer.done():
                answer.set_result(Failed(f"process {self.hello.process} ended with {self.process.returncode}"))
        self._gone(self)


class Several:
    """N processes, and beside them what speaks for all. `start`, `reload`, `stop` and `tend` are called from one thread."""

    def __init__(self, processes: int, directory: Path, wake: Callable[[], None]) -> None:
        """`wake` is called from any thread when `tend` has something to do."""
        self._count = processes
        self._directory = directory
        self._wake = wake
        self._root: Node | None = None
        self._workers: dict[int, Worker] = {}
        self._next: dict[int, float] = {}
        self._pauses: dict[int, float] = {}
        self._asking = ThreadPoolExecutor(max(4, processes), "asking")
        self._telemetry = Telemetry()
        self._outside = Service(Surroundings(self._telemetry, directory, 0, processes, "outside", self.health))

    def start(self, config: Config, root: Node) -> None:
        """Start them all. Raises StorageError, and then none runs."""
        self._root = root
        self._outside.start(config)
        try:
            self._workers = {number: self._spawn(number) for number in range(self._count)}
            for failure in self._all("start", timeout=_STARTING):
                if failure:
                    raise StorageError(failure)
        except BaseException:
            self.stop(5.0)
            raise

    def reload(self, config: Config, root: Node, timeout: float) -> str:
        """One after the other, so that the ports are always served. Raises StorageError where one cannot, all as before."""
        before, done = self._root, list[Worker]()
        said = ""
        try:
            for worker in list(self._workers.values()):
                said = worker.ask("reload", root, timeout, timeout=_STARTING + timeout)
                done.append(worker)
            self._outside.reload(config, timeout)
        except WhenceError as cause:
            for worker in done:
                _go_back(worker, before, timeout)
            raise StorageError(f"process {len(done)} of {self._count}: {cause}") from None
        self._root = root
        return f"{said}; in each of {self._count} processes"

    def stop(self, timeout: float) -> list[str]:
        """All at the same time. What is left, in words."""
        self._root = None
        workers, self._next = list(self._workers.values()), {}
        self._workers = {}
        futures = [(one, self._asking.submit(one.ask, "stop", timeout, timeout=timeout + 5.0)) for one in workers]
        left: list[str] = []
        for worker, future in futures:
            try:
                left += [f"process {worker.hello.process}: {line}" for line in future.result()]
                worker.process.wait(5.0)
            except (StorageError, subprocess.TimeoutExpired) as cause:
                left.append(f"process {worker.hello.process} was ended: {cause}")
                worker.process.kill()
        self._asking.shutdown(wait=False, cancel_futures=True)
        return left + self._outside.stop(5.0)

    def tend(self) -> float | None:
        """Start again whoever died, when its time has come. Seconds until the next time; None: nothing to wait for."""
        now = time.monotonic()
        for number, worker in self._workers.items():
            if worker.process.poll() is not None and number not in self._next:
                lived = now - worker.began
                pause = _FIRST_PAUSE if lived > _LONG_LIFE else self._pauses.get(number, _FIRST_PAUSE)
                self._pauses[number] = min(_LONGEST_PAUSE, pause * 2)
                self._next[number] = now + pause
                _LOG.warning(
                    "process %d ended with %d; starting it again in %.1f s", number, worker.process.returncode, pause
                )
        for number in [number for number, at in self._next.items() if at <= now]:
            del self._next[number]
            self._again(number)
        return max(0.0, min(self._next.values()) - time.monotonic()) if self._next else None

    # --- how they are --------------------------------------------------------------------------------------------------

    def health(self) -> dict[str, Health]:
        """How each component of each process is; a process that does not answer is not well."""
        found: dict[str, Health] = {}
        if not self._workers:
            found["collector"] = Health(False, "it is stopping" if self._root is None else "it is starting")
        for number, answer in self._each("health"):
            if isinstance(answer, str):
                found[f"process {number}"] = Health(False, answer)
            else:
                found |= {f"process {number}: {name}": health for name, health in answer.items()}
        return found

    def families(self, labels: Mapping[str, str]) -> list[Family]:
        """What each process counts, with a `service_instance_id` of its own."""
        instance = labels.get("service_instance_id", "whence")
        found = [
            ({"service_instance_id": f"{instance}/{number}"}, answer)
            for number, answer in self._each("families")
            if not isinstance(answer, str)
        ]
        return beside(found)

    # --- each ----------------------------------------------------------------------------------------------------------

    def _spawn(self, number: int) -> Worker:
        if self._root is None:
            raise StorageError("cannot start a process: the collector is stopping")
        return Worker(Hello(self._root, self._directory, number, self._count), lambda _: self._wake())

    def _again(self, number: int) -> None:
        try:
            worker = self._workers[number] = self._spawn(number)
            worker.ask("start", timeout=_STARTING)
            _LOG.info("process %d runs again, as pid %d", number, worker.process.pid)
        except (OSError, WhenceError) as cause:
            _LOG.error("process %d: %s", number, cause)

    def _all(self, what: str, timeout: float) -> list[str | None]:
        """Ask all at the same time; what failed of each."""
        return [answer if isinstance(answer, str) else None for _, answer in self._each(what, timeout)]

    def _each(self, what: str, timeout: float = _ASKING) -> list[tuple[int, Any]]:
        """Each one's answer, or in words why there is none."""

        def ask(worker: Worker) -> Any:
            try:
                return worker.ask(what, timeout=timeout)
            except StorageError as cause:
                return str(cause)

        workers = dict(self._workers)
        return list(zip(workers, self._asking.map(ask, workers.values()), strict=True))


def _go_back(worker: Worker, root: Node | None, timeout: float) -> None:
    """To the configuration that it had; one that cannot is ended, and started again with it as whoever dies is."""
    try:
        worker.ask("reload", root, timeout, timeout=_STARTING + timeout)
    except StorageError as cause:
        _LOG.error(
            "process %d cannot go back to its former configuration, and is ended: %s", worker.hello.process, cause
        )
        worker.process.kill()


class One:
    """The whole collector in this process."""

    def __init__(self, directory: Path) -> None:
        self._telemetry = Telemetry()
        self.service = Service(Surroundings(self._telemetry, directory))

    def start(self, config: Config, root: Node) -> None:
        """As `Service.start`."""
        self.service.start(config)

    def reload(self, config: Config, root: Node, timeout: float) -> str:
        """As `Service.reload`."""
        return self.service.reload(config, timeout)

    def stop(self, timeout: float) -> list[str]:
        """As `Service.stop`."""
        return self.service.stop(timeout)

    def tend(self) -> float | None:
        """There is nobody to look after."""
        return None

    def families(self, labels: Mapping[str, str]) -> list[Family]:
        """What this process counts."""
        return self._telemetry.families()

    @property
    def telemetry(self) -> Telemetry:
        """Where it counts."""
        return self._telemetry


Body = One | Several


def allow_files() -> None:
    """Let this process, and those it starts, open as many files as the system would, as Go's programs do, for connections."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # what is there must do
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def body(processes: int, directory: Path, wake: Callable[[], None]) -> Body:
    """One process or several."""
    if processes == 1:
        return One(directory)
    if not hasattr(socket, "SO_REUSEPORT"):
        raise StorageError("cannot share ports between processes on this system; leave --processes out")
    return Several(min(processes, (os.cpu_count() or 1) * 4), directory, wake)
