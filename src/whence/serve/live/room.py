"""Whether whoever gives events may go on: not ahead of those whom the server itself has not got round to telling.

The law: `is_ahead` is pure. What is not read yet is kept by the archive, so that nobody misses it; one who is slow by itself
holds up nobody.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

HALF: Final = 0.5
"""A buffer that is fuller than that is to be taken from first."""
_FEW: Final = 4
"""Of so many one may be slower than the others."""
_LOOK: Final = 0.005
"""Seconds between two looks."""


class Standing(NamedTuple):
    """How a subscriber stands that was given something lately."""

    full: float
    """The share of its buffer that waits."""
    busy: bool
    """Its client is being given something, and has not taken all of it yet."""


def is_ahead(standings: Sequence[Standing]) -> bool:
    """Whether to wait: for the server, where it owes one of them so much; for clients, where they are slow nearly all of them.

    Then it is the machine, or what lies between, that is too slow for everybody, and not one of them.
    """
    if any(one.full > HALF and not one.busy for one in standings):
        return True
    fulls = sorted(one.full for one in standings)
    return bool(fulls) and fulls[len(fulls) // _FEW] > HALF


class Room:
    """Waits until subscribers have room, for one who gives to them."""

    def __init__(self, monotonic: Callable[[], float], patience: float) -> None:
        """`patience`: seconds without having caught up, after which it goes on whoever stands how."""
        self._monotonic, self._patience = monotonic, patience
        self._over = threading.Event()
        self._behind: float | None = None
        self._waited = False

    def wait(self, standings: Callable[[], Iterable[Standing]]) -> None:
        """Until there is room, or it is over, or patience is."""
        while is_ahead([*standings()]):
            now = self._monotonic()
            self._behind, self._waited = now if self._behind is None else self._behind, True
            if now - self._behind >= self._patience or self._over.wait(_LOOK):
                return

    def caught_up(self) -> None:
        """All was given that there was: unless it had to be waited for, patience begins anew."""
        if not self._waited:
            self._behind = None
        self._waited = False

    def close(self) -> None:
        """Nobody waits any more."""
        self._over.set()
