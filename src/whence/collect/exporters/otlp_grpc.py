"""The exporter `otlp_grpc`: OTLP over gRPC to any backend."""

import os
import threading
from typing import Any, Final

import grpc

from whence.collect.auth import ClientAuth, client_auth
from whence.collect.component import Host, Plug
from whence.collect.exporters.projecting import Projections
from whence.collect.exporters.proxies import proxy_of
from whence.collect.exporters.queue import Request
from whence.collect.exporters.retry import GivenUp, Verdict, judge_grpc, judge_response
from whence.collect.exporters.sending import Sender, terms_of
from whence.collect.exporters.tls import Watched, channel_credentials, refuse_over_grpc
from whence.collect.settings import MIB, GRPCClient, RetryOnFailure, SendingQueue, TLSClient
from whence.errors import ConfigError
from whence.otlp.service import METHODS
from whence.version import VERSION

_COMPRESSIONS: Final = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}
_MOST: Final = 4 * MIB
"""Bytes of an answer."""
_SOONEST: Final = 0.1
"""Seconds until a connection that could not be made is tried again."""
_SILENCE: Final = grpc.StatusCode.DEADLINE_EXCEEDED


class OTLPGRPCSettings(GRPCClient):
    """The Collector's keys."""

    retry_on_failure: RetryOnFailure = RetryOnFailure.model_validate({})
    sending_queue: SendingQueue = SendingQueue.model_validate({})
    projections: Projections = "none"
    """For a trace viewer: which events it gets as spans, in place of log records. whence's own."""


class GRPCTransport:
    """One channel, which connects and reconnects by itself, and is made anew where its connection has fallen silent.

    A router on the way may forget a connection without a word. The library would go on with it for a minute or
    more; so where a call has had no answer in its time, and no other call either, the next ones are sent on a new connection.
    """

    def __init__(self, settings: OTLPGRPCSettings, auth: ClientAuth | None, host: Host) -> None:
        """Raises ConfigError."""
        self._settings = settings
        self._auth = auth
        self._now = host.monotonic
        self._headers = [(name.lower(), value.get_secret_value()) for name, value in settings.headers.items()]
        self._lock = threading.Lock()
        self._watched = Watched(settings.tls or TLSClient(), host)
        self._line = self._connect()

    def send(self, request: Request, timeout: float) -> Verdict:
        """One call, with the request's bytes as they are."""
        line = self._taken()
        begun, failed = self._now(), None
        try:
            answer: bytes = line.methods[request.signal](
                request.data,
                timeout=timeout,
                metadata=[*self._headers, *(self._auth.headers().items() if self._auth else ())],
                wait_for_ready=self._settings.wait_for_ready,
            )
        except grpc.RpcError as failure:
            failed = failure
            return _judged(failure)
        except (ValueError, TypeError) as trouble:
            return GivenUp(f"cannot call {self._settings.endpoint}: {trouble}; is a header not what gRPC allows?")
        else:
            return judge_response(request.signal, answer)
        finally:
            self._left(line, begun, is_silence=failed is not None and failed.code() is _SILENCE)

    def close(self) -> None:
        """Calls that are not answered are cancelled."""
        self._line.channel.close()

    def _connect(self) -> "_Line":
        return _Line(_channel(self._settings))

    def _taken(self) -> "_Line":
        """The channel for one more call."""
        with self._lock:
            before = self._line
            line = self._line = self._watched.renewed(before, self._connect)
            line.calls += 1
            unused = line is not before and not before.calls
        if unused:
            before.channel.close()
        return line

    def _left(self, line: "_Line", begun: float, *, is_silence: bool) -> None:
        with self._lock:
            line.calls -= 1
            if not is_silence:
                line.heard = self._now()
            elif line is self._line and line.heard < begun:
                self._line = self._connect()
            unused = line is not self._line and not line.calls
        if unused:
            line.channel.close()


class _Line:
    """A channel, how many calls are on it, and when one was answered last."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.methods = {signal: channel.unary_unary(method) for signal, method in METHODS.items()}
        self.calls = 0
        self.heard = 0.0


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
    tls = settings.tls or TLSClient()
    if not _is_insecure(settings, tls):
        refuse_over_grpc(tls)
    terms = terms_of(settings.timeout or 5.0, settings.retry_on_failure, settings.sending_queue, settings.projections)
    return Sender(terms, host, lambda: GRPCTransport(settings, client_auth(host, settings.auth), host))


def _is_insecure(settings: OTLPGRPCSettings, tls: TLSClient) -> bool:
    said = target_of(settings.endpoint)[1]
    return tls.insecure if said is None else said


def _channel(settings: OTLPGRPCSettings) -> grpc.Channel:
    target = target_of(settings.endpoint)[0]
    tls, retry = settings.tls or TLSClient(), settings.retry_on_failure
    soonest = min(max(retry.initial_interval, _SOONEST), 1.0)
    proxy = _proxy(target)
    options: dict[str, Any] = {
        "grpc.max_send_message_length": -1,
        "grpc.max_receive_message_length": _MOST,
        "grpc.lb_policy_name": settings.balancer_name,
        "grpc.primary_user_agent": f"whence/{VERSION}",
        # A channel that is made anew must not take over the silent connection of the one before.
        "grpc.use_local_subchannel_pool": 1,
        # By itself the library waits up to two minutes before it connects again to a backend that has come back.
        "grpc.initial_reconnect_backoff_ms": int(soonest * 1000),
        "grpc.max_reconnect_backoff_ms": int(max(retry.max_interval, soonest) * 1000),
        # By itself the library reads other variables, and asks proxies for this machine too.
        "grpc.enable_http_proxy": int(proxy is not None),
    }
    if proxy is not None:
        options["grpc.http_proxy"] = proxy
    if settings.authority:
        options["grpc.default_authority"] = settings.authority
    if tls.server_name_override:
        options["grpc.ssl_target_name_override"] = tls.server_name_override
    if settings.keepalive:
        options["grpc.keepalive_time_ms"] = int(settings.keepalive.time * 1000)
        options["grpc.keepalive_timeout_ms"] = int(settings.keepalive.timeout * 1000)
        # The library times pings of its own, and a keepalive that meets one of them waits with it.
        options["grpc.http2.ping_timeout_ms"] = int(settings.keepalive.timeout * 1000)
        options["grpc.http2.max_pings_without_data"] = 0
        options["grpc.keepalive_permit_without_calls"] = int(settings.keepalive.permit_without_stream)
    compression = _COMPRESSIONS.get(settings.compression, grpc.Compression.NoCompression)
    if _is_insecure(settings, tls):
        return grpc.insecure_channel(target, list(options.items()), compression)
    return grpc.secure_channel(target, channel_credentials(tls), list(options.items()), compression)


def _proxy(target: str) -> str | None:
    """As for HTTPS, as Go's gRPC does; targets that name addresses, sockets or resolvers of their own go directly."""
    address = target.removeprefix("dns:///")
    direct = "/" in address or address.startswith(("unix:", "unix-abstract:", "ipv4:", "ipv6:", "dns:"))
    return None if direct else proxy_of(f"https://{address}", os.environ)


def _judged(failure: Any) -> Verdict:
    trailers = dict(failure.trailing_metadata() or ())
    details = trailers.get("grpc-status-details-bin")
    return judge_grpc(failure.code().value[0], failure.details() or "", details if isinstance(details, bytes) else None)


PLUG = Plug(OTLPGRPCSettings, build)
