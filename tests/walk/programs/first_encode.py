"""Forks as often as it can while another thread, as the recorder's does, encodes log records and spans for the first time.

Each child encodes too. One that hangs shows where, and ends with another code than 0.
"""

import faulthandler
import os
import sys
import threading

from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from whence.native import CORE
from whence.otlp import from_objects, from_objects_native

PATIENCE = 60
LONG = [0] * 400_000  # so that those who wait for the interpreter have asked for it by the time the rest is encoded
ENCODER = from_objects if CORE.module is None else from_objects_native

kept_logs, kept_spans = InMemoryLogRecordExporter(), InMemorySpanExporter()
logs, traces = LoggerProvider(), TracerProvider()
logs.add_log_record_processor(SimpleLogRecordProcessor(kept_logs))
traces.add_span_processor(SimpleSpanProcessor(kept_spans))
with traces.get_tracer("first").start_as_current_span("work", attributes={"n": LONG}) as work:
    work.add_event("step", {"n": 2})
    work.add_link(work.get_span_context(), {"n": 3})
    work.set_status(trace.StatusCode.ERROR, "failed")
    logs.get_logger("first").emit(event_name="step", body=LONG, attributes={"n": 4})
records, spans = kept_logs.get_finished_logs(), kept_spans.get_finished_spans()


def encode() -> None:
    for encoded in (ENCODER.encode_logs(records), ENCODER.encode_spans(spans)):
        assert len(encoded.lines) == 1, encoded


def encode_amid_forks() -> None:
    while len(children) < 2:
        pass
    encode()


def fork() -> int:
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        encode()
        os._exit(0)
    return child


sys.setswitchinterval(1e-3)  # long enough to fork in, once it is one's turn
children: list[int] = []
thread = threading.Thread(target=encode_amid_forks)
thread.start()
while thread.is_alive():
    children.append(fork())
codes = {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children}
sys.exit(f"children ended with {codes}" if codes != {0} else 0)
