"""Files that the OpenTelemetry Collector itself writes, read while it writes and rotates them. Where `otelcol` is on PATH."""

import shutil
import sys
from pathlib import Path

import pytest

from build_clients import COUNT, Server, a_process, send
from build_files import Pipeline, reading
from build_lines import free_port
from build_walk import PROGRAMS, environment

OTELCOL = shutil.which("otelcol-contrib") or shutil.which("otelcol")
CONFIG = """\
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{http}"}}, grpc: {{endpoint: "127.0.0.1:{grpc}"}}}}}}}}
exporters:
  file/t: {{path: "{folder}/traces.jsonl", append: true}}
  file/l: {{path: "{folder}/logs.jsonl", append: true}}
  file/m: {{path: "{folder}/metrics.jsonl", rotation: {{max_megabytes: 1}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file/t]}}
    logs: {{receivers: [otlp], exporters: [file/l]}}
    metrics: {{receivers: [otlp], exporters: [file/m]}}
"""


@pytest.mark.skipif(OTELCOL is None, reason="no otelcol on PATH")
def test_what_the_collector_writes_is_read_while_it_writes(tmp_path: Path) -> None:
    """Every span and log record that was sent to it, once, in order, and metrics."""
    assert OTELCOL
    server = Server(free_port(), free_port(), tmp_path)
    files = tmp_path / "files"
    files.mkdir()
    config = tmp_path / "otelcol.yaml"
    config.write_text(CONFIG.format(http=server.http, grpc=server.grpc, folder=files))
    command = [OTELCOL, "--config", str(config)]
    pipeline = Pipeline()
    with reading(files, "*.jsonl*", pipeline=pipeline) as one:
        with a_process(command, (server.http, server.grpc), tmp_path, environment()):
            program = [sys.executable, str(PROGRAMS / "send_otlp.py"), "grpc"]
            spans = send(program, server.endpoint("grpc"), "none", "files", COUNT)
        one.until(lambda: _count(pipeline, "traces") >= COUNT and _count(pipeline, "logs") >= COUNT)
        one.until(lambda: _count(pipeline, "metrics") > 0)
        one.rounds()
    assert _count(pipeline, "traces") == len(spans) == COUNT
    assert _count(pipeline, "logs") == COUNT


def _count(pipeline: Pipeline, signal: str) -> int:
    return sum(batch.count() for batch in list(pipeline.kept) if batch.signal == signal)
