"""The exporter `debug`: shows what passes in the collector's log: how much, the records' names, or all of it."""

import threading
from typing import Final, Literal

import orjson
from pydantic import Field

from whence.collect.batch import ACCEPTED, LEVELS, Batch, Receipt
from whence.collect.component import Host, Plug
from whence.collect.settings import Settings
from whence.collect.telemetry import ITEMS

_EVERY: Final = 1.0
"""Seconds of which `sampling_initial` and `sampling_thereafter` speak, as in the Collector."""


class DebugSettings(Settings):
    """The Collector's keys."""

    verbosity: Literal["basic", "normal", "detailed"] = "basic"
    sampling_initial: int = Field(2, ge=0)
    """Batches told in each second before only some are."""
    sampling_thereafter: int = Field(1, ge=0)
    """From then on each so-manieth; 0: none."""
    use_internal_logger: bool = True


class Debug:
    """Tells, and keeps nothing."""

    def __init__(self, settings: DebugSettings, host: Host) -> None:
        self._settings = settings
        self._host = host
        self._lock = threading.Lock()
        self._second = 0
        self._seen = 0

    def consume(self, batch: Batch) -> Receipt:
        """Told, unless so many were told this second already."""
        if self._is_told():
            count, items = batch.count(), ITEMS[batch.signal].replace("_", " ")
            self._host.log.info("%s: %s: %d %s%s", self._host.id, batch.signal, count, items, self._inside(batch))
        return ACCEPTED

    def _is_told(self) -> bool:
        second = int(self._host.monotonic() / _EVERY)
        with self._lock:
            if second != self._second:
                self._second, self._seen = second, 0
            self._seen += 1
            beyond = self._seen - self._settings.sampling_initial
        every = self._settings.sampling_thereafter
        return beyond <= 0 or (every > 0 and beyond % every == 0)

    def _inside(self, batch: Batch) -> str:
        if self._settings.verbosity == "basic":
            return ""
        tree = batch.opened().tree or {}
        if self._settings.verbosity == "detailed":
            return "\n" + orjson.dumps(tree, option=orjson.OPT_INDENT_2).decode()
        resources, scopes, records = LEVELS[batch.signal]
        found = [
            orjson.dumps(record.get("name") or record.get("eventName") or record.get("body", {})).decode()
            for resource in tree.get(resources, ())
            for scope in resource.get(scopes, ())
            for record in scope.get(records, ())
        ]
        return "".join(f"\n  {name}" for name in found)


def build(settings: DebugSettings, host: Host) -> Debug:
    """The exporter."""
    return Debug(settings, host)


PLUG = Plug(DebugSettings, build)
