"""The OpenTelemetry Collector itself beside whence: as a sender, as a backend, as a reader and as a writer of files.

Run where a program `otelcol` or `otelcol-contrib` with the receiver otlp_json_file and the exporter file is on PATH.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from build_clients import COUNT, Server, a_process, arrived_complete, records_of, send, whence_collector
from build_walk import PROGRAMS, environment, whence_cli
from ports import free_port
from waiting import until

OTELCOL = shutil.which("otelcol-contrib") or shutil.which("otelcol")
READY = Path(__file__).parents[2] / "collector-config"

pytestmark = pytest.mark.skipif(OTELCOL is None, reason="no otelcol on PATH")


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all cases: each has its own service.name."""
    with whence_collector(tmp_path_factory.mktemp("collector")) as server:
        yield server


@contextmanager
def _otelcol(folder: Path, config: str, **variables: object) -> Iterator[Server]:
    """The Collector, ready."""
    assert OTELCOL
    folder.mkdir(exist_ok=True)
    server = Server(free_port(), free_port(), folder)
    file = folder / "upstream.yaml"
    file.write_text(config)
    listens = "receivers::otlp::protocols"
    command = [OTELCOL, "--config", str(file), "--set", "service::telemetry::metrics::level=none"]
    ports: tuple[int, ...] = ()
    if "protocols" in config:
        command += ["--set", f"{listens}::http::endpoint=127.0.0.1:{server.http}"]
        command += ["--set", f"{listens}::grpc::endpoint=127.0.0.1:{server.grpc}"]
        ports = (server.http, server.grpc)
    env = environment({name: str(value) for name, value in variables.items()})
    with a_process(command, ports, folder, env):
        yield server


def _sends_to(target: Server, exporter: str) -> str:
    endpoint = target.endpoint(exporter.removeprefix("otlp_"))
    return f"""
receivers: {{otlp: {{protocols: {{http: , grpc: }}}}}}
exporters: {{{exporter}: {{endpoint: "{endpoint}", tls: {{insecure: true}}}}}}
service:
  pipelines:
    traces: {{receivers: [otlp], exporters: [{exporter}]}}
    logs: {{receivers: [otlp], exporters: [{exporter}]}}
    metrics: {{receivers: [otlp], exporters: [{exporter}]}}
"""


def _python(server: Server, service: str) -> list[str]:
    program = [sys.executable, str(PROGRAMS / "send_otlp.py"), "grpc"]
    return send(program, server.endpoint("grpc"), "none", service, COUNT)


@pytest.mark.parametrize("exporter", ["otlp_http", "otlp_grpc"])
def test_it_sends_to_whence(tmp_path: Path, collector: Server, exporter: str) -> None:
    """What it was given is in the archive when it has been told to stop."""
    service = f"through-otelcol-{exporter}"
    with _otelcol(tmp_path, _sends_to(collector, exporter)) as upstream:
        spans = _python(upstream, service)
    arrived_complete(collector.archive, service, spans)


@pytest.mark.parametrize("exporter", ["otlp_http", "otlp_grpc"])
def test_it_takes_from_whence(tmp_path: Path, collector: Server, exporter: str) -> None:
    """whence sends to it, and it to a collector with an archive."""
    service = f"to-otelcol-{exporter}"
    with _otelcol(tmp_path, _sends_to(collector, "otlp_grpc")) as upstream:
        endpoint = upstream.endpoint(exporter.removeprefix("otlp_"))
        settings = f'{exporter}: {{endpoint: "{endpoint}", tls: {{insecure: true}}}}'
        with whence_collector(tmp_path / "first", settings, exporter) as first:
            spans = _python(first, service)
    arrived_complete(collector.archive, service, spans)


def test_it_reads_an_archive_with_the_ready_configuration(tmp_path: Path, collector: Server) -> None:
    """`upstream-read-archive.yaml` sends on a whole archive, its closed files too."""
    service = "read-by-otelcol"
    with whence_collector(tmp_path / "first") as first:
        spans = _python(first, service)
    config = (READY / "upstream-read-archive.yaml").read_text()
    variables = {"BACKEND": collector.endpoint("http"), "STATE": tmp_path, "WHENCE_ARCHIVE": first.archive}
    with _otelcol(tmp_path / "otelcol", config, **variables):
        until(lambda: _whole(collector.archive, service))
    arrived_complete(collector.archive, service, spans)


def _whole(archive: Path, service: str) -> bool:
    found = records_of(archive, service)
    return len(found["spans"]) >= COUNT and len(found["logRecords"]) >= COUNT and bool(found["metrics"])


def test_whence_imports_what_it_writes_with_the_ready_configuration(tmp_path: Path) -> None:
    """`upstream-write-files.yaml`, then `whence import`: the same records are in the archive."""
    service = "written-by-otelcol"
    files = tmp_path / "files"
    files.mkdir()
    with _otelcol(tmp_path / "otelcol", (READY / "upstream-write-files.yaml").read_text(), DIR=files) as upstream:
        spans = _python(upstream, service)
    whence_cli("import", *sorted(files.glob("*.jsonl")), "-a", tmp_path / "archive")
    arrived_complete(tmp_path / "archive", service, spans)
