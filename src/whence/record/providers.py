"""The program's OpenTelemetry providers: made where there are none, added to where there are, plugged and unplugged.

OpenTelemetry lets each global provider be set once. So what is installed here stays for the life of the process, and a
recorder that begins plugs its queue in, one that ends takes it out.
"""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider

from whence.event import names
from whence.record.otel import LoggerProvider, get_logger_provider, set_logger_provider
from whence.record.processors import WhenceLogProcessor, WhenceSpanProcessor
from whence.record.sink import Sink

logger = logging.getLogger("whence.record")

MAX_PER_SPAN: Final = 16_384
"""Links, and span events, a span may have. OpenTelemetry's 128 drops the oldest without a word: a turn with 300 causes
would lose most of them."""


class MetricPlug(MetricExporter):
    """Writes metrics to the sink that is plugged in, and nowhere while there is none. Never raises."""

    def __init__(self) -> None:
        super().__init__()
        self.sink: Sink | None = None
        self.lose: Callable[[str, int], None] | None = None
        """Told the reason and number of data points that the sink did not take."""

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        try:
            if self.sink is not None:
                refused = self.sink.store_metrics(metrics_data).refused
                if refused and self.lose is not None:
                    self.lose("storage", refused)
        except Exception as fault:  # noqa: BLE001 - the law of an exporter
            logger.warning("whence could not store metrics: %r", fault)
            return MetricExportResult.FAILURE
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self.sink = None


@dataclass(frozen=True, slots=True)
class Providers:
    """The process's providers with our processors in them. `ours`: whether we made the tracer provider."""

    tracers: TracerProvider
    loggers: LoggerProvider
    spans: WhenceSpanProcessor
    logs: WhenceLogProcessor
    meters: MeterProvider | None
    metrics: MetricPlug | None
    ours: bool


_installed: Providers | None = None


def install(run: str, service: str | None, with_metrics: bool) -> Providers:
    """The process's providers, our processors in them; made or completed on the first call, the same ever after."""
    global _installed
    if _installed is None:
        resource = Resource.create(_attributes(run, service))
        spans, logs = WhenceSpanProcessor(), WhenceLogProcessor()
        tracers = trace.get_tracer_provider()
        ours = not isinstance(tracers, TracerProvider)
        if not isinstance(tracers, TracerProvider):
            limits = SpanLimits(max_links=MAX_PER_SPAN, max_events=MAX_PER_SPAN)
            tracers = TracerProvider(resource=resource, span_limits=limits)
            trace.set_tracer_provider(tracers)
        tracers.add_span_processor(spans)
        loggers = get_logger_provider()
        if not isinstance(loggers, LoggerProvider):
            loggers = LoggerProvider(resource=resource)
            set_logger_provider(loggers)
        loggers.add_log_record_processor(logs)
        meters, exporter = _meters(resource) if with_metrics else (None, None)
        _installed = Providers(tracers, loggers, spans, logs, meters, exporter, ours)
    return _installed


def _meters(resource: Resource) -> tuple[MeterProvider | None, MetricPlug | None]:
    """Our own meter provider, or none where the program has one: its readers cannot be added to afterwards."""
    if isinstance(metrics.get_meter_provider(), MeterProvider):
        return None, None
    exporter = MetricPlug()
    meters = MeterProvider(metric_readers=[PeriodicExportingMetricReader(exporter)], resource=resource)
    metrics.set_meter_provider(meters)
    return meters, exporter


def _attributes(run: str, service: str | None) -> dict[str, str]:
    attributes = {names.RUN: run}
    if service is not None:
        attributes[names.SERVICE_NAME] = service
    elif Resource.create().attributes.get(names.SERVICE_NAME, "").startswith("unknown_service"):  # type: ignore[union-attr]
        attributes[names.SERVICE_NAME] = program_name()
    return attributes


def program_name() -> str:
    """What this program is called, for people: its script's name, or `python` where there is none."""
    script = Path(sys.argv[0] if sys.argv else "").stem
    if script == "__main__":
        script = Path(sys.argv[0]).parent.name
    return script if script and script != "-c" else "python"
