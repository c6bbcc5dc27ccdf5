"""The extension `whence_serve`: the server inside a collector, with the keys of `whence serve`."""

import logging

from whence.collect.component import HEALTHY, Health, Host, Plug
from whence.serve.run import Serving, described
from whence.serve.settings import ServeSettings


class ServeExtension:
    """One archive served from the collector's start to its stop."""

    def __init__(self, settings: ServeSettings, host: Host) -> None:
        self._serving = Serving(settings, clock=host.now, telemetry=host.telemetry)
        self._log: logging.Logger = host.log
        self._monotonic = host.monotonic

    def start(self, host: Host) -> None:
        """Listen and answer. Raises ConfigError, StorageError."""
        self._serving.start()
        self._log.info("%s", described(self._serving))

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._serving.port

    def stop(self, deadline: float) -> None:
        """Tell streams, finish answers."""
        left = max(deadline - self._monotonic(), 0.0)
        if not self._serving.stop(min(left, self._serving.settings.stop_timeout)):
            self._log.error("answers under way were left unfinished")

    def health(self) -> Health:
        """Whether it answers, and its webhooks take what they are posted."""
        if not self._serving.alive:
            return Health(False, "the server does not answer any more; see the log")
        works = self._serving.served.works if self._serving.served else {}
        trouble = next((f"{name}: {said}" for name, one in works.items() if (said := one())), None)
        return Health(False, trouble) if trouble else HEALTHY


PLUG = Plug(ServeSettings, ServeExtension, outside=True)
