"""Programs set up by OpenTelemetry's own means: exporters by name, declarative configuration, plain SDK code."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

import whence
from whence import ConfigError, Event
from whence.event import names
from whence.record.exporters import WhenceLogRecordExporter, WhenceMetricExporter, WhenceSpanExporter

PLAIN = """
    import logging
    from opentelemetry import trace
    from opentelemetry._logs import get_logger
    from opentelemetry.metrics import get_meter

    logging.getLogger("app").warning("careful %s", 7)
    with trace.get_tracer("lib").start_as_current_span("work") as span:
        get_logger("lib").emit(event_name="order.paid", attributes={"amount": 12})
    get_meter("lib").create_counter("orders").add(3)
"""


def run(tmp_path: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "app.py").write_text(textwrap.dedent(PLAIN))
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def events(directory: Path) -> dict[str, Event]:
    archive = whence.Archive(directory)
    found = {event.type or event.description or "": event for event in archive.events()}
    assert archive.problems == []
    return found


def has_all_three_signals(directory: Path) -> bool:
    found = events(directory)
    assert found["work"].signal == "span"
    assert found["order.paid"].span_id == found["work"].span_id
    assert found["order.paid"].attributes["amount"] == 12
    assert found["careful 7"].severity is whence.Severity.WARN
    metrics = b"".join(line.data for line in whence.Archive(directory).lines(signal="metrics"))
    return b'"orders"' in metrics


def test_exporters_are_found_by_name_from_the_environment(tmp_path: Path) -> None:
    """`OTEL_*_EXPORTER=whence opentelemetry-instrument python app.py`, with not a word of whence in the program."""
    run(
        tmp_path,
        "opentelemetry-instrument",
        sys.executable,
        "app.py",
        OTEL_TRACES_EXPORTER="whence",
        OTEL_LOGS_EXPORTER="whence",
        OTEL_METRICS_EXPORTER="whence",
        OTEL_SERVICE_NAME="shop",
        WHENCE_ARCHIVE=str(tmp_path / "archive"),
    )
    assert has_all_three_signals(tmp_path / "archive")
    assert events(tmp_path / "archive")["order.paid"].run == "shop"


def test_a_declarative_configuration_file_can_name_the_exporters(tmp_path: Path) -> None:
    """OTEL_CONFIG_FILE, with the archive given as the exporter's own argument."""
    (tmp_path / "otel.yaml").write_text(
        textwrap.dedent(f"""
        file_format: "1.0"
        resource:
          attributes:
            - name: service.name
              value: shop
        tracer_provider:
          processors:
            - batch:
                exporter:
                  whence:
                    archive: {tmp_path}/archive
        logger_provider:
          processors:
            - batch:
                exporter:
                  whence:
                    archive: {tmp_path}/archive
        meter_provider:
          readers:
            - periodic:
                exporter:
                  whence:
                    archive: {tmp_path}/archive
        """)
    )
    run(tmp_path, "opentelemetry-instrument", sys.executable, "app.py", OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml"))
    assert has_all_three_signals(tmp_path / "archive")


def test_whence_run_records_a_program_with_no_change(tmp_path: Path) -> None:
    """One command; all signals are there under a run of that name, with its beginning and end."""
    run(tmp_path, "whence", "run", "-a", "archive", "--run", "today", "--", "python", "app.py")
    assert has_all_three_signals(tmp_path / "archive")
    found = events(tmp_path / "archive")
    assert {event.run for event in found.values()} == {"today"}
    assert names.TYPE_RUN_FINISHED in found


def test_plain_sdk_code_can_use_the_exporters(tmp_path: Path) -> None:
    """The three exporters of one program share one writer, and say what they did."""
    directory = tmp_path / "archive"
    spans, logs = WhenceSpanExporter(archive=directory), WhenceLogRecordExporter(archive=directory)
    metrics = WhenceMetricExporter(archive=directory)
    resource = Resource({"service.name": "s", names.RUN: "r1"})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    meters = MeterProvider([PeriodicExportingMetricReader(metrics)], resource=resource)
    with tracers.get_tracer("t").start_as_current_span("one"):
        meters.get_meter("m").create_counter("c").add(1)
    assert tracers.force_flush()
    assert spans.force_flush()
    assert spans.status.stored == 1
    meters.shutdown()
    logs.shutdown()
    tracers.shutdown()
    assert [event.type for event in whence.Archive(directory).events()] == ["one"]
    assert whence.Archive(directory).lines(signal="metrics")
    assert {path.parent.name for path in directory.rglob("*.jsonl")} == {"r1"}


def test_an_exporter_never_raises_and_counts_what_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The archive's path is a file: the application goes on, the status says how many and why."""
    (tmp_path / "file").write_text("in the way")
    exporter = WhenceSpanExporter(archive=tmp_path / "file")
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(exporter))
    for _ in range(3):
        with tracers.get_tracer("t").start_as_current_span("one"):
            pass
    tracers.force_flush()
    tracers.shutdown()
    assert exporter.status.refused == 3
    assert exporter.status.error is not None
    assert str(tmp_path / "file") in exporter.status.error
    assert caplog.text.count("whence cannot export") == 1


def test_an_exporter_refuses_wrong_settings_at_once() -> None:
    """A typo is an error where the program is set up, with the nearest right name."""
    with pytest.raises(ConfigError, match="archive"):
        WhenceSpanExporter(archiv="x")


def test_an_exporter_that_is_shut_down_takes_nothing_more(tmp_path: Path) -> None:
    """Exporting after shutdown fails, and does not begin new files."""
    exporter = WhenceSpanExporter(archive=tmp_path / "archive")
    exporter.shutdown()
    tracers = TracerProvider()
    with tracers.get_tracer("t").start_as_current_span("late") as span:
        pass
    assert exporter.export([span]) is SpanExportResult.FAILURE  # type: ignore[list-item]
    assert not (tmp_path / "archive").exists()


def test_a_service_under_whence_run_that_is_told_to_stop_ends_its_run_in_order(tmp_path: Path) -> None:
    """SIGTERM, as systemd and containers send it: everything emitted is there, and the run reads as stopped."""
    waiting = 'import signal, whence\nwhence.log("up")\nprint("ready", flush=True)\nwhile True:\n    signal.pause()\n'
    (tmp_path / "service.py").write_text(waiting)
    command = ["whence", "run", "-a", "archive", "--run", "s", "--", sys.executable, "service.py"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == "ready\n"
        service.terminate()
        assert service.wait(60) == 143
    found = events(tmp_path / "archive")
    assert "up" in found
    assert found[names.TYPE_RUN_FINISHED].status == "stopped"
