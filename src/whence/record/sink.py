"""From finished OpenTelemetry objects to the archive: the one road that the recorder's queue and the plain exporters share.

The law: nothing raised here reaches the application; what cannot be stored is counted by reason and said.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan

from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.errors import StorageError
from whence.event import names
from whence.otlp.encode import Encoded, encode_logs, encode_spans
from whence.otlp.limits import Limits
from whence.otlp.metrics import encode_metrics
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


class Sink:
    """Encodes finished records and appends them to one archive. Any thread may call; lines are written in call order."""

    def __init__(self, directory: Path, options: WriterOptions) -> None:
        """Raises StorageError where the archive cannot be opened."""
        self.writer = ArchiveWriter(directory, options)
        self._lock = threading.Lock()
        self._status = SinkStatus()

    @property
    def status(self) -> SinkStatus:
        return self._status

    def store(self, items: Sequence[Item]) -> int:
        """Write records as they are finished, logs and spans each to their run's file; gives the writer's ticket."""
        logs: dict[str, list[Any]] = {}
        spans: dict[str, list[ReadableSpan]] = {}
        sync = False
        for item in items:
            if isinstance(item, ReadableSpan):
                spans.setdefault(run_of(item.attributes, item.resource), []).append(item)
            else:
                attributes = item.log_record.attributes
                logs.setdefault(run_of(attributes, item.resource), []).append(item)
                sync = sync or (attributes is not None and names.AUDIT in attributes)
        ticket = 0
        for run, records in logs.items():
            ticket = self._append(run, "logs", encode_logs(records), len(records), sync)
        for run, finished in spans.items():
            ticket = self._append(run, "traces", encode_spans(finished), len(finished), False)
        return ticket

    def store_whole(self, batch: Sequence[ReadWriteLogRecord]) -> int:
        """Write log records of one run as one line: after a crash all of them are there or none is."""
        run = run_of(batch[0].log_record.attributes, batch[0].resource)
        return self._append(run, "logs", encode_logs(batch, WHOLE), len(batch), False)

    def store_metrics(self, data: MetricsData) -> int:
        """Write one collection of metrics to the file of the run its first resource names."""
        run = run_of(None, data.resource_metrics[0].resource) if data.resource_metrics else NO_RUN
        encoded = encode_metrics(data)
        return self._append(run, "metrics", encoded, sum(line.records for line in encoded.lines), False)

    def _append(self, run: str, signal: Any, encoded: Encoded, records: int, sync: bool) -> int:
        try:
            ticket = self.writer.append(run, signal, encoded.lines, sync=sync)
        except StorageError as trouble:
            self._count(SinkStatus(refused=records, error=str(trouble)))
            return 0
        self._count(SinkStatus(records - encoded.failed, encoded.failed, error=encoded.error))
        return ticket

    def _count(self, more: SinkStatus) -> None:
        with self._lock:
            now = self._status
            self._status = SinkStatus(
                now.stored + more.stored,
                now.unencodable + more.unencodable,
                now.refused + more.refused,
                more.error or now.error,
            )
        if more.error and more.error != now.error:
            logger.warning("whence cannot store some records: %s", more.error)


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


def close_sink(sink: Sink, timeout: float) -> str | None:
    """Give a sink back; the last to do so closes the archive. Answers what could not be written, or None."""
    with _sinks_lock:
        for key, (known, users) in list(_sinks.items()):
            if known is sink:
                if users > 1:
                    _sinks[key] = (sink, users - 1)
                    sink.writer.sync(timeout)
                    return None
                del _sinks[key]
    report = sink.writer.close(timeout)
    return report.reason
