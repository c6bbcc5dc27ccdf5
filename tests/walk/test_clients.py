"""The clients that people have: the official exporters in Python and JavaScript, and rotel, on both sides of the collector.

`make test` installs the JavaScript packages and rotel; without npm, or a rotel for the machine, their cases are skipped.
"""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from build_lines import WHENCE, free_port
from build_walk import PROGRAMS, environment, until
from whence.archive.reader import Archive

COUNT = 250
"""More than the exporters put into one request."""
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


class Server(NamedTuple):
    """What listens for OTLP, and where it writes if it does."""

    http: int
    grpc: int
    archive: Path

    def endpoint(self, protocol: str) -> str:
        """As clients want it: gRPC is on a port of its own."""
        return f"http://127.0.0.1:{self.grpc if protocol == 'grpc' else self.http}"


@contextmanager
def _process(command: list[str], ports: tuple[int, ...], folder: Path, env: Mapping[str, str]) -> Iterator[None]:
    """One that runs and listens; ended with SIGTERM, which it must obey."""
    log = folder / "log"
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=dict(env)) as process:
        try:
            until(lambda: all(map(_listens, ports)) or process.poll() is not None, 60)
            assert process.poll() is None, log.read_text()
            yield
            process.terminate()
            assert process.wait(60) == 0, log.read_text()
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _whence(exporters: str = "", used: str = "whence") -> Iterator[Server]:
    """The collector with an archive, or with other exporters."""
    with tempfile.TemporaryDirectory(prefix="whence-clients-") as name:
        folder, server = Path(name), Server(free_port(), free_port(), Path(name, "archive"))
        exporters = exporters or f'whence: {{directory: "{server.archive}"}}'
        pipelines = ", ".join(
            f"{signal}: {{receivers: [otlp], exporters: [{used}]}}" for signal in ("traces", "logs", "metrics")
        )
        listens = f'http: {{endpoint: "127.0.0.1:{server.http}"}}, grpc: {{endpoint: "127.0.0.1:{server.grpc}"}}'
        (folder / "c.yaml").write_text(
            f"receivers: {{otlp: {{protocols: {{{listens}}}}}}}\nexporters: {{{exporters}}}\n"
            f"service: {{telemetry: {{metrics: {{level: none}}}}, pipelines: {{{pipelines}}}}}\n"
        )
        command = [WHENCE, "collect", "--config", str(folder / "c.yaml")]
        with _process(command, (server.http, server.grpc), folder, environment()):
            yield server


@contextmanager
def _rotel_to(target: Server, protocol: str) -> Iterator[Server]:
    """rotel, which sends on what it gets."""
    assert ROTEL
    with tempfile.TemporaryDirectory(prefix="whence-rotel-") as name:
        server = Server(free_port(), free_port(), Path(name))
        command = [
            ROTEL, "start", "--exporter", "otlp",
            "--otlp-http-endpoint", f"127.0.0.1:{server.http}",
            "--otlp-grpc-endpoint", f"127.0.0.1:{server.grpc}",
            "--otlp-exporter-endpoint", target.endpoint(protocol),
            "--otlp-exporter-protocol", protocol,
            "--pid-file", f"{name}/pid",
        ]  # fmt: skip
        with _process(command, (server.http, server.grpc), Path(name), environment()):
            yield server


@pytest.fixture(scope="module")
def collector() -> Iterator[Server]:
    """One for all cases: each client has its own service.name."""
    with _whence() as server:
        yield server


