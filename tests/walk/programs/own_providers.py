"""A program that has set up OpenTelemetry by itself, with exporters of its own, and then calls configure.

Usage: own_providers.py ARCHIVE. Prints what its own exporters were given.
"""

import logging
import sys

from opentelemetry import trace
from opentelemetry._logs import get_logger, set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import whence

own = Resource.create({"service.name": "shop", "team": "blue"})
spans, logs = InMemorySpanExporter(), InMemoryLogRecordExporter()
tracers, loggers = TracerProvider(resource=own), LoggerProvider(resource=own)
tracers.add_span_processor(SimpleSpanProcessor(spans))
loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
trace.set_tracer_provider(tracers)
set_logger_provider(loggers)

whence.configure(archive=sys.argv[1], run="r7", metrics=False)
with trace.get_tracer("shop").start_as_current_span("order"):
    whence.log("paid", {"n": 1})
    get_logger("shop").emit(event_name="stock.low", body="two left")
logging.getLogger("shop").warning("late")
assert whence.shutdown(60).complete
assert trace.get_tracer_provider() is tracers
print("spans", *[span.name for span in spans.get_finished_spans()])
print("logs", *[str(record.log_record.event_name) for record in logs.get_finished_logs()])
