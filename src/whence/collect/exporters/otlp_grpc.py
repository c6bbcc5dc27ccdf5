"""The exporter `otlp_grpc`: OTLP over gRPC to any backend."""

from typing import Any, Final

import grpc

from whence.collect.auth import ClientAuth, client_auth
from whence.collect.component import Host, Plug
from whence.collect.exporters.queue import Request
from whence.collect.exporters.retry import GivenUp, Verdict, judge_grpc, judge_response
from whence.collect.exporters.sending import Sender, terms_of
from whence.collect.exporters.tls import channel_credentials
from whence.collect.settings import MIB, GRPCClient, RetryOnFailure, SendingQueue, TLSClient
from whence.errors import ConfigError
from whence.otlp.wire import Signal
from whence.version import VERSION

_METHODS: Final[dict[Signal, str]] = {
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
_COMPRESSIONS: Final = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}
_MOST: Final = 4 * MIB
"""Bytes of an answer."""


class OTLPGRPCSettings(GRPCClient):
    """The Collector's keys."""

    retry_on_failure: RetryOnFailure = RetryOnFailure.model_validate({})
    sending_queue: SendingQueue = SendingQueue.model_validate({})


class GRPCTransport:
    """One channel, which connects and reconnects by itself."""

    def __init__(self, settings: OTLPGRPCSettings, auth: ClientAuth | None) -> None:
        self._settings = settings
        self._auth = auth
        self._headers = [(name.lower(), value.get_secret_value()) for name, value in settings.headers.items()]
        self._channel = _channel(settings)
        self._calls = {signal: self._channel.unary_unary(method) for signal, method in _METHODS.items()}

    def send(self, request: Request, timeout: float) -> Verdict:
        """One call, with the request's bytes as they are."""
        try:
            answer: bytes = self._calls[request.signal](
                request.data,
                timeout=timeout,
                metadata=[*self._headers, *(self._auth.headers().items() if self._auth else ())],
                wait_for_ready=self._settings.wait_for_ready,
            )
        except grpc.RpcError as failure:
            return _judged(failure)
        except (ValueError, TypeError) as trouble:
            return GivenUp(f"cannot call {self._settings.endpoint}: {trouble}; is a header not what gRPC allows?")
        return judge_response(request.signal, answer)

    def close(self) -> None:
        """Calls that are not answered are cancelled."""
        self._channel.close()


def target_of(endpoint: str) -> tuple[str, bool | None]:
    """What the library connects to, and whether the endpoint's scheme says that it is insecure."""
    for scheme, insecure in (("http://", True), ("https://", False)):
        if endpoint.startswith(scheme):
            return endpoint.removeprefix(scheme).rstrip("/"), insecure
    return endpoint, None


def build(settings: OTLPGRPCSettings, host: Host) -> Sender:
    """The exporter; nothing is opened yet. Raises ConfigError."""
    if not target_of(settings.endpoint)[0]:
        raise ConfigError(f"cannot send by {host.id}: set endpoint, such as localhost:4317")
    terms = terms_of(settings.timeout or 5.0, settings.retry_on_failure, settings.sending_queue)
    return Sender(terms, host, lambda: GRPCTransport(settings, client_auth(host, settings.auth)))


def _channel(settings: OTLPGRPCSettings) -> grpc.Channel:
    target, insecure = target_of(settings.endpoint)
    tls = settings.tls or TLSClient()
    options: dict[str, Any] = {
        "grpc.max_send_message_length": -1,
        "grpc.max_receive_message_length": _MOST,
        "grpc.lb_policy_name": settings.balancer_name,
        "grpc.primary_user_agent": f"whence/{VERSION}",
    }
    if settings.authority:
        options["grpc.default_authority"] = settings.authority
    if tls.server_name_override:
        options["grpc.ssl_target_name_override"] = tls.server_name_override
    if settings.keepalive:
        options["grpc.keepalive_time_ms"] = int(settings.keepalive.time * 1000)
        options["grpc.keepalive_timeout_ms"] = int(settings.keepalive.timeout * 1000)
        options["grpc.keepalive_permit_without_calls"] = int(settings.keepalive.permit_without_stream)
    compression = _COMPRESSIONS.get(settings.compression, grpc.Compression.NoCompression)
    if tls.insecure if insecure is None else insecure:
        return grpc.insecure_channel(target, list(options.items()), compression)
    return grpc.secure_channel(target, channel_credentials(tls), list(options.items()), compression)


def _judged(failure: Any) -> Verdict:
    trailers = dict(failure.trailing_metadata() or ())
    details = trailers.get("grpc-status-details-bin")
    return judge_grpc(failure.code().value[0], failure.details() or "", details if isinstance(details, bytes) else None)


PLUG = Plug(OTLPGRPCSettings, build)
