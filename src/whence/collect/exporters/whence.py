"""The exporter `whence`: the archive. A batch is acknowledged when it is on the device.

One folder, `collected`, unless `partition_by` names a resource attribute: then a folder a value, up to `max_values` of them.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import Field

from whence.archive.terms import Durability
from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.collect.archive_metrics import archive_health, watch_archive
from whence.collect.batch import LEVELS, Batch, Receipt
from whence.collect.component import Health, Host, Plug
from whence.collect.outcome import Refused
from whence.collect.settings import Duration, Settings, Size
from whence.errors import StorageError
from whence.index.background import begin_build
from whence.otlp.wire import Lines

GROUP: Final = "collected"
OVERFLOW: Final = "other"
"""The folder of whatever came when there were `max_values` others."""
_RETRY: Final = 1.0
_TOLD_EVERY: Final = 10.0


class WhenceSettings(Settings):
    """Keys as in whence's own configuration, but for durability, which is `durable` where nothing else is said."""

    directory: str
    durability: Durability = Durability.DURABLE
    timeout: Duration = 30.0
    """How long a batch may take to the device before its sender is asked to send it again."""
    rotate_bytes: Size = 500_000_000
    rotate_seconds: Duration | None = None
    compress_over: Size | None = 1 << 20
    encrypt_to: tuple[str, ...] = ()
    index_closed: bool = True
    partition_by: str | None = None
    """A resource attribute, such as `service.name`."""
    max_values: int = Field(100, ge=1, le=10_000)
    """Folders, and so at most three times as many open files."""


class WhenceExporter:
    """One archive, written by this process."""

    def __init__(self, settings: WhenceSettings, host: Host) -> None:
        self._settings = settings
        self._host = host
        self._writer: ArchiveWriter | None = None
        self._forget: Callable[[], None] = lambda: None
        self._groups: set[str] = set()
        self._lock = threading.Lock()
        self._stalled: int | None = None
        self._quiet_until: dict[str, float] = {}

    def start(self, host: Host) -> None:
        """Make or join the archive. Raises StorageError, ConfigError."""
        settings = self._settings
        options = WriterOptions(
            durability=settings.durability,
            rotate_bytes=settings.rotate_bytes,
            rotate_seconds=settings.rotate_seconds,
            compress_over=settings.compress_over,
            encrypt_to=settings.encrypt_to,
            on_trouble="refuse",
            on_sealed=begin_build if settings.index_closed else None,
        )
        self._writer = ArchiveWriter(Path(settings.directory), options)
        self._forget = watch_archive(host.telemetry, host.id, self._writer)

    def stop(self, deadline: float) -> None:
        """Put everything on disk and seal it."""
        self._forget()
        if self._writer is None:
            return
        report = self._writer.close(max(deadline - self._host.monotonic(), 0.1))
        if report.reason:
            self._host.log.error(
                "%s: %s; %d records are not on the device", self._host.id, report.reason, report.records_unwritten
            )

    def health(self) -> Health:
        """Whether the archive takes lines, and the device answers."""
        if self._writer is None:
            return Health(False, "the archive is not open")
        if self._stalled is not None and not self._writer.wait(self._stalled, 0):
            return Health(False, f"the disk under {self._writer.directory} does not answer")
        return archive_health(self._writer.status)

    def consume(self, batch: Batch) -> Receipt:
        """Write it and wait for the device. Raises DataError, and Refused where the disk does not take it now."""
        writer = self._writer
        if writer is None:
            raise Refused("cannot write to the archive: it is not open yet; send it again", _RETRY)
        rejected, message, ticket = 0, "", 0
        for group, lines in self._by_group(batch):
            rejected, message = rejected + lines.rejected, message or lines.message
            try:
                ticket = writer.append(group, batch.signal, lines.lines)
            except StorageError as trouble:
                raise self._refused(str(trouble)) from trouble
        if self._settings.durability is Durability.DURABLE and not self._wait(writer, ticket):
            raise self._refused(f"the disk under {writer.directory} does not answer")
        return Receipt(rejected, message)

    def _wait(self, writer: ArchiveWriter, ticket: int) -> bool:
        began = time.perf_counter()
        done = writer.wait(ticket, self._settings.timeout)
        self._stalled = None if done else ticket
        taken = time.perf_counter() - began
        self._host.telemetry.observe("whence_archive_fsync_duration", taken, exporter=self._host.id)
        return done

    def _refused(self, reason: str) -> Refused:
        if self._is_to_be_said("refused"):
            self._host.log.error("%s refuses what comes: %s", self._host.id, reason)
        return Refused(f"cannot write to the archive: {reason}; send it again", _RETRY)

    def _is_to_be_said(self, what: str) -> bool:
        """Now and then: every request meets the same trouble."""
        now = self._host.monotonic()
        if now < self._quiet_until.get(what, 0.0):
            return False
        self._quiet_until[what] = now + _TOLD_EVERY
        return True

    def _by_group(self, batch: Batch) -> Iterable[tuple[str, Lines]]:
        attribute = self._settings.partition_by
        if attribute is None:
            return [(GROUP, batch.lines())]
        parts: dict[str, list[dict[str, Any]]] = {}
        resources = LEVELS[batch.signal][0]
        for resource in (batch.opened().tree or {}).get(resources, ()):
            parts.setdefault(self._group(_value(resource, attribute)), []).append(resource)
        return [(group, batch.with_tree({resources: some}).lines()) for group, some in parts.items()]

    def _group(self, value: str) -> str:
        with self._lock:
            if value not in self._groups and len(self._groups) >= self._settings.max_values:
                self._host.telemetry.count("whence_archive_overflowed", exporter=self._host.id)
                if self._is_to_be_said("overflow"):
                    self._host.log.warning(
                        "%s: more than %d values of %s; the others go to the folder %s: raise max_values, or partition by less",
                        self._host.id, self._settings.max_values, self._settings.partition_by, OVERFLOW,
                    )  # fmt: skip
                return OVERFLOW
            self._groups.add(value)
        return value


def _value(resource: Mapping[str, Any], attribute: str) -> str:
    """A resource's attribute as text; what has none goes where everything goes without a partition."""
    for pair in resource.get("resource", {}).get("attributes", ()):
        if pair.get("key") == attribute:
            value = next(iter(pair.get("value", {}).values()), "")
            return (orjson.dumps(value).decode() if isinstance(value, dict) else str(value)) or GROUP
    return GROUP


def build(settings: WhenceSettings, host: Host) -> WhenceExporter:
    """The exporter; nothing is opened yet."""
    return WhenceExporter(settings, host)


PLUG = Plug(WhenceSettings, build)
