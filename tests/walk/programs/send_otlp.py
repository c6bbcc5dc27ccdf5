"""Sends COUNT spans, COUNT log records and one counter with the official Python exporters; prints the ids of the spans.

`send_otlp.py <http|grpc> <endpoint> <none|gzip> <service.name> <count>`; the same records as clients/send.mjs sends.
"""

import importlib
import json
import sys
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

protocol, endpoint, compression, service, many = sys.argv[1:]
count = int(many)


def exporter(module: str, name: str, signal: str) -> Any:
    """The official one, as its users make it."""
    make = getattr(importlib.import_module(f"opentelemetry.exporter.otlp.proto.{protocol}.{module}"), name)
    if protocol == "grpc":
        from grpc import Compression

        packed = {"none": Compression.NoCompression, "gzip": Compression.Gzip}[compression]
        return make(endpoint, insecure=True, compression=packed)
    from opentelemetry.exporter.otlp.proto.http import Compression as Packed

    return make(f"{endpoint}/v1/{signal}", compression=Packed(compression))


resource = Resource.create({"service.name": service})
traces = TracerProvider(resource=resource)
spans_out = exporter("trace_exporter", "OTLPSpanExporter", "traces")
traces.add_span_processor(BatchSpanProcessor(spans_out, max_queue_size=count + 1, max_export_batch_size=100))
logs = LoggerProvider(resource=resource)
logs_out = exporter("_log_exporter", "OTLPLogExporter", "logs")
logs.add_log_record_processor(BatchLogRecordProcessor(logs_out, max_queue_size=count + 1, max_export_batch_size=100))
reader = PeriodicExportingMetricReader(
    exporter("metric_exporter", "OTLPMetricExporter", "metrics"), export_interval_millis=3_600_000
)
meters = MeterProvider([reader], resource=resource)

tracer = traces.get_tracer("clients", "1.0")
logger = logs.get_logger("clients", "1.0")
counter = meters.get_meter("clients", "1.0").create_counter("sent")
spans = []
for n in range(count):
    attributes = {"n": n, "text": "grüß ☕", "flag": True, "share": n + 0.5, "list": ["a", "b"]}
    span = tracer.start_span(f"step {n}", attributes=attributes)
    span.add_event("half way", {"n": n})
    spans.append(format(span.get_span_context().span_id, "016x"))
    span.end()
    logger.emit(
        LogRecord(
            timestamp=1_700_000_000_000_000_000 + n,
            event_name="step.taken",
            body={"n": n, "nested": {"deep": [n, "x"]}},
            severity_number=SeverityNumber.INFO,
            attributes={"n": n},
        )
    )
    counter.add(1)
for provider in (traces, logs, meters):
    provider.force_flush()
    provider.shutdown()
print(json.dumps(spans))
