"""Files that the OpenTelemetry Collector itself writes, read while it writes and rotates them. Where `otelcol` is on PATH."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from build_clients import COUNT, Server, a_process, send
from build_files import Pipeline, reading
from build_walk import PROGRAMS, environment
from ports import free_port
from waiting import until
from whence.collect.receivers import filelog
from whence.otlp import wire
from whence.otlp.value import plain_attributes

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


LINES = [
    {"time": "2024-01-02T03:04:05.123456Z", "level": "info", "message": "hi", "n": {"a": [1, 2.5, None, True]}, "big": 1 << 53},
    {"time": "2024-01-02T03:04:05.000001Z", "level": "WARNING", "logger": "x", "trace": "0af7651916cd43dd8448eb211c80319c"},
    {"time": "yesterday", "level": "loud", "empty": {}, "none": [], "text": "gr\u00fcn \U0001f600"},
]  # fmt: skip
PLAIN = ["no json", '{"torn', "[1, 2]", "  spaces  ", "2023-06-19 05:20:50 ERROR plain text", '"text"', "7"]
OPERATORS: list[dict[str, Any]] = [
    {
        "type": "json_parser",
        "timestamp": {"parse_from": "attributes.time", "layout": "%Y-%m-%dT%H:%M:%S.%fZ"},
        "severity": {"parse_from": "attributes.level"},
        "trace": {"trace_id": {"parse_from": "attributes.trace"}},
        "on_error": "send_quiet",
    },
    {
        "type": "regex_parser",
        "if": 'body matches "^[0-9]{4}-"',
        "regex": r"^(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?P<sev>[A-Z]+) (?P<msg>.*)$",
        "timestamp": {"parse_from": "attributes.at", "layout": "%Y-%m-%d %H:%M:%S", "location": "UTC"},
        "severity": {"parse_from": "attributes.sev"},
    },
    {"type": "copy", "from": "attributes.message", "to": "attributes.said", "on_error": "send_quiet"},
    {"type": "move", "from": "attributes.message", "to": "body", "on_error": "send_quiet"},
    {"type": "remove", "field": "attributes.level", "on_error": "send_quiet"},
    {"type": "add", "field": 'resource["service.name"]', "value": "shop"},
    {"type": "flatten", "field": "attributes.n", "on_error": "send_quiet"},
    {"type": "filter", "expr": 'body == "7"'},
]


@pytest.mark.skipif(OTELCOL is None, reason="no otelcol on PATH")
def test_filelog_makes_the_same_records_of_the_same_lines(tmp_path: Path) -> None:
    """As the Collector's own, where it has one: bodies, attributes, times, severities, ids; also of what cannot be parsed."""
    assert OTELCOL
    there = subprocess.run([OTELCOL, "components"], capture_output=True, text=True, check=True, timeout=90).stdout
    if "filelog" not in there and "file_log" not in there:
        pytest.skip("this otelcol has no filelog")
    lines = [*(orjson.dumps(line).decode() for line in LINES), *PLAIN]
    (tmp_path / "app.log").write_text("".join(f"{line}\n" for line in lines))
    settings = {"include": [str(tmp_path / "app.log")], "start_at": "beginning", "operators": OPERATORS}
    exporter = {"file": {"path": str(tmp_path / "out.jsonl")}}
    service = {
        "telemetry": {"metrics": {"level": "none"}},
        "pipelines": {"logs": {"receivers": ["filelog"], "exporters": ["file"]}},
    }
    config = {"receivers": {"filelog": settings}, "exporters": exporter, "service": service}
    (tmp_path / "c.yaml").write_bytes(orjson.dumps(config))
    out = tmp_path / "out.jsonl"
    with a_process([OTELCOL, "--config", str(tmp_path / "c.yaml")], (), tmp_path, environment()):
        until(lambda: out.exists() and len(_shown(out.read_bytes().splitlines())) >= len(lines) - 1)
    with reading(tmp_path, "app.log", plug=filelog.PLUG, signals=("logs",), operators=OPERATORS) as one:
        one.has(len(lines) - 1)
        ours = _shown([orjson.dumps(batch.tree) for batch in one.pipeline.kept])
    for mine, its in zip(ours, _shown(out.read_bytes().splitlines()), strict=True):
        assert mine == its


def _shown(lines: list[bytes]) -> list[dict[str, Any]]:
    """The records of these requests in a form that is comparable, with what is around them."""
    found = []
    for line in lines:
        for resource in wire.tree_of_json("logs", line)["resourceLogs"]:
            for scope in resource["scopeLogs"]:
                for record in scope["logRecords"]:
                    shown = {key: value for key, value in record.items() if key != "observedTimeUnixNano"}
                    shown["attributes"] = plain_attributes(record.get("attributes"))
                    shown["resource"] = plain_attributes(resource.get("resource", {}).get("attributes"))
                    found.append(shown)
    return found
