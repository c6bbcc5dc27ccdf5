"""`health_check`: 200 while every component does its work, else 503, with the reasons in the body.

It asks the components themselves: whether the archive takes lines, how full the queues are, whether backends answer.
"""

import json
from datetime import UTC, datetime

from whence.collect.answers import Answer, Listener, address_of
from whence.collect.component import HEALTHY, Health, Host, Plug
from whence.collect.settings import Duration, Settings, noted


class ResponseBody(Settings):
    """Fixed bodies instead of the reasons."""

    healthy: str = ""
    unhealthy: str = ""


class CheckPipeline(Settings):
    """The Collector's own check, which its documentation says does not work."""

    enabled: bool = False
    interval: Duration = 300.0
    exporter_failure_threshold: int = 5


class HealthCheckSettings(Settings):
    """The Collector's keys."""

    endpoint: str = "localhost:13133"
    path: str = "/"
    response_body: ResponseBody | None = None
    check_collector_pipeline: CheckPipeline | None = noted(None, "every component is always asked")


class HealthCheck:
    """One listener."""

    def __init__(self, settings: HealthCheckSettings, host: Host) -> None:
        address_of(settings.endpoint)
        self._settings = settings
        self._host = host
        self._listener: Listener | None = None
        self._since = host.now()

    def start(self, host: Host) -> None:
        """Listen. Raises StorageError."""
        self._listener = Listener(self._settings.endpoint, {self._settings.path: self._answer}, host.id)
        host.log.info("answering at %s:%s%s", address_of(self._settings.endpoint)[0], self.port, self._settings.path)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._listener.port if self._listener else 0

    def stop(self, deadline: float) -> None:
        """Listen no more."""
        if self._listener:
            self._listener.close()
            self._listener = None

    def health(self) -> Health:
        """Of the listener itself, there is nothing to say."""
        return HEALTHY

    def _answer(self) -> Answer:
        found = self._host.everyone()
        sick = {name: health.reason or "no reason given" for name, health in found.items() if not health.ok}
        fixed = self._settings.response_body
        body = (fixed.unhealthy if sick else fixed.healthy) if fixed else ""
        if body:
            return Answer(503 if sick else 200, "text/plain; charset=utf-8", body.encode())
        seconds = (self._host.now() - self._since) / 1e9
        told = {
            "status": "Server not available" if sick else "Server available",
            "upSince": datetime.fromtimestamp(self._since / 1e9, UTC).isoformat(),
            "uptime": f"{seconds:.0f}s",
            "unhealthy": sick,
            "components": sorted(found),
        }
        return Answer(503 if sick else 200, "application/json", json.dumps(told).encode() + b"\n")


PLUG = Plug(HealthCheckSettings, HealthCheck, outside=True)
