"""Ports for programs that are told theirs before they start: none that the system hands out, none given twice in a run."""

import os
import random
import re
import socket
from collections.abc import Iterator
from itertools import chain

_LOWEST, _BEYOND = 10_000, 32_000
"""Below what Linux, macOS and Windows give to connections and to whoever asks for port 0. A port from there that is free now may
be the near end of any connection of any test a moment later."""
_SLICES = 8


def _in_turn() -> Iterator[int]:
    """This process's slice of the range from a place of its own, as often as needed: workers of one run share no port."""
    worker = re.search(r"\d+", os.environ.get("PYTEST_XDIST_WORKER", ""))
    width = (_BEYOND - _LOWEST) // _SLICES
    first = _LOWEST + width * (int(worker[0]) % _SLICES if worker else 0)
    start = first + random.SystemRandom().randrange(width)
    while True:
        yield from chain(range(start, first + width), range(first, start))


_PORTS = _in_turn()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at, and that nobody gets by chance before it is used."""
    for port in _PORTS:
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("unreachable: ports come for ever")
