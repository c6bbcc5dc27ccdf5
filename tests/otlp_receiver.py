"""A real OTLP receiver on the loopback, for tests: HTTP and gRPC, keeping what arrives as protobuf messages."""

import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": (ExportTraceServiceRequest, ExportTraceServiceResponse),
    "opentelemetry.proto.collector.logs.v1.LogsService": (ExportLogsServiceRequest, ExportLogsServiceResponse),
}


class Receiver:
    """Both protocols at once, each on a free port. As a context manager it serves inside."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._grpc = grpc.server(ThreadPoolExecutor(2))
        for service, messages in SERVICES.items():
            method = grpc.unary_unary_rpc_method_handler(
                self._answer(messages[1]),
                request_deserializer=messages[0].FromString,
                response_serializer=messages[1].SerializeToString,
            )
            self._grpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))
        self.http = f"http://127.0.0.1:{self._http.server_port}"
        self.grpc = f"http://127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> "Receiver":
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()
        self._grpc.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._grpc.stop(0).wait()

    @property
    def spans(self) -> list[Any]:
        """Every span that arrived."""
        traces = [request for request in self.requests if isinstance(request, ExportTraceServiceRequest)]
        return [
            span
            for request in traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def logs(self) -> list[Any]:
        """Every log record that arrived."""
        logs = [request for request in self.requests if isinstance(request, ExportLogsServiceRequest)]
        return [
            record
            for request in logs
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def _keep(self, request: Any) -> None:
        with self._lock:
            self.requests.append(request)

    def _answer(self, response: Any) -> Any:
        def export(request: Any, context: Any) -> Any:
            self._keep(request)
            return response()

        return export

    def _handler(self) -> Any:
        keep = self._keep

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                import gzip

                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                message = ExportTraceServiceRequest if self.path == "/v1/traces" else ExportLogsServiceRequest
                keep(message.FromString(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        return Handler


def attributes_of(item: Any) -> dict[str, Any]:
    """Flat attributes of a span, span event, link or log record."""
    found = {}
    for pair in item.attributes:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind) if kind else None
        found[pair.key] = [entry.string_value for entry in value.values] if kind == "array_value" else value
    return found
