"""A real OTLP backend on the loopback that answers as told: HTTP and gRPC, whole bodies kept only where it said yes."""

import gzip
import logging
import ssl
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import zstandard
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from whence.collect.component import Host
from whence.collect.exporters import otlp_grpc, otlp_http
from whence.collect.exporters.sending import Sender
from whence.collect.telemetry import Telemetry
from whence.otlp import wire

FAST = {"initial_interval": "10ms", "max_interval": "50ms"}
"""How soon tests send again."""
SERVICES = {"logs": "logs.v1.LogsService", "traces": "trace.v1.TraceService", "metrics": "metrics.v1.MetricsService"}
UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


class Say(NamedTuple):
    """One answer. gRPC takes `code`, `details`; `hang` waits for the backend's end."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    code: int = 0
    details: bytes | None = None
    hang: bool = False


def retry_info(code: int, seconds: float) -> bytes:
    """A Status with RetryInfo."""
    packed = Packed()
    packed.Pack(RetryInfo(retry_delay=Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))))
    return bytes(Status(code=code, details=[packed]).SerializeToString())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


class Backend:
    """Answers with what is left in `answers`, then with `always`. Ports stay the same between `open` and `shut`."""

    def __init__(self, pair: tuple[Path, Path] | None = None) -> None:
        self.answers: list[Say] = []
        self.always = Say()
        self.poison: str | None = None
        """Requests with this text in them are refused for good."""
        self.seen: list[tuple[str, dict[str, str]]] = []
        """Signal or path, and headers, of everything that came."""
        self.kept: list[tuple[str, bytes]] = []
        """Signal and uncompressed body of what it took."""
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._http = _Server(("127.0.0.1", 0), self._handler())
        self._pool = ThreadPoolExecutor(8)
        self._grpc = grpc.server(self._pool)
        for signal, service in SERVICES.items():
            method = grpc.unary_unary_rpc_method_handler(self._export(signal))
            name = f"opentelemetry.proto.collector.{service}"
            self._grpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Export": method}),))
        if pair is None:
            self.grpc = f"127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
            self.http = f"http://127.0.0.1:{self._http.server_port}"
        else:
            self.grpc = f"localhost:{self._grpc.add_secure_port('127.0.0.1:0', _mutual(*pair))}"
            self.http = f"https://localhost:{self._http.server_port}"
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pair[0])
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_cert_chain(*pair)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)

    def wait(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Until it is so, or fail."""
        with self._changed:
            deadline = time.monotonic() + seconds
            while not condition():
                assert time.monotonic() < deadline, (self.seen, len(self.kept))
                self._changed.wait(0.05)

    def bodies(self) -> list[str]:
        """The text of every log record it took, in order."""
        return [
            record["body"]["stringValue"]
            for signal, data in self.kept
            for resource in (wire.tree_of_protobuf("logs", data) if signal == "logs" else {}).get("resourceLogs", ())
            for scope in resource["scopeLogs"]
            for record in scope["logRecords"]
        ]

    def _next(self, what: str, headers: dict[str, str], data: bytes) -> Say:
        with self._changed:
            self.seen.append((what, headers))
            self._changed.notify_all()
            if self.poison is not None and self.poison.encode() in data:
                return Say(400, code=3)
            return self.answers.pop(0) if self.answers else self.always

    def _keep(self, signal: str, data: bytes) -> None:
        with self._changed:
            self.kept.append((signal, data))
            self._changed.notify_all()

    def _export(self, signal: str) -> Any:
        def export(data: bytes, context: Any) -> bytes:
            say = self._next(signal, dict(context.invocation_metadata()), data)
            if say.hang:
                self._ended.wait()
            if say.details is not None:
                context.set_trailing_metadata((("grpc-status-details-bin", say.details),))
            if say.code:
                context.abort(next(code for code in grpc.StatusCode if code.value[0] == say.code), "as told")
            self._keep(signal, data)
            return say.body

        return export

    def _handler(self) -> Any:
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                data = UNPACK[headers.get("content-encoding", "")](self.rfile.read(int(headers["content-length"])))
                say = backend._next(self.path, headers, data)
                if say.hang:
                    backend._ended.wait()
                    self.close_connection = True
                    return
                if 200 <= say.status < 300:
                    backend._keep(self.path.rpartition("/")[2], data)
                self.send_response(say.status)
                for name, value in (*say.headers, ("Content-Length", str(len(say.body)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(say.body)

            def log_message(self, *args: object) -> None:
                pass

        return Handler


def a_pair(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that is its own authority, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    made = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    named = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    files = ("-keyout", str(key), "-out", str(certificate))
    subprocess.run(["openssl", *made, *named, *files], check=True, capture_output=True)
    return certificate, key


def _mutual(certificate: Path, key: Path) -> grpc.ServerCredentials:
    shown = certificate.read_bytes()
    return grpc.ssl_server_credentials([(key.read_bytes(), shown)], shown, require_client_auth=True)


@contextmanager
def a_backend(pair: tuple[Path, Path] | None = None) -> Iterator[Backend]:
    """A backend that serves inside; with a certificate and key, by TLS, to clients that show the same certificate."""
    backend = Backend(pair)
    thread = threading.Thread(target=backend._http.serve_forever, args=(0.05,))
    thread.start()
    backend._grpc.start()
    try:
        yield backend
    finally:
        backend._ended.set()
        backend._http.shutdown()
        thread.join()
        backend._http.server_close()
        backend._grpc.stop(0).wait()
        backend._pool.shutdown()


def stopped(sender: Sender, seconds: float = 60) -> None:
    """Stop it, with time for what it has."""
    sender.stop(time.monotonic() + seconds)


def counted(sender: Sender, what: str, items: str = "log_records") -> float:
    """A counter or gauge of the exporter's."""
    for family in sender._host.telemetry.families():
        if family.name in (f"otelcol_exporter_{what}_{items}", f"otelcol_exporter_{what}"):
            return sum(sample.value for sample in family.samples)
    return 0.0


def a_sender(by: str, endpoint: Backend | str, directory: Path = Path("unused"), **settings: Any) -> Sender:
    """A started exporter that retries fast."""
    target = endpoint if isinstance(endpoint, str) else getattr(endpoint, by)
    module: Any = {"http": otlp_http, "grpc": otlp_grpc}[by]
    more = {"tls": {"insecure": True}} if by == "grpc" else {}
    made = {"endpoint": target, "retry_on_failure": FAST, "timeout": "60s", **more, **settings}
    host = Host(f"otlp_{by}", Telemetry(), logging.getLogger(f"whence.collect.otlp_{by}"), directory)
    sender: Sender = module.build(module.PLUG.settings.model_validate(made), host)
    sender.start(host)
    return sender
