"""Builders: the receiver otlp on free ports with a consumer that remembers or fails, and clients that send it bytes."""

import http.client
import logging
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.rpc.status_pb2 import Status

from whence.archive.reader import Archive
from whence.collect.auth import Unauthenticated
from whence.collect.batch import Batch, Receipt
from whence.collect.component import Host
from whence.collect.exporters.whence import WhenceExporter, WhenceSettings
from whence.collect.receivers.otlp import PLUG, OTLPReceiver
from whence.collect.telemetry import Telemetry
from whence.otlp.service import METHODS

PROTO, JSON = "application/x-protobuf", "application/json"
TYPES = {"protobuf": PROTO, "json": JSON}


class Remembering:
    """Takes what the archive would take, and says what had to be rejected; or fails; or waits while `gate` is closed."""

    def __init__(self) -> None:
        self.kept: list[Batch] = []
        self.failure: Exception | None = None
        self.receipt: Receipt | None = None
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    def consume(self, batch: Batch) -> Receipt:
        """As the exporter `whence` does, without the disk."""
        self.entered.release()
        assert self.gate.wait(60)
        if self.failure is not None:
            raise self.failure
        lines = batch.lines()
        self.kept.append(batch)
        return self.receipt or Receipt(lines.rejected, "some ids are not valid" if lines.rejected else "")


class Token:
    """An authenticator with one token."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.asked = 0

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Without waiting."""
        return headers.get("authorization") == "Bearer sesame"

    def authenticate(self, headers: Mapping[str, str]) -> None:
        """Raises Unauthenticated; while `gate` is closed that takes its time."""
        self.asked += 1
        assert self.gate.wait(60)
        if not self.knows(headers):
            raise Unauthenticated("the token is not valid", 'Bearer realm="here"')


class Running:
    """A receiver that listens."""

    def __init__(self, receiver: OTLPReceiver, sink: Remembering, host: Host) -> None:
        self.receiver, self.sink, self.host = receiver, sink, host

    @property
    def http(self) -> int:
        """Its port."""
        assert self.receiver.http
        return self.receiver.http.port

    @property
    def grpc(self) -> int:
        """Its port."""
        assert self.receiver.grpc
        return self.receiver.grpc.port

    def post(self, path: str, body: Any, kind: str | None = PROTO, *, method: str = "POST", **headers: str) -> "Answer":
        """One request over HTTP; an iterable body goes in chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=60)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            if kind is not None:
                given["content-type"] = kind
            connection.request(method, path, body, given)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def call(self, signal: str, data: bytes, metadata: Any = (), gzip: bool = False) -> "Called":
        """One request over gRPC."""
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc}", [("grpc.max_send_message_length", -1)]) as channel:
            return called(channel, signal, data, metadata, gzip)


class Answer:
    """What came back over HTTP, read whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def kind(self) -> str:
        """Its content type."""
        return self.headers.get("content-type", "")


class Called:
    """What came back over gRPC."""

    def __init__(self, body: bytes, error: grpc.RpcError | None) -> None:
        self.body = body
        self.code = error.code().name if error else "OK"
        self.message = error.details() if error else ""
        trailers = dict(error.trailing_metadata() or ()) if error else {}
        self.status = Status.FromString(trailers.get("grpc-status-details-bin", b""))

    @property
    def details(self) -> list[str]:
        """The kinds of details in its status."""
        return [detail.type_url.rpartition(".")[2] for detail in self.status.details]


def called(channel: grpc.Channel, signal: str, data: bytes, metadata: Any = (), gzip: Any = False) -> Called:
    """One request on a channel; `gzip`: or another compression of the library's."""
    export = channel.unary_unary(METHODS[signal])  # type: ignore[index]
    how = grpc.Compression.Gzip if gzip is True else gzip or None
    try:
        return Called(export(data, metadata=metadata, compression=how, timeout=150), None)
    except grpc.RpcError as error:
        return Called(b"", error)


@contextmanager
def receiving(
    directory: Path,
    http: Mapping[str, Any] | None = None,
    grpc: Mapping[str, Any] | None = None,
    *,
    signals: tuple[str, ...] = ("logs", "traces", "metrics"),
    sink: Any = None,
) -> Iterator[Running]:
    """A receiver with both protocols and an extension `token`, stopped after the block."""
    free = {"endpoint": "127.0.0.1:0"}
    settings = PLUG.settings.model_validate(
        {"protocols": {"http": free | dict(http or {}), "grpc": free | dict(grpc or {})}}
    )
    log = logging.getLogger("whence.collect.otlp")
    host = Host("otlp", Telemetry(), log, directory, extensions={"token": Token()})
    sink = sink or Remembering()
    receiver = PLUG.build(settings, host, dict.fromkeys(signals, sink))
    receiver.start(host)
    try:
        yield Running(receiver, sink, host)
    finally:
        receiver.stop(time.monotonic() + 10)


@contextmanager
def an_archive(directory: Path) -> Iterator[WhenceExporter]:
    """The exporter `whence`, durable, writing to a folder inside."""
    host = Host("whence", Telemetry(), logging.getLogger("whence.collect.whence"), directory)
    exporter = WhenceExporter(WhenceSettings(directory=str(directory)), host)
    exporter.start(host)
    try:
        yield exporter
    finally:
        exporter.stop(time.monotonic() + 30)


def lines_in(directory: Path, signal: Any) -> list[bytes]:
    """What an archive has of a signal, in the order it came."""
    return [line.data for line in Archive(directory).lines(groups={"collected"}, signal=signal)]


def talk(port: int, data: bytes, until: bytes = b"", timeout: float = 60.0) -> bytes:
    """What a server says to bytes on a socket: until it has said something, or until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout) as client:
        client.sendall(data)
        said = b""
        while not until or until not in said:
            piece = client.recv(65536)
            if not piece:
                break
            said += piece
        return said


def certificate(directory: Path, name: str, authority: str | None = None) -> tuple[Path, Path]:
    """A certificate and its key for localhost: its own authority, or signed by one made before. Made by openssl."""
    directory.mkdir(exist_ok=True)
    crt, key = directory / f"{name}.crt", directory / f"{name}.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(crt)]
    if authority:
        command += ["-CA", str(directory / f"{authority}.crt"), "-CAkey", str(directory / f"{authority}.key")]
        command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return crt, key
