"""Who may come in: those known at once, strangers a few at a time, because finding out who somebody is may be slow on purpose.

The law: whoever is let in never waits behind strangers, however many they are.
"""

import logging
import threading
from collections.abc import Mapping
from typing import Final

from whence.collect.auth import ServerAuth, Unauthenticated
from whence.collect.receivers.answer import RETRY
from whence.collect.receivers.status import Failure

STRANGERS: Final = 8
"""As many are looked at at once, of the threads that also do the work."""
_CROWDED: Final = Failure(503, "cannot find out who sends: too many ask at once; send it again", RETRY)
_TROUBLE: Final = Failure(503, "cannot find out who sends: trouble inside the collector; see its log", RETRY)


class Door:
    """A listener's; open where there is no authenticator."""

    def __init__(self, auth: ServerAuth | None, log: logging.Logger) -> None:
        self._auth = auth
        self._log = log
        self._places = threading.BoundedSemaphore(STRANGERS)

    @property
    def is_open(self) -> bool:
        """Whether nobody is asked."""
        return self._auth is None

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether a sender may come in, as far as that is known without work."""
        return self._auth is None or self._auth.knows(headers)

    def turned_away(self, headers: Mapping[str, str]) -> Failure | None:
        """Why a stranger may not come in; None where it may. Can take long. Never raises."""
        if self._auth is None:
            return None
        if not self._places.acquire(blocking=False):
            return _CROWDED
        try:
            self._auth.authenticate(headers)
        except Unauthenticated as who:
            return Failure(401, str(who), challenge=who.challenge)
        except Exception:  # noqa: BLE001 - another package's authenticator may raise anything
            self._log.exception("cannot authenticate a sender")
            return _TROUBLE
        finally:
            self._places.release()
        return None
