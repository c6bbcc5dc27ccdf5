"""Exporters for programs set up by OpenTelemetry's own means: `OTEL_TRACES_EXPORTER=whence`, a declarative configuration
file, or a few lines of SDK code. They write the same archive as `configure`, in the thread that calls them.

The law of an exporter: it never raises, counts what fails, and says what it did (`status`).
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from whence.record.otel import LogRecordExporter, LogRecordExportResult, ReadableLogRecord
from whence.record.settings import read_settings
from whence.record.sink import Sink, SinkStatus, close_sink, open_sink

logger = logging.getLogger("whence.record")

CLOSE_SECONDS = 10.0


class _Export:
    """What the three exporters share: one sink, opened when the first batch comes, and never an exception."""

    def __init__(self, given: dict[str, Any]) -> None:
        # The archive is opened late: an exporter that is made and never used leaves no folder behind. Settings are checked
        # at once, so that a typo is an error where the program is set up.
        self._settings = read_settings(given, os.environ)
        self._sink: Sink | None = None
        self._closed = False
        self._failed = 0
        self._error: str | None = None

    @property
    def status(self) -> SinkStatus:
        """What the archive that this exporter writes to has taken and refused so far, in records."""
        done = self._sink.status if self._sink else SinkStatus()
        return replace(done, refused=done.refused + self._failed, error=self._error or done.error)

    def _store(self, what: Any, count: int) -> bool:
        if self._closed:
            return False
        try:
            if self._sink is None:
                self._sink = open_sink(Path(self._settings.archive), self._settings.writer_options())
            done = self._sink.store_metrics(what) if isinstance(what, MetricsData) else self._sink.store(what)
            if self._settings.durability == "durable" and not self._sink.writer.wait(done.ticket, CLOSE_SECONDS):
                return False
            return not done.refused
        except Exception as fault:  # noqa: BLE001 - the law of an exporter
            self._failed += count
            if str(fault) != self._error:
                logger.warning("whence cannot export: %s", fault)
            self._error = str(fault)
            return False

    def _flush(self, timeout_millis: float) -> bool:
        return self._sink is None or self._sink.writer.sync(timeout_millis / 1000)

    def _close(self, timeout: float = CLOSE_SECONDS) -> None:
        if self._sink is not None and not self._closed:
            report = close_sink(self._sink, timeout)
            if report and report.reason:
                logger.warning("whence could not write %d records: %s", report.records_unwritten, report.reason)
        self._closed = True


class WhenceSpanExporter(_Export, SpanExporter):
    """Writes finished spans to the archive. Keyword arguments are settings (`archive=`, `durability=`, ...); see
    docs/configuration.md. Raises ConfigError for a wrong one."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(settings)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS if self._store(spans, len(spans)) else SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._flush(timeout_millis)

    def shutdown(self) -> None:
        self._close()


class WhenceLogRecordExporter(_Export, LogRecordExporter):
    """Writes log records, events among them, to the archive. Keyword arguments as for WhenceSpanExporter."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(settings)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        return LogRecordExportResult.SUCCESS if self._store(batch, len(batch)) else LogRecordExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._flush(timeout_millis)

    def shutdown(self) -> None:
        self._close()


class WhenceMetricExporter(_Export, MetricExporter):
    """Writes metrics to the archive. Keyword arguments as for WhenceSpanExporter."""

    def __init__(self, **settings: Any) -> None:
        MetricExporter.__init__(self)
        _Export.__init__(self, settings)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        return MetricExportResult.SUCCESS if self._store(metrics_data, 1) else MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self._close(timeout_millis / 1000)
