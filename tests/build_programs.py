"""Builders: real programs in processes of their own, recorded or not, with an end to every wait."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from whence.archive.reader import Archive
from whence.event.model import Event

ROOT = Path(__file__).parents[1]
WHENCE = str(Path(sys.executable).with_name("whence"))
SECONDS = 60.0
"""How long anything in here may take before the test fails."""


def run_program(*command: object, cwd: Path, **environment: object) -> str:
    """Run to the end; gives standard output. Fails with both outputs where the exit code is not 0."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment_with(environment),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command} exited with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def running(*command: object, cwd: Path, port: int, **environment: object) -> Iterator[subprocess.Popen[bytes]]:
    """A server that listens on `port` inside, and is asked to end (SIGINT, as from a keyboard) afterwards."""
    output = cwd / f"port-{port}.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command], cwd=cwd, env=environment_with(environment), stdout=log, stderr=log
        )
        try:
            _wait_until_it_listens(process, port, output)
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, f"the server ended with {process.returncode}:\n{output.read_text()}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}:\n{output.read_text()}")


def environment_with(more: Mapping[str, object]) -> dict[str, str]:
    """This process's environment without its telemetry settings, and with these."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "WHENCE_"))}
    return {**kept, "PYTHONUNBUFFERED": "1", **{key: str(value) for key, value in more.items()}}


def events_in(archive: Path) -> list[Event]:
    """Everything an archive has, by time; fails where the archive has a problem."""
    opened = Archive(archive)
    events = sorted(opened.events(), key=lambda event: (event.time, event.id))
    assert opened.problems == []
    return events


def causes_of(event: Event, among: Mapping[str, Event]) -> set[str]:
    """The ids of all recorded causes of an event, however far back."""
    found: set[str] = set()
    left = list(event.caused_by)
    while left:
        cause = left.pop()
        if cause not in found:
            found.add(cause)
            left.extend(among[cause].caused_by if cause in among else ())
    return found
