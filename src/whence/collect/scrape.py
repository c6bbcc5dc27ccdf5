"""The metrics listeners that `service.telemetry.metrics` asks for, and the numbers of the process itself."""

import os
import re
import resource
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from whence.collect.answers import Answer, Listener, address_of
from whence.collect.config.model import Prometheus, TelemetrySettings
from whence.collect.telemetry import Family, Telemetry, render
from whence.version import VERSION

_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_PAGE: Final = resource.getpagesize()


def addresses(settings: TelemetrySettings) -> list[Prometheus]:
    """Where to listen; nowhere with `level: none`."""
    metrics = settings.metrics
    if metrics.level == "none":
        return []
    if metrics.address:
        host, port = address_of(metrics.address)
        return [Prometheus(host=host, port=port)]
    return [reader.pull.exporter.prometheus for reader in metrics.readers]


def identity(settings: TelemetrySettings, instance: str) -> dict[str, str]:
    """The labels on every metric: who this collector is. `instance` stays the same for one run."""
    found: dict[str, str | None] = {
        "service_name": "whence",
        "service_version": VERSION,
        "service_instance_id": instance,
        **{re.sub(r"[^a-zA-Z0-9_]", "_", key): value for key, value in settings.resource.items()},
    }
    return {key: value for key, value in found.items() if value is not None}


class Scraped:
    """The listeners there are, changed only where the settings change."""

    def __init__(self, families: Callable[[], list[Family]]) -> None:
        self._families = families
        self._listeners: dict[Prometheus, Listener] = {}
        self.labels: Mapping[str, str] = {}

    def use(self, settings: TelemetrySettings) -> None:
        """Listen where these settings say. Raises ConfigError or StorageError, and then listens where it did."""
        wanted = addresses(settings)
        new: dict[Prometheus, Listener] = {}
        try:
            for one in wanted:
                if one not in self._listeners:
                    new[one] = Listener(f"[{one.host}]:{one.port}", {"/metrics": partial(self._answer, one)}, "metrics")
        except BaseException:
            for listener in new.values():
                listener.close()
            raise
        for one in [one for one in self._listeners if one not in wanted]:
            self._listeners.pop(one).close()
        self._listeners |= new

    @property
    def ports(self) -> list[int]:
        """Where it listens."""
        return [listener.port for listener in self._listeners.values()]

    def close(self) -> None:
        """Listen no more."""
        for listener in self._listeners.values():
            listener.close()
        self._listeners = {}

    def _answer(self, one: Prometheus) -> Answer:
        text = render(self._families(), self.labels, type_suffix=not one.without_type_suffix)
        return Answer(200, _TEXT, text.encode())


def watch_process(telemetry: Telemetry) -> None:
    """Tell of this process: its age, its processor time, its memory."""
    started = time.monotonic()
    telemetry.read("otelcol_process_uptime", lambda: time.monotonic() - started)
    telemetry.read("otelcol_process_cpu_seconds", lambda: sum(os.times()[:2]))
    telemetry.read("otelcol_process_memory_rss", _resident)


def _resident() -> float:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
    except OSError:  # no such file outside Linux: the peak is what there is
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
