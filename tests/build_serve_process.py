"""Builders: `whence COMMAND` in a process of its own, and what it says."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread

from build_programs import WHENCE, environment_with
from build_serve import Client
from waiting import until

FREE = ("--endpoint", "127.0.0.1:0", "--jaeger", "none")


@dataclass
class Process:
    """A command of ours that runs, and what it says on stderr."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that it said so far."""
        return "".join(self.said)

    @property
    def client(self) -> Client:
        """Of the address that it says."""
        until(lambda: " at http://" in self.text or self.process.poll() is not None)
        found = re.search(r" at https?://[^:]+:(\d+)", self.text)
        assert found, self.text
        return Client(int(found[1]))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def a_process(*arguments: object, **environment: object) -> Iterator[Process]:
    """`whence ARGUMENTS`, killed at the end if it still runs."""
    env = {**environment_with(environment)}
    with subprocess.Popen(
        [WHENCE, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        found = Process(process)
        assert process.stderr is not None
        reading = Thread(target=lambda: found.said.extend(iter(process.stderr.readline, "")), daemon=True)
        reading.start()
        try:
            yield found
        finally:
            process.kill()
            process.wait()
            reading.join(90)