def _send(command: list[str], *arguments: object) -> list[str]:
    """What the client says it has sent: the ids of its spans."""
    done = subprocess.run(
        [*command, *map(str, arguments)], env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "rror" not in done.stderr, done.stderr  # the exporters report what they give up, and go on
    spans: list[str] = json.loads(done.stdout)
    return spans


def _python(protocol: str, endpoint: str, compression: str, service: str) -> list[str]:
    return _send([sys.executable, str(PROGRAMS / "send_otlp.py")], protocol, endpoint, compression, service, COUNT)


def _of(archive: Path, service: str) -> dict[str, list[dict[str, Any]]]:
    """What an archive has of one service: its spans, log records and metrics as OTLP JSON, each with its scope's name."""
    found: dict[str, list[dict[str, Any]]] = {"spans": [], "logRecords": [], "metrics": []}
    for stored in Archive(archive).lines():
        for resource_group in next(iter(json.loads(stored.data).values())):
            attributes = _plain({"kvlistValue": {"values": resource_group["resource"]["attributes"]}})
            if attributes["service.name"] == service:
                for scope_group in next(value for key, value in resource_group.items() if key.startswith("scope")):
                    for kind, all_of_kind in found.items():
                        of_scope = {"scope": scope_group["scope"]}
                        all_of_kind.extend(record | of_scope for record in scope_group.get(kind, ()))
    return found


def _plain(value: dict[str, Any]) -> Any:
    """An AnyValue as Python has it; what is the default of its kind is left out on the line."""
    [(kind, inner)] = value.items()
    if kind == "kvlistValue":
        return {pair["key"]: _plain(pair["value"]) for pair in inner.get("values", ())}
    if kind == "arrayValue":
        return [_plain(one) for one in inner.get("values", ())]
    return int(inner) if kind == "intValue" else inner


def _attributes(record: dict[str, Any]) -> Any:
    return _plain({"kvlistValue": {"values": record["attributes"]}})


def _arrived_complete(archive: Path, service: str, spans: list[str]) -> None:
    """Every record once, with all that the client put into it."""
    found = _of(archive, service)
    assert len(spans) == len(set(spans)) == COUNT
    assert sorted(span["spanId"] for span in found["spans"]) == sorted(spans)
    number = {id: n for n, id in enumerate(spans)}
    for span in found["spans"]:
        n = number[span["spanId"]]
        assert span["name"] == f"step {n}"
        assert span["scope"] == {"name": "clients", "version": "1.0"}
        wanted = {"n": n, "text": "grüß ☕", "flag": True, "share": n + 0.5, "list": ["a", "b"]}
        assert _attributes(span) == wanted
        assert [(event["name"], _attributes(event)) for event in span["events"]] == [("half way", {"n": n})]
        assert len(span["traceId"]) == 32
        assert 0 < int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
    assert sorted(_attributes(record)["n"] for record in found["logRecords"]) == list(range(COUNT))
    for record in found["logRecords"]:
        n = _attributes(record)["n"]
        assert (record["eventName"], record["severityNumber"]) == ("step.taken", 9)
        assert _plain(record["body"]) == {"n": n, "nested": {"deep": [n, "x"]}}
    assert {metric["name"] for metric in found["metrics"]} == {"sent"}
    points = [metric["sum"]["dataPoints"][0] for metric in found["metrics"]]  # one of the flush, one of the shutdown
    assert [float(point.get("asInt", point.get("asDouble"))) for point in points] == [COUNT] * len(points)


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_official_python_exporters_arrive_complete(collector: Server, protocol: str, compression: str) -> None:
    """All three signals, whole and packed."""
    service = f"python-{protocol}-{compression}"
    spans = _python(protocol, collector.endpoint(protocol), compression, service)
    _arrived_complete(collector.archive, service, spans)


@with_javascript
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http", "proto", "grpc"])
def test_the_official_javascript_exporters_arrive_complete(collector: Server, protocol: str, compression: str) -> None:
    """JSON and protobuf over HTTP, and gRPC; whole and packed."""
    service = f"javascript-{protocol}-{compression}"
    command = ["node", str(JAVASCRIPT / "send.mjs"), protocol, collector.endpoint(protocol), compression]
    _arrived_complete(collector.archive, service, _send(command, service, COUNT))


@with_rotel
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_rotel_sends_to_the_collector(collector: Server, protocol: str) -> None:
    """What rotel was given is in the archive when it has been told to stop."""
    service = f"through-rotel-{protocol}"
    with _rotel_to(collector, protocol) as rotel:
        spans = _python("grpc", rotel.endpoint("grpc"), "none", service)
    _arrived_complete(collector.archive, service, spans)


@with_rotel
@pytest.mark.parametrize("exporter", ["otlp_http", "otlp_grpc"])
def test_the_collector_sends_to_rotel(collector: Server, exporter: str) -> None:
    """The collector sends to rotel, and rotel to a collector with an archive."""
    service = f"to-rotel-{exporter}"
    with ExitStack() as stack:
        rotel = stack.enter_context(_rotel_to(collector, "grpc"))
        endpoint = rotel.endpoint(exporter.removeprefix("otlp_"))
        settings = f'{exporter}: {{endpoint: "{endpoint}", tls: {{insecure: true}}}}'
        first = stack.enter_context(_whence(settings, exporter))
        spans = _python("http", first.endpoint("http"), "none", service)
    _arrived_complete(collector.archive, service, spans)
