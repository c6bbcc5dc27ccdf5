"""`whence up`, and the server as an extension of the collector: OTLP in at one port, answers out at another, at once."""

import json
import socket
import urllib.request
from pathlib import Path

from build import an_event
from build_serve import Client
from build_serve_process import a_process
from ports import free_port
from waiting import until
from whence.cli.up import configuration


def send(port: int, line: bytes) -> int:
    """A line of an archive as an OTLP request over HTTP."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/logs", line, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return int(reply.status)


def test_what_is_sent_is_there_when_it_is_acknowledged(tmp_path: Path) -> None:
    """One line says what to point at it; SIGTERM ends all of it well, and the archive is whole."""
    grpc, http, web = free_port(), free_port(), free_port()
    archive = tmp_path / "archive"
    with a_process(
        "up", "-a", archive, "--endpoint", f"127.0.0.1:{web}", "--jaeger", "none",
        "--otlp-grpc", f"127.0.0.1:{grpc}", "--otlp-http", f"127.0.0.1:{http}",
    ) as one:  # fmt: skip
        until(lambda: "send OTLP to" in one.text or one.process.poll() is not None)
        said = f"send OTLP to http://localhost:{http} (gRPC: localhost:{grpc}), look at http://localhost:{web}/docs"
        assert one.text.count("\n") == 1, one.text
        assert said in one.text
        socket.create_connection(("127.0.0.1", grpc), timeout=60).close()
        client = Client(web)
        for n in range(5):
            assert send(http, an_event("step", id=f"E{n}").line) == 200
            assert client.get(f"/api/events/E{n}")["type"] == "step"
        assert client.get("/api/events")["total"] == 5
        metrics = client.ask("/metrics").body.decode()
        assert "whence_archive_records" in metrics, "the collector's are there too"
        assert one.stop() == 0, one.text
    assert one.text.count("\n") == 1, one.text
    with a_process("serve", "-a", archive, "--endpoint", "127.0.0.1:0", "--jaeger", "none") as again:
        assert again.client.get("/api/events")["total"] == 5


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    """Whichever it is, with exit code 3, and nothing is left running."""
    for taken in ("--otlp-grpc", "--otlp-http", "--endpoint"):
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            held.listen()
            ports = {name: f"127.0.0.1:{free_port()}" for name in ("--otlp-grpc", "--otlp-http", "--endpoint")}
            ports[taken] = f"127.0.0.1:{held.getsockname()[1]}"
            options = [part for pair in ports.items() for part in pair]
            with a_process("up", "-a", tmp_path / "archive", "--jaeger", "none", *options) as one:
                assert one.process.wait(60) == 3, one.text
                assert ports[taken] in one.text
                assert "Traceback" not in one.text


def test_the_token_of_a_variable_counts_here_too(tmp_path: Path) -> None:
    """And stands in no configuration that could be shown."""
    secret = "very-secret-token-0123456789"
    web = free_port()
    with a_process(
        "up", "-a", tmp_path / "archive", "--endpoint", f"127.0.0.1:{web}", "--jaeger", "none",
        "--otlp-grpc", f"127.0.0.1:{free_port()}", "--otlp-http", f"127.0.0.1:{free_port()}", WHENCE_TOKEN=secret,
    ) as one:  # fmt: skip
        until(lambda: "send OTLP to" in one.text or one.process.poll() is not None)
        assert Client(web).ask("/api/events").status == 401
        assert Client(web, secret).get("/api/events")["total"] == 0
        assert secret not in Path(f"/proc/{one.process.pid}/cmdline").read_text() + one.text
        assert one.stop() == 0


def test_several_processes_have_one_server(tmp_path: Path) -> None:
    """Which serves what all of them take."""
    grpc, http, web = free_port(), free_port(), free_port()
    archive = tmp_path / "archive"
    served = {"directory": str(archive), "endpoint": f"127.0.0.1:{web}", "jaeger": {"enabled": False}}
    config = configuration(str(archive), served, f"127.0.0.1:{grpc}", f"127.0.0.1:{http}")
    config["service"]["telemetry"]["logs"]["level"] = "info"
    file = tmp_path / "collector.yaml"
    file.write_text(json.dumps(config))
    with a_process("collect", "--config", file, "--processes", "2", "--state", tmp_path / "state") as one:
        until(lambda: "ready: " in one.text or one.process.poll() is not None)
        for n in range(6):
            assert send(http, an_event("step", id=f"E{n}").line) == 200
        assert Client(web).get("/api/events")["total"] == 6
        assert one.stop() == 0, one.text
