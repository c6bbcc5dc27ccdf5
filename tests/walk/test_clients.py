"""The clients that people have: the official exporters in Python and JavaScript, and rotel, on both sides of the collector.

`make test` installs the JavaScript packages and rotel; without npm, or a rotel for the machine, their cases are skipped.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from build_clients import COUNT, Server, a_process, arrived_complete, send, whence_collector
from build_walk import PROGRAMS, environment
from ports import free_port

JAVASCRIPT = Path(__file__).parent / "clients"

with_javascript = pytest.mark.skipif(
    not (JAVASCRIPT / "node_modules").is_dir() or not shutil.which("node"),
    reason="the JavaScript exporters are not there: install npm, and run make test",
)


def _rotel() -> str | None:
    try:
        import rotel
    except ImportError:
        return None
    return str(Path(rotel.__file__).with_name("rotel-agent"))


ROTEL = _rotel()
with_rotel = pytest.mark.skipif(ROTEL is None, reason="rotel is not there: it has no wheel for this machine")


@contextmanager
def _rotel_to(folder: Path, target: Server, protocol: str) -> Iterator[Server]:
    """rotel, which sends on what it gets."""
    assert ROTEL
    server = Server(free_port(), free_port(), folder)
    command = [
        ROTEL, "start", "--exporter", "otlp",
        "--otlp-http-endpoint", f"127.0.0.1:{server.http}",
        "--otlp-grpc-endpoint", f"127.0.0.1:{server.grpc}",
        "--otlp-exporter-endpoint", target.endpoint(protocol),
        "--otlp-exporter-protocol", protocol,
        "--pid-file", str(folder / "pid"),
    ]  # fmt: skip
    with a_process(command, (server.http, server.grpc), folder, environment()):
        yield server


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all cases: each client has its own service.name."""
    with whence_collector(tmp_path_factory.mktemp("collector")) as server:
        yield server


def _python(protocol: str, endpoint: str, compression: str, service: str) -> list[str]:
    return send([sys.executable, str(PROGRAMS / "send_otlp.py")], protocol, endpoint, compression, service, COUNT)


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_official_python_exporters_arrive_complete(collector: Server, protocol: str, compression: str) -> None:
    """All three signals, whole and packed."""
    service = f"python-{protocol}-{compression}"
    spans = _python(protocol, collector.endpoint(protocol), compression, service)
    arrived_complete(collector.archive, service, spans)


@with_javascript
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http", "proto", "grpc"])
def test_the_official_javascript_exporters_arrive_complete(collector: Server, protocol: str, compression: str) -> None:
    """JSON and protobuf over HTTP, and gRPC; whole and packed."""
    service = f"javascript-{protocol}-{compression}"
    command = ["node", str(JAVASCRIPT / "send.mjs"), protocol, collector.endpoint(protocol), compression]
    arrived_complete(collector.archive, service, send(command, service, COUNT))


@with_rotel
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_rotel_sends_to_the_collector(tmp_path: Path, collector: Server, protocol: str) -> None:
    """What rotel was given is in the archive when it has been told to stop."""
    service = f"through-rotel-{protocol}"
    with _rotel_to(tmp_path, collector, protocol) as rotel:
        spans = _python("grpc", rotel.endpoint("grpc"), "none", service)
    arrived_complete(collector.archive, service, spans)


@with_rotel
@pytest.mark.parametrize("exporter", ["otlp_http", "otlp_grpc"])
def test_the_collector_sends_to_rotel(tmp_path: Path, collector: Server, exporter: str) -> None:
    """The collector sends to rotel, and rotel to a collector with an archive."""
    service = f"to-rotel-{exporter}"
    with _rotel_to(tmp_path, collector, "grpc") as rotel:
        endpoint = rotel.endpoint(exporter.removeprefix("otlp_"))
        settings = f'{exporter}: {{endpoint: "{endpoint}", tls: {{insecure: true}}}}'
        with whence_collector(tmp_path / "first", settings, exporter) as first:
            spans = _python("http", first.endpoint("http"), "none", service)
    arrived_complete(collector.archive, service, spans)
