"""The optional OTLP path out of the program: OpenTelemetry's own exporters beside the archive, and the bridge for viewers."""

import logging
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from whence.errors import ConfigError
from whence.otlp.service import GRPC_PORT, PATHS
from whence.record.bridge import EventBridge
from whence.record.otel import BatchLogRecordProcessor, LogRecordProcessor
from whence.record.settings import Settings

logger = logging.getLogger("whence.record")


@dataclass(frozen=True, slots=True)
class Forward:
    """The processors that see each finished record besides the archive's queue; none, where nothing is forwarded."""

    spans: tuple[SpanProcessor, ...] = ()
    logs: tuple[LogRecordProcessor, ...] = ()

    @property
    def _all(self) -> tuple[LogRecordProcessor | SpanProcessor, ...]:
        return (*self.logs, *self.spans)

    def flush(self, timeout: float) -> bool:
        """Until the exporters have taken everything. Their answer says handed over, not arrived: the SDK knows no more."""
        until = time.monotonic() + timeout
        done = True
        for processor in self._all:
            done = processor.force_flush(int(max(0.0, until - time.monotonic()) * 1000)) and done
        return done

    def close(self, timeout: float) -> None:
        """Hand over what is left and stop, within about `timeout` seconds; an unreachable backend is given up then."""
        for processor in self._all:
            try:
                processor.shutdown()
            except Exception as fault:  # noqa: BLE001 - somebody else's exporter, at the end of the program
                logger.warning("an OTLP exporter failed while shutting down: %r", fault)


def protocol_of(endpoint: str, asked: str | None) -> str:
    """`grpc` or `http/protobuf`: as asked, else by the endpoint's port (4317 is OTLP/gRPC's), else HTTP."""
    if asked is not None:
        return asked
    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    return "grpc" if parts.port == GRPC_PORT else "http/protobuf"


def forward_to(settings: Settings) -> Forward:
    """The exporters that `otlp=` asks for. Raises ConfigError where they are not installed."""
    otlp = settings.otlp
    if otlp is None:
        return Forward(logs=(EventBridge(None),)) if settings.bridge else Forward()
    spans, logs = _exporters(otlp.endpoint, protocol_of(otlp.endpoint, otlp.protocol), dict(otlp.headers), otlp.timeout)
    batched = BatchSpanProcessor(
        spans,
        max_queue_size=settings.queue_size,
        schedule_delay_millis=1000,
        max_export_batch_size=min(512, settings.queue_size),
    )
    forwarded = BatchLogRecordProcessor(
        logs,
        max_queue_size=settings.queue_size,
        schedule_delay_millis=1000,
        max_export_batch_size=min(512, settings.queue_size),
    )
    bridged: tuple[LogRecordProcessor, ...] = () if settings.bridge is False else (EventBridge(batched),)
    return Forward(spans=(batched,), logs=(*bridged, forwarded))


def _exporters(endpoint: str, protocol: str, headers: dict[str, str], timeout: float) -> tuple[Any, Any]:
    try:
        if protocol == "grpc":
            from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans

            insecure = not endpoint.startswith("https://")
            given: dict[str, Any] = {
                "endpoint": endpoint,
                "headers": headers or None,
                "timeout": timeout,
                "insecure": insecure,
            }
            return GrpcSpans(**given), GrpcLogs(**given)
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
    except ImportError as missing:
        raise ConfigError(
            f"cannot forward to {endpoint}: the OTLP exporters are not installed ({missing}); pip install 'whence[otlp]'"
        ) from missing
    base = endpoint.rstrip("/")
    return (
        HttpSpans(endpoint=base + PATHS["traces"], headers=headers or None, timeout=timeout),
        HttpLogs(endpoint=base + PATHS["logs"], headers=headers or None, timeout=timeout),
    )
