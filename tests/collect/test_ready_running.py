"""Ready configurations at work: each run as a user runs it, with real senders, and what it promises looked for."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import urllib3

from build_backend import a_pair
from build_clients import COUNT, Server, a_process, arrived_complete, records_of, send, whence_collector
from build_lines import WHENCE
from build_walk import PROGRAMS, environment, whence_cli
from ports import free_port
from waiting import until
from whence.otlp.shown import is_projection

READY = Path(__file__).parents[2] / "collector-config"


@contextmanager
def ready(
    folder: Path, name: str, sets: Mapping[str, object] = {}, listens: bool = True, **variables: object
) -> Iterator[Server]:
    """`whence collect` with a ready configuration; ports, and what `sets` says, are not those of the file."""
    folder.mkdir(exist_ok=True)
    server, health = Server(free_port(), free_port(), folder / "archive"), free_port()
    given: dict[str, object] = {"service::telemetry::metrics::level": "none", **sets}
    if listens:
        protocols = "receivers::otlp::protocols"
        given |= {f"{protocols}::http::endpoint": f"127.0.0.1:{server.http}"}
        given |= {f"{protocols}::grpc::endpoint": f"127.0.0.1:{server.grpc}"}
    if "health_check" in (READY / name).read_text():
        given |= {"extensions::health_check::endpoint": f"127.0.0.1:{health}"}
    command = [WHENCE, "collect", "--config", str(READY / name)]
    command += [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
    env = environment({key: str(value) for key, value in variables.items()})
    with a_process(command, (server.http, server.grpc) if listens else (), folder, env):
        yield server


def a_client(server: Server, service: str) -> list[str]:
    """A program with the official SDK that sends everything over gRPC."""
    program = [sys.executable, str(PROGRAMS / "send_otlp.py"), "grpc"]
    return send(program, server.endpoint("grpc"), "none", service, COUNT)


def is_whole(archive: Path, service: str) -> bool:
    """Whether everything of a client is there."""
    if not archive.exists():
        return False
    found = records_of(archive, service)
    return len(found["spans"]) >= COUNT and len(found["logRecords"]) >= COUNT and bool(found["metrics"])


def test_the_command_finds_them_valid() -> None:
    """`whence validate`, whose word is what users have."""
    files = sorted(READY.glob("*.yaml"))
    commands = [[WHENCE, "validate", "--config", str(file)] for file in files]
    env = environment({"WHENCE_ARCHIVE": "archive"})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": env}
    asked = [subprocess.Popen(command, **pipes) for command in commands]  # type: ignore[call-overload]
    for file, process in zip(files, asked, strict=True):
        out, err = process.communicate(timeout=90)
        assert out.startswith("valid: 3 pipelines") and err == "", (file.name, out, err)


def test_archive_only_archives(tmp_path: Path) -> None:
    """Everything that was sent, read where it is."""
    with ready(tmp_path, "archive-only.yaml", {"exporters::whence::directory": tmp_path / "archive"}) as server:
        spans = a_client(server, "only")
    arrived_complete(server.archive, "only", spans)


def test_archive_and_jaeger_sends_spans_and_events_on(tmp_path: Path) -> None:
    """All of it is in the archive; where Jaeger would be, the traces, and as spans the events that happened in none."""
    with whence_collector(tmp_path / "jaeger") as jaeger:
        sets = {
            "exporters::whence::directory": tmp_path / "here" / "archive",
            "extensions::file_storage::directory": tmp_path / "state",
        }
        with ready(tmp_path / "here", "archive-and-jaeger.yaml", sets, JAEGER=f"127.0.0.1:{jaeger.grpc}") as server:
            spans = a_client(server, "both")
            until(lambda: len(records_of(jaeger.archive, "both")["spans"]) >= 2 * COUNT)
    arrived_complete(server.archive, "both", spans)
    there = records_of(jaeger.archive, "both")
    shown = [span for span in there["spans"] if is_projection(span["attributes"])]
    assert sorted(span["spanId"] for span in there["spans"] if span not in shown) == sorted(spans)
    assert [span["name"] for span in shown] == ["step.taken"] * COUNT
    assert not there["metrics"] and not there["logRecords"]


def test_the_edge_forwards_later(tmp_path: Path) -> None:
    """A gateway that is away gets everything once it is there, though the box was stopped in between."""
    token = tmp_path / "token"
    token.write_text("secret")
    sets = {
        "exporters::whence::directory": tmp_path / "edge" / "archive",
        "extensions::file_storage::directory": tmp_path / "state",
    }
    away = {"GATEWAY": f"http://127.0.0.1:{free_port()}", "GATEWAY_TOKEN": token}
    with ready(tmp_path / "edge", "edge-forwards-later.yaml", sets, **away) as edge:
        spans = a_client(edge, "edge")
    arrived_complete(edge.archive, "edge", spans)
    with whence_collector(tmp_path / "gateway") as gateway:
        variables = {"GATEWAY": gateway.endpoint("http"), "GATEWAY_TOKEN": token}
        with ready(tmp_path / "edge", "edge-forwards-later.yaml", sets, **variables):
            until(lambda: is_whole(gateway.archive, "edge"))
    arrived_complete(gateway.archive, "edge", spans)


def test_the_gateway_masks_before_it_stores_or_sends(tmp_path: Path) -> None:
    """By TLS and with a token; without one nobody gets in."""
    certificate, key = a_pair(tmp_path)
    (tmp_path / "tokens").write_text("one\ntwo\n")
    record = {
        "timeUnixNano": "1",
        "body": {"stringValue": "mail to ada@example.org"},
        "attributes": [{"key": "password", "value": {"stringValue": "hunter2"}}],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "masked"}}]}
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {"name": "x"}, "logRecords": [record]}]}]}
    with whence_collector(tmp_path / "backend") as backend:
        sets = {
            "exporters::whence::directory": tmp_path / "gateway" / "archive",
            "extensions::file_storage::directory": tmp_path / "state",
        }
        variables = {
            "TLS_CERT": certificate, "TLS_KEY": key, "GATEWAY_TOKENS": tmp_path / "tokens", "REDACTION_KEY": "k" * 32,
            "BACKEND": backend.endpoint("http"),
        }  # fmt: skip
        with ready(tmp_path / "gateway", "gateway-with-redaction.yaml", sets, **variables) as gateway:
            with urllib3.PoolManager(ca_certs=str(certificate)) as pool:
                for token, status in (("three", 401), ("two", 200)):
                    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
                    url = f"https://localhost:{gateway.http}/v1/logs"
                    answer = pool.request("POST", url, body=json.dumps(body), headers=headers, retries=False)
                    assert answer.status == status, answer.data
            until(lambda: bool(backend.archive.exists() and records_of(backend.archive, "masked")["logRecords"]))
    for archive in (gateway.archive, backend.archive):
        [found] = records_of(archive, "masked")["logRecords"]
        assert found["body"]["stringValue"].startswith("mail to ") and "ada@" not in json.dumps(found)
        assert "hunter2" not in json.dumps(found)


def test_what_the_collectors_file_exporter_is_told_to_write_whence_writes_and_imports(tmp_path: Path) -> None:
    """`upstream-write-files.yaml`, unchanged: one file a signal, read where it is and by `whence import`."""
    files = tmp_path / "files"
    files.mkdir()
    with ready(tmp_path / "writer", "upstream-write-files.yaml", DIR=files) as server:
        spans = a_client(server, "files")
    assert {file.name for file in files.iterdir()} == {"traces.jsonl", "logs.jsonl", "metrics.jsonl"}
    arrived_complete(files, "files", spans)
    whence_cli("import", *sorted(files.glob("*.jsonl")), "-a", tmp_path / "archive")
    arrived_complete(tmp_path / "archive", "files", spans)


def test_whence_reads_an_archive_as_the_collector_is_told_to(tmp_path: Path) -> None:
    """`upstream-read-archive.yaml`, unchanged: everything of one archive arrives in another."""
    with whence_collector(tmp_path / "first") as first:
        spans = a_client(first, "read")
    with whence_collector(tmp_path / "second") as second:
        variables = {"WHENCE_ARCHIVE": first.archive, "BACKEND": second.endpoint("http"), "STATE": tmp_path / "state"}
        with ready(tmp_path / "reader", "upstream-read-archive.yaml", listens=False, **variables):
            until(lambda: is_whole(second.archive, "read"))
    arrived_complete(second.archive, "read", spans)
