"""`whence collect` killed in the middle: what it acknowledged is in the archive, once, whoever sent it."""

import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
import requests
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GRPCExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HTTPExporter
from opentelemetry.sdk._logs.export import LogRecordExportResult

from build_examples import TORTURE
from build_otlp import a_log
from build_walk import environment
from ports import free_port
from waiting import until
from whence.archive.reader import Archive

CONFIG = """\
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{http}"}}, grpc: {{endpoint: "127.0.0.1:{grpc}"}}}}}}}}
exporters: {{whence: {{directory: "{archive}"}}}}
service: {{pipelines: {{logs: {{receivers: [otlp], exporters: [whence]}}}}}}
"""


@pytest.mark.parametrize("wanted", [100, 400] if TORTURE else [30])
def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path, wanted: int) -> None:
    """The official exporters send over both transports, packed and not; SIGKILL comes while they do."""
    http, grpc = free_port(), free_port()
    archive = tmp_path / "archive"
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG.format(http=http, grpc=grpc, archive=archive))
    command = [sys.executable, "-c", "import sys; from whence.cli import main; sys.exit(main())", "collect"]
    exporters = [
        HTTPExporter(f"http://127.0.0.1:{http}/v1/logs", timeout=60, compression=Compression.Gzip),
        HTTPExporter(f"http://127.0.0.1:{http}/v1/logs", timeout=60),
        GRPCExporter(f"127.0.0.1:{grpc}", insecure=True, timeout=60),
    ]
    taken: list[str] = []
    over = threading.Event()

    def send(n: int) -> None:
        count = 0
        while not over.is_set():
            count += 1
            bodies = [f"sender {n}, {count}, {k}" for k in range(5)]
            if exporters[n].export([a_log(body=body) for body in bodies]) is LogRecordExportResult.SUCCESS:
                taken.extend(bodies)

    with subprocess.Popen([*command, "--config", str(config)], env=environment()) as process:
        try:
            until(lambda: _answers(http))
            senders = [threading.Thread(target=send, args=(n,)) for n in range(3)]
            for sender in senders:
                sender.start()
            until(lambda: all(sum(f"sender {n}," in one for one in list(taken)) >= wanted for n in range(3)))
        finally:
            process.kill()
            over.set()
            for exporter in exporters:
                exporter.shutdown()  # what they were sending is not acknowledged: nobody is there to send it to again
    for sender in senders:
        sender.join(60)
    assert process.returncode == -signal.SIGKILL
    events = Archive(archive).events(unique=False)
    kept = Counter(str(event.payload.get("body", event.description)) for event in events)
    assert {body: kept[body] for body in taken if kept[body] != 1} == {}
    assert [body for body, count in kept.items() if count > 1] == []


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=2).status_code == 404
    except requests.ConnectionError:
        return False
