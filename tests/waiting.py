"""Waiting in tests: on a condition, never for a time, with a deadline that a busy machine does not reach."""

import socket
import time
from collections.abc import Callable

SECONDS = 120.0


def until(condition: Callable[[], object], seconds: float = SECONDS, said: Callable[[], object] = str) -> None:
    """Wait for what another thread or process brings about. `said`: what to tell where it does not come to pass."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come to pass in {seconds:g} s {said()}"
        time.sleep(0.005)


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
