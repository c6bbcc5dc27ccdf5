"""OTLP over gRPC: raw bytes in and out, on the library's own threads.

The law: no message is parsed here; what the library refuses by itself (a message over the limit) is RESOURCE_EXHAUSTED without
RetryInfo, as OTLP wants it. The library has a message whole before anybody sees its length: what bounds the memory of messages
that are on their way is that only WORKERS of them are waited for. Source: OTLP specification 1.11, "OTLP/gRPC".
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from pydantic import Field

from whence.collect.auth import server_auth
from whence.collect.batch import Batch, Receipt
from whence.collect.component import Consumer, Host
from whence.collect.receivers.answer import OVERLOADED, hand_in, several
from whence.collect.receivers.arrival import Arrivals
from whence.collect.receivers.bodies import Budget
from whence.collect.receivers.door import Door
from whence.collect.receivers.listening import most_connections, pem, warn_if_reachable
from whence.collect.receivers.status import Failure, status_of, success
from whence.collect.settings import GRPCServer, TLSServer
from whence.errors import ConfigError, StorageError
from whence.otlp.service import SERVICES
from whence.otlp.wire import Signal

WORKERS: Final = 32
"""Requests at once, with the waiting for their messages: memory for so many times `max_recv_msg_size_mib` at most."""
_STREAMS: Final = 100
"""Requests at once on one connection, where nothing else is said: what waits is in memory."""
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_DETAILS: Final = "grpc-status-details-bin"
Call = Callable[[Iterator[bytes], grpc.ServicerContext], bytes]


class GRPCSettings(GRPCServer):
    """The Collector's keys of `protocols.grpc`."""

    limit_concurrency: int = Field(4096, ge=1)
    """Connections at once, in each process, as over HTTP; more are closed. Fewer where fewer files may be open."""


