"""From finished OpenTelemetry objects to the archive: the one road that the recorder's queue and the plain exporters share.

The law: nothing raised here reaches the application; what cannot be stored is counted by reason and said.
"""

import logging
import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan

from whence.archive.writer import ArchiveWriter, CloseReport, WriterOptions
from whence.errors import StorageError
from whence.event import names
from whence.otlp.encode import encode_logs, encode_spans
from whence.otlp.limits import Limits
from whence.otlp.metrics import encode_metrics
from whence.otlp.page import Encoded
from whence.record.interrupts import held
from whence.record.otel import ReadableLogRecord, ReadWriteLogRecord

logger = logging.getLogger("whence.record")

Item = ReadableSpan | ReadableLogRecord | ReadWriteLogRecord

WHOLE: Final = Limits(line_bytes=1 << 40, records_per_line=1 << 40)
"""An atomic batch is one line, whatever its size: a line is the archive's unit of atomicity."""
NO_RUN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """What a sink did so far, in records (log records, spans, metric data points)."""

    stored: int = 0
    unencodable: int = 0
    refused: int = 0
    """Records the archive would not take: the disk in trouble for longer than memory could hold."""
    error: str | None = None
    """The last failure, in words."""


class Stored(NamedTuple):
    """What became of some records: the writer's ticket for them, and how many were not taken."""

    ticket: int = 0
    refused: int = 0
    unencodable: int = 0

    def and_also(self, other: "Stored") -> "Stored":
        """Of both together, the ticket of the later."""
        return Stored(
            max(self.ticket, other.ticket), self.refused + other.refused, self.unencodable + other.unencodable
        )


class Sink:
    """Encodes finished records and appends them to one archive. Any thread may call; lines are written in call order."""

    def __init__(self, directory: Path, options: WriterOptions) -> None:
        """Raises StorageError where the archive cannot be opened."""
        self.writer = ArchiveWriter(directory, options)
        self._start()
        _alive.add(self)

    def _start(self) -> None:
        """A fresh lock and nothing done yet: at the beginning, and again in a forked child."""
        self._lock = threading.Lock()
        self._status = SinkStatus()
        self._refusing = False

    @property
    def status(self) -> SinkStatus:
        return self._status

    def store(self, items: Sequence[Item]) -> Stored:
        """Write records as they are finished, logs and spans each to their run's file."""
        logs: dict[str, list[Any]] = {}
        spans: dict[str, list[ReadableSpan]] = {}
        sync = False
        runs: dict[int, str] = {}
        for item in items:
            is_span = isinstance(item, ReadableSpan)
            attributes = _plain(item.attributes if is_span else item.log_record.attributes)  # type: ignore[union-attr]
            run = attributes.get(names.RUN)
            if run is None:
                resource = item.resource
                run = runs.get(id(resource))
                if run is None:
                    run = runs[id(resource)] = run_of(None, resource)
            if is_span:
                spans.setdefault(str(run), []).append(item)  # type: ignore[arg-type]
            else:
                logs.setdefault(str(run), []).append(item)
                sync = sync or names.AUDIT in attributes
        done = Stored()
        for run, records in logs.items():
            done = done.and_also(self._append(run, "logs", encode_logs(records), len(records), sync))
        for run, finished in spans.items():
            done = done.and_also(self._append(run, "traces", encode_spans(finished), len(finished), False))
        return done

    def store_whole(self, batch: Sequence[ReadWriteLogRecord]) -> Stored:
        """Write log records of one run as one line: after a crash all of them are there or none is."""
        run = run_of(batch[0].log_record.attributes, batch[0].resource)
        return self._append(run, "logs", encode_logs(batch, WHOLE), len(batch), False)

    def store_metrics(self, data: MetricsData) -> Stored:
        """Write one collection of metrics to the file of the run its first resource names."""
        run = run_of(None, data.resource_metrics[0].resource) if data.resource_metrics else NO_RUN
        encoded = encode_metrics(data)
        return self._append(run, "metrics", encoded, sum(line.records for line in encoded.lines), False)

    def _append(self, run: str, signal: Any, encoded: Encoded, records: int, sync: bool) -> Stored:
        try:
            with held():  # lines must not be in a file and uncounted
                ticket = self.writer.append(run, signal, encoded.lines, sync=sync)
        except StorageError as trouble:
            self._count(SinkStatus(refused=records, error=str(trouble)))
            return Stored(refused=records)
        self._count(SinkStatus(records - encoded.failed, encoded.failed, error=encoded.error))
        return Stored(ticket, unencodable=encoded.failed)

    def _count(self, more: SinkStatus) -> None:
        with self._lock:
            now = self._status
            self._status = SinkStatus(
                now.stored + more.stored,
                now.unencodable + more.unencodable,
                now.refused + more.refused,
                more.error or now.error,
            )
            # Said once for each time that the disk gets into trouble: not for every record.
            again = more.error == now.error or (more.refused and self._refusing)
            self._refusing = more.refused > 0
        if more.error and not again:
            logger.warning("whence cannot store some records: %s", more.error)


def _plain(attributes: Any) -> Mapping[str, Any]:
    """Attributes as something that is quick to ask: for a key that is not there, the SDK's own take a microsecond."""
    if type(attributes) is dict:
        return attributes
    if not attributes:
        return _NONE
    return attributes.copy() if hasattr(attributes, "copy") else attributes  # type: ignore[no-any-return]


_NONE: Final[dict[str, Any]] = {}


def run_of(attributes: Any, resource: Any) -> str:
    """The run a record belongs to: its own attribute, else its resource's, else the service's name."""
    run = attributes.get(names.RUN) if attributes else None
    if run is None and resource is not None:
        run = resource.attributes.get(names.RUN)
        if run is None:
            run = resource.attributes.get(names.SERVICE_NAME)
    return NO_RUN if run is None else str(run)


# --- one sink an archive and process: the three exporters of one program must not race over three sets of files --------

_sinks: dict[Path, tuple[Sink, int]] = {}
_sinks_lock = threading.Lock()


def open_sink(directory: Path, options: WriterOptions) -> Sink:
    """The process's sink for this archive, opened on first use; each `open_sink` needs one `close_sink`."""
    key = directory.absolute()
    with _sinks_lock:
        sink, users = _sinks.get(key, (None, 0))
        if sink is None:
            sink = Sink(key, options)
        _sinks[key] = (sink, users + 1)
        return sink


def close_sink(sink: Sink, timeout: float) -> CloseReport | None:
    """Give a sink back; the last to do so closes the archive, and is told what could not be written."""
    with _sinks_lock:
        for key, (known, users) in list(_sinks.items()):
            if known is sink:
                if users > 1:
                    _sinks[key] = (sink, users - 1)
                    sink.writer.sync(timeout)
                    return None
                del _sinks[key]
    return sink.writer.close(timeout)


_alive: "weakref.WeakSet[Sink]" = weakref.WeakSet()


def _after_fork() -> None:
    global _sinks_lock
    _sinks_lock = threading.Lock()
    for sink in list(_alive):
        sink._start()


os.register_at_fork(after_in_child=_after_fork)
