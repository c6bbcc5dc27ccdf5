"""The exporter `whence`: the archive. A batch is acknowledged when it is on the device.

One folder, `collected`, unless `partition_by` names a resource attribute: then a folder a value, up to `max_values` of them.
With `retention` it removes what is older, or more, than is to be kept.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pydantic import Field, model_validator

from whence.archive import names
from whence.archive.terms import Durability
from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.collect.archive_metrics import archive_health, watch_archive
from whence.collect.batch import LEVELS, Batch, Receipt
from whence.collect.component import Health, Host, Plug
from whence.collect.exporters.partition import ABSENT, OVERFLOW, Places, parts_of
from whence.collect.exporters.whence_keeping import RUN, Keeping, Retention
from whence.collect.outcome import Refused
from whence.collect.seldom import Seldom
from whence.collect.settings import Duration, Settings, Size
from whence.collect.telemetry import ITEMS
from whence.errors import StorageError
from whence.index.background import begin_build
from whence.otlp.wire import Lines, Signal

GROUP: Final = ABSENT
"""The folder of all that is not parted."""
_RETRY: Final = 1.0
_LARGEST: Final = 500_000_000
_SHARE: Final = 20
"""Files are a twentieth of what may be kept in all, unless told otherwise: retention removes whole files."""
_LEAST_SHARE: Final = 4
_A_DAY: Final = 86_400.0


class WhenceSettings(Settings):
    """Keys as in whence's own configuration, but for durability, which is `durable` where nothing else is said."""

    directory: str
    durability: Durability = Durability.DURABLE
    timeout: Duration = 30.0
    """How long a batch may take to the device before its sender is asked to send it again."""
    rotate_bytes: Size = _LARGEST
    """By default less where `retention.total_bytes` asks for it."""
    rotate_seconds: Duration | None = None
    """By default a day where there is `retention`, and never otherwise."""
    compress_over: Size | None = 1 << 20
    encrypt_to: tuple[str, ...] = ()
    index_closed: bool = True
    partition_by: str | None = None
    """A resource attribute, such as `service.name`."""
    max_values: int = Field(100, ge=1, le=10_000)
    """Folders at most, those that are there at the start included."""
    max_open_files: int = Field(300, ge=3, le=100_000)
    """A file a folder and signal; one more closes the one unused longest."""
    retention: Retention | None = None

    @model_validator(mode="after")
    def _files_can_go(self) -> "WhenceSettings":
        total = self.retention.total_bytes if self.retention else None
        if total is not None and self.largest * _LEAST_SHARE > total:
            raise ValueError(
                f"a rotate_bytes of at most a quarter of retention.total_bytes, so {total // _LEAST_SHARE}: "
                "files that are written are never removed"
            )
        return self

    @property
    def largest(self) -> int:
        """Bytes after which a file is closed."""
        total = self.retention.total_bytes if self.retention else None
        if total is None or "rotate_bytes" in self.model_fields_set:
            return self.rotate_bytes
        return min(_LARGEST, total // _SHARE)

    @property
    def oldest(self) -> float | None:
        """Seconds after which a file is closed."""
        given = "rotate_seconds" in self.model_fields_set or self.retention is None
        return self.rotate_seconds if given else _A_DAY


class WhenceExporter:
    """One archive, written by this process."""

    def __init__(self, settings: WhenceSettings, host: Host) -> None:
        self._settings = settings
        self._host = host
        self._writer: ArchiveWriter | None = None
        self._forget: Callable[[], None] = lambda: None
        self._places = Places(settings.max_values)
        self._keeping: Keeping | None = None
        self._writing = threading.Lock()
        self._stalled: int | None = None
        self._is_to_be_said = Seldom(host.monotonic)

    def start(self, host: Host) -> None:
        """Make or join the archive. Raises StorageError, ConfigError."""
        settings = self._settings
        options = WriterOptions(
            durability=settings.durability,
            rotate_bytes=settings.largest,
            rotate_seconds=settings.oldest,
            compress_over=settings.compress_over,
            encrypt_to=settings.encrypt_to,
            on_trouble="refuse",
            open_segments=settings.max_open_files,
            on_sealed=self._sealed,
        )
        self._writer = ArchiveWriter(Path(settings.directory), options)
        self._forget = watch_archive(host.telemetry, host.id, self._writer)
        if settings.partition_by is not None:
            self._places.know(_folders(self._writer.directory))
        if settings.retention is not None and not host.process:
            self._keeping = Keeping(settings.retention, host, self._writer)
            self._keeping.start()

    def stop(self, deadline: float) -> None:
        """Put everything on disk and seal it."""
        self._forget()
        if self._keeping is not None:
            self._keeping.stop(max((deadline - self._host.monotonic()) / 2, 0.1))
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
            return Health(False, _silent(self._writer))
        return archive_health(self._writer.status)

    def consume(self, batch: Batch) -> Receipt:
        """Write it and wait for the device. Raises DataError, and Refused where the disk does not take it now."""
        writer = self._writer
        if writer is None:
            raise Refused("cannot write to the archive: it is not open yet; send it again", _RETRY)
        rejected, message, ticket = 0, "", 0
        for group, lines in self._by_group(batch):
            rejected, message = rejected + lines.rejected, message or lines.message
            ticket = self._append(writer, group, batch.signal, lines)
        if self._settings.durability is Durability.DURABLE and not self._wait(writer, ticket):
            raise self._refused(_silent(writer))
        name = f"otelcol_exporter_sent_{ITEMS[batch.signal]}"
        self._host.telemetry.count(name, batch.count() - rejected, exporter=self._host.id)
        return Receipt(rejected, message)

    def _append(self, writer: ArchiveWriter, group: str, signal: Signal, lines: Lines) -> int:
        """Raises Refused. A write that never comes back holds up one request only: the others do not wait behind it."""
        if not self._writing.acquire(timeout=self._settings.timeout):
            raise self._refused(_silent(writer))
        try:
            return writer.append(group, signal, lines.lines)
        except StorageError as trouble:
            raise self._refused(str(trouble)) from trouble
        finally:
            self._writing.release()

    def _sealed(self, root: Path, size: int) -> None:
        """A file was closed."""
        if self._keeping is not None:
            self._keeping.look_soon()
        if self._settings.index_closed:
            begin_build(root, size)

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

    def _by_group(self, batch: Batch) -> Iterable[tuple[str, Lines]]:
        attribute = self._settings.partition_by
        if attribute is None:
            return [(GROUP, batch.lines())]
        found: dict[str, list[dict[str, Any]]] = {}
        for value, some in parts_of(batch, attribute):
            place, too_many = self._places.place(value)
            if too_many:
                self._tell_overflow(len(some))
            found.setdefault(place if too_many else value, []).extend(some)
        resources = LEVELS[batch.signal][0]
        return [(group, batch.with_tree({resources: some}).lines()) for group, some in found.items()]

    def _tell_overflow(self, resources: int) -> None:
        self._host.telemetry.count("whence_archive_overflowed", resources, exporter=self._host.id)
        if self._is_to_be_said("overflow"):
            self._host.log.warning(
                "%s: more than %d values of %s; the others go to the folder %s: raise max_values, or partition by less",
                self._host.id, self._settings.max_values, self._settings.partition_by, OVERFLOW,
            )  # fmt: skip


def _silent(writer: ArchiveWriter) -> str:
    return f"the disk under {writer.directory} does not answer"


def _folders(root: Path) -> Iterator[str]:
    """The folders that hold files of lines; what retention has emptied holds none."""
    for folder in root.iterdir():
        with suppress(OSError):
            if folder.name != RUN and any(names.PLAIN in file.name for file in folder.iterdir()):
                yield folder.name


def build(settings: WhenceSettings, host: Host) -> WhenceExporter:
    """The exporter; nothing is opened yet."""
    return WhenceExporter(settings, host)


PLUG = Plug(WhenceSettings, build)
