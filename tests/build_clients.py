"""Builders: collectors in processes of their own that clients send to, and whether everything has arrived in an archive."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from build_lines import WHENCE
from build_walk import environment
from ports import free_port
from waiting import listens, until
from whence.archive.reader import Archive

COUNT = 250
"""More than the exporters put into one request."""


class Server(NamedTuple):
    """What listens for OTLP, and where it writes if it does."""

    http: int
    grpc: int
    archive: Path

    def endpoint(self, protocol: str) -> str:
        """As clients want it: gRPC is on a port of its own."""
        return f"http://127.0.0.1:{self.grpc if protocol == 'grpc' else self.http}"


@contextmanager
def a_process(command: list[str], ports: tuple[int, ...], folder: Path, env: Mapping[str, str]) -> Iterator[None]:
    """One that runs and listens; ended with SIGTERM, which it must obey."""
    log = folder / "log"
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=dict(env)) as process:
        try:
            until(lambda: all(map(listens, ports)) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield
            process.terminate()
            assert process.wait(60) == 0, log.read_text()
        finally:
            process.kill()


@contextmanager
def whence_collector(folder: Path, exporters: str = "", used: str = "whence") -> Iterator[Server]:
    """`whence collect` in a folder, with an archive there, or with other exporters."""
    folder.mkdir(exist_ok=True)
    server = Server(free_port(), free_port(), folder / "archive")
    exporters = exporters or f'whence: {{directory: "{server.archive}"}}'
    pipelines = ", ".join(
        f"{signal}: {{receivers: [otlp], exporters: [{used}]}}" for signal in ("traces", "logs", "metrics")
    )
    listens = f'http: {{endpoint: "127.0.0.1:{server.http}"}}, grpc: {{endpoint: "127.0.0.1:{server.grpc}"}}'
    config = folder / "c.yaml"
    config.write_text(
        f"receivers: {{otlp: {{protocols: {{{listens}}}}}}}\nexporters: {{{exporters}}}\n"
        f"service: {{telemetry: {{metrics: {{level: none}}}}, pipelines: {{{pipelines}}}}}\n"
    )
    with a_process([WHENCE, "collect", "--config", str(config)], (server.http, server.grpc), folder, environment()):
        yield server


def send(command: list[str], *arguments: object) -> list[str]:
    """Run a client that sends COUNT of each signal; the ids of the spans, as it tells them."""
    done = subprocess.run(
        [*command, *map(str, arguments)], env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "rror" not in done.stderr, done.stderr  # the exporters report what they give up, and go on
    spans: list[str] = json.loads(done.stdout)
    return spans


def records_of(archive: Path, service: str) -> dict[str, list[dict[str, Any]]]:
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


def arrived_complete(archive: Path, service: str, spans: list[str]) -> None:
    """Every record once, with all that the client put into it."""
    found = records_of(archive, service)
    assert len(spans) == len(set(spans)) == COUNT
    assert sorted(span["spanId"] for span in found["spans"]) == sorted(spans)
    number = {id: n for n, id in enumerate(spans)}
    for span in found["spans"]:
        n = number[span["spanId"]]
        assert span["name"] == f"step {n}"
        assert span["scope"] == {"name": "clients", "version": "1.0"}
        wanted = {"n": n, "text": "grüß ☕", "flag": True, "share": n + 0.5, "list": ["a", "b"]}
        assert _attributes(span) == wanted, span
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