class GRPCListener:
    """Listens from `start` to `stop`."""

    def __init__(self, settings: GRPCSettings, host: Host, outputs: Mapping[Signal, Consumer], budget: Budget) -> None:
        self._settings = settings
        self._host = host
        self._outputs = outputs
        self._budget = budget
        self._door = Door(server_auth(host, settings.auth), host.log)
        if settings.tls and (
            settings.tls.min_version != "1.2" or settings.tls.max_version or settings.tls.cipher_suites
        ):
            raise ConfigError(
                "cannot choose min_version, max_version or cipher_suites over gRPC: "
                "its library takes TLS 1.2 and 1.3; leave them out"
            )
        self._server: grpc.Server | None = None
        self._ended: threading.Event | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._arrivals = Arrivals(WORKERS, f"{host.id} grpc arrivals")
        self.port = 0
        """Where it listens, also where port 0 was asked for."""

    def start(self) -> None:
        """Listen. Raises ConfigError, StorageError."""
        settings = self._settings
        if self._door.is_open and not settings.tls:
            warn_if_reachable(self._host, settings.endpoint, settings.transport)
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix=f"{self._host.id} grpc")
        self._pool = pool
        server = grpc.server(pool, options=_options(settings, shared=self._host.processes > 1))
        for signal, service in SERVICES.items():
            method = grpc.stream_unary_rpc_method_handler(self._export(signal))
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))
        address = f"unix:{settings.endpoint}" if settings.transport == "unix" else _address(settings.endpoint)
        try:
            if settings.tls:
                self.port = server.add_secure_port(address, credentials(settings.tls))
            else:
                self.port = server.add_insecure_port(address)
        except RuntimeError:
            self.port = 0
        if not self.port:
            raise StorageError(f"cannot listen at {settings.endpoint} for OTLP over gRPC: choose another endpoint")
        server.start()
        self._arrivals.start()
        self._server = server

    def close(self, deadline: float) -> None:
        """Take nothing more; what is inside gets its answer until the deadline."""
        if self._server is not None and self._ended is None:
            self._arrivals.close()
            self._ended = self._server.stop(max(deadline - self._host.monotonic(), 0.1))

    def stop(self, deadline: float) -> None:
        """Close, and wait for what is inside."""
        self.close(deadline)
        if self._ended is not None:
            self._ended.wait(max(deadline - self._host.monotonic(), 0.1) + 1.0)
            self._arrivals.stop()
        if self._pool is not None:
            self._pool.shutdown(wait=False)  # the library leaves it running

    def _export(self, signal: Signal) -> Call:
        def export(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            outcome = self._outcome(signal, messages, context)
            taken = isinstance(outcome, Receipt)
            self._host.telemetry.count("otelcol_receiver_requests", receiver=self._host.id, transport="grpc",
                                       outcome="success" if taken else "failure")  # fmt: skip
            if isinstance(outcome, Receipt):
                return success(signal, outcome, "protobuf")
            outcome = outcome.shortened()
            context.set_trailing_metadata(((_DETAILS, status_of(outcome)),))
            context.set_code(_CODES[outcome.code])
            context.set_details(outcome.message)
            return b""

        return export

    def _outcome(self, signal: Signal, messages: Iterator[bytes], context: grpc.ServicerContext) -> Receipt | Failure:
        given = [(str(name), value) for name, value in context.invocation_metadata()]
        headers = {name: _text(value) for name, value in given}
        if not self._door.knows(headers):
            refusal = self._door.turned_away(headers)
            if refusal is not None:
                return refusal
        with self._arrivals.awaited(context):
            data = next(messages, None)  # the call is unary: there is one, asked for only once its sender is known
        if data is None:  # the library does not say which, and with some clients leaves the answer to us
            limit = self._settings.max_recv_msg_size_mib
            return Failure(413, f"cannot take the request: its message is longer than {limit} MiB, or did not come")
        if not self._budget.take(len(data)):
            return OVERLOADED
        try:
            metadata = several((name, _text(value)) for name, value in given) if self._settings.include_metadata else {}
            batch = Batch(signal, data, metadata=metadata, transport="grpc")
            return hand_in(self._outputs.get(signal), batch, self._host.log)
        finally:
            self._budget.give(len(data))


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _address(endpoint: str) -> str:
    host, _, port = endpoint.rpartition(":")
    return f"{host or '[::]'}:{port}"


def _options(settings: GRPCSettings, *, shared: bool) -> list[tuple[str, int]]:
    """The Collector's keys as the library's options; times are milliseconds there."""
    limit = settings.max_recv_msg_size_mib << 20
    found = {
        "grpc.so_reuseport": int(shared),
        "grpc.max_receive_message_length": limit,
        "grpc.max_allowed_incoming_connections": most_connections(settings.limit_concurrency),
        "grpc.max_concurrent_streams": settings.max_concurrent_streams or _STREAMS,
    }
    if settings.keepalive:
        server, policy = settings.keepalive.server_parameters, settings.keepalive.enforcement_policy
        times = {
            "grpc.max_connection_idle_ms": server.max_connection_idle,
            "grpc.max_connection_age_ms": server.max_connection_age,
            "grpc.max_connection_age_grace_ms": server.max_connection_age_grace,
            "grpc.keepalive_time_ms": server.time,
            "grpc.keepalive_timeout_ms": server.timeout,
            "grpc.http2.min_ping_interval_without_data_ms": policy.min_time,
        }
        found |= {name: int(seconds * 1000) for name, seconds in times.items() if seconds}
        found["grpc.keepalive_permit_without_calls"] = int(policy.permit_without_stream)
    return list(found.items())


def credentials(tls: TLSServer) -> grpc.ServerCredentials:
    """TLS; the certificate is read again for each new connection, so that it can be renewed. Raises ConfigError."""

    def current() -> Any:
        certificate = pem(tls.cert_pem.get_secret_value() if tls.cert_pem else None, tls.cert_file, "certificate")
        key = pem(tls.key_pem.get_secret_value() if tls.key_pem else None, tls.key_file, "key")
        if certificate is None or key is None:
            raise ConfigError("cannot listen with TLS: give cert_file and key_file, or cert_pem and key_pem")
        authority = pem(None, tls.client_ca_file, "certificate of the clients' authority")
        return grpc.ssl_server_certificate_configuration([(key, certificate)], authority)

    return grpc.dynamic_ssl_server_credentials(current(), current, bool(tls.client_ca_file))
