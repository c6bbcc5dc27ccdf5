"""Builders: a gRPC client of the Remote Storage API, and a real Jaeger, where one is installed, that reads it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from build_serve import Client, a_server
from build_shop import Asked, ns
from build_traces import SECOND
from ports import free_port
from waiting import until
from whence.serve.jaeger.proto import STORAGE, HealthCheckRequest, HealthCheckResponse

JAEGER = shutil.which("jaeger")
needs_jaeger = pytest.mark.skipif(JAEGER is None, reason="there is no `jaeger` (v2) on PATH")
_ANSWERS = {"GetTraces": TracesData, "FindTraces": TracesData}
_STREAMS = {"GetTraces", "FindTraces", "FindTraceSummaries"}


@dataclass
class Remote:
    """Asks one Remote Storage; `token` is sent with each call."""

    port: int
    token: str | None = None
    channel: Any = field(init=False)

    def __post_init__(self) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")

    def ask(self, method: str, request: Any = None, of: str = "TraceReader", **fields: Any) -> Any:
        """The answer of a method, or the list of its answers where it streams. Raises grpc.RpcError."""
        made = STORAGE[f"{method}Request"](**fields) if request is None else request
        answer = _ANSWERS.get(method) or STORAGE[f"{method}Response"]
        path = f"/jaeger.storage.v2.{of}/{method}"
        metadata = [("authorization", f"Bearer {self.token}")] if self.token else []
        kind = self.channel.unary_stream if method in _STREAMS else self.channel.unary_unary
        call = kind(path, type(made).SerializeToString, answer.FromString)
        found = call(made, timeout=60, metadata=metadata)
        return list(found) if method in _STREAMS else found

    def health(self, service: str) -> Any:
        """The status of a service."""
        call = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
        )
        return call(HealthCheckRequest(service=service), timeout=60).status


@contextmanager
def both_doors(directory: Path, **settings: Any) -> Iterator[tuple[Client, int]]:
    """A server of this archive: a client of its HTTP, and the port of its Remote Storage."""
    with a_server(directory, jaeger={"endpoint": "127.0.0.1:0"}, **settings) as serving:
        yield Client(serving.port), serving.beside[0].address[1]


@contextmanager
def a_remote(directory: Path, *, token: str | None = None, **settings: Any) -> Iterator[Remote]:
    """A client of the Remote Storage of a server of this archive, on a free port."""
    settings.setdefault("jaeger", {"endpoint": "127.0.0.1:0"})
    with a_server(directory, **settings) as serving:
        remote = Remote(serving.beside[0].address[1], token)
        try:
            yield remote
        finally:
            remote.channel.close()


@dataclass
class Jaeger(Client):
    """A real Jaeger's query API."""

    otlp: int = 0
    """Where it takes OTLP over HTTP, when it keeps its own traces."""


_READING = """
    backends:
      some:
        grpc:
          endpoint: 127.0.0.1:{storage}
          tls: {{insecure: true}}
          timeout: 60s{headers}
"""
_KEEPING = """
    backends:
      some: {memory: {max_traces: 100000}}
"""
_CONFIG = """
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {{receivers: [otlp], exporters: [jaeger_storage_exporter]}}
  telemetry:
    metrics: {{level: none}}
    logs: {{level: warn}}
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{otlp}"}}}}}}
exporters:
  jaeger_storage_exporter: {{trace_storage: some}}
extensions:
  jaeger_query:
    storage: {{traces: some}}
    max_clock_skew_adjust: 0s
    http: {{endpoint: "127.0.0.1:{http}"}}
    grpc: {{endpoint: "127.0.0.1:{grpc}"}}
  jaeger_storage:{backends}
"""


@contextmanager
def a_jaeger(
    directory: Path, storage: int | None = None, token: str | None = None, config: str | None = None
) -> Iterator[Jaeger]:
    """A Jaeger that reads the Remote Storage at this port, or keeps what is sent to it in memory.

    `config`: its configuration, in which only the usual ports are replaced.
    """
    assert JAEGER is not None
    directory.mkdir(parents=True, exist_ok=True)
    http, rpc, otlp = free_port(), free_port(), free_port()
    headers = f'\n          headers: {{authorization: "Bearer {token}"}}' if token else ""
    backends = _KEEPING if storage is None else _READING.format(storage=storage, headers=headers)
    written = config or _CONFIG.format(http=http, grpc=rpc, otlp=otlp, backends=backends)
    for usual, port in (("16686", http), ("16685", rpc), ("17271", storage)):
        written = written.replace(f"127.0.0.1:{usual}", f"127.0.0.1:{port}")
    file = directory / "jaeger.yaml"
    file.write_text(written)
    log = directory / "jaeger.log"
    with log.open("wb") as out:
        silent = os.environ | {"OTEL_TRACES_SAMPLER": "always_off"}  # it would trace itself
        process = subprocess.Popen([JAEGER, "--config", str(file)], stdout=out, stderr=out, env=silent)
    found = Jaeger(http, otlp=otlp)
    try:
        until(lambda: process.poll() is not None or _answers(found))
        assert process.poll() is None, log.read_text()
        yield found
    finally:
        process.terminate()
        process.wait(60)


def _answers(jaeger: Jaeger) -> bool:
    try:
        return jaeger.ask("/api/services").status > 0
    except OSError:
        return False


def v1_parameters(asked: Asked) -> dict[str, Any]:
    """A search as /api/traces takes it."""
    found: dict[str, Any] = {
        "service": asked.service, "operation": asked.operation, "limit": asked.limit,
        "minDuration": _duration(asked.shortest), "maxDuration": _duration(asked.longest),
    }  # fmt: skip
    if asked.attributes:
        found["tags"] = json.dumps(dict(asked.attributes))
    # Jaeger itself looks at the last two days only, where nothing is said
    found["start"] = ns(-1e6 if asked.start is None else asked.start) // 1_000
    found["end"] = ns(1e7 if asked.end is None else asked.end) // 1_000
    return {name: value for name, value in found.items() if value != ""}


def v3_parameters(asked: Asked) -> dict[str, Any]:
    """A search as /api/v3/traces and /api/v3/trace-summaries take it; a window must be said there."""
    found = {
        "serviceName": asked.service, "operationName": asked.operation, "searchDepth": asked.limit,
        "durationMin": _duration(asked.shortest), "durationMax": _duration(asked.longest),
        "startTimeMin": _moment(-1e6 if asked.start is None else asked.start),
        "startTimeMax": _moment(1e7 if asked.end is None else asked.end),
        "attributes": json.dumps(dict(asked.attributes)) if asked.attributes else "",
    }  # fmt: skip
    return {f"query.{name}": value for name, value in found.items() if value != ""}


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1_000)}ms" if seconds else ""


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(ns(seconds) / SECOND, UTC).isoformat().replace("+00:00", "Z")


def in_jaeger(jaeger: Jaeger, trace: str) -> dict[str, Any]:
    """The spans of a trace as its query API gives them, by name."""
    answer = jaeger.ask(f"/api/traces/{trace}")
    found = answer.json if answer.status == 200 else {}
    return {span["operationName"]: span for one in found.get("data") or () for span in one["spans"]}


def follows(span: dict[str, Any]) -> set[tuple[str, str]]:
    """What it is linked to."""
    return {(one["traceID"], one["spanID"]) for one in span["references"] if one["refType"] == "FOLLOWS_FROM"}
