"""Jaeger's Remote Storage API v2 over gRPC: a stock Jaeger reads the archive as its own storage, and writes nothing.

The law: a message holds spans of one trace, 2 MiB of them at most, and never none; a trace that is not there is left out, and
the status is OK. Source: jaeger.storage.v2 (jaeger-idl v0.11), grpc.health.v1.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc

from whence.collect.answers import address_of
from whence.collect.receivers.over_grpc import credentials
from whence.errors import ConfigError, StorageError, WhenceError
from whence.otlp.service import SERVICES
from whence.serve.access.caller import Caller
from whence.serve.access.tokens import Access, Unauthenticated
from whence.serve.jaeger.asked import (
    BadQuery,
    dependencies_message,
    hex_of,
    ids_message,
    ns_between,
    operations_message,
    search_of,
    summaries_message,
)
from whence.serve.jaeger.glance import Summary
from whence.serve.jaeger.limit import answered_within
from whence.serve.jaeger.proto import STORAGE, HealthCheckRequest, HealthCheckResponse
from whence.serve.jaeger.store import store_of
from whence.serve.jaeger.traces import TraceStore
from whence.serve.jaeger.untangle import drawable
from whence.serve.jaeger.whole import protobuf_of
from whence.serve.run import is_local
from whence.serve.served import Served
from whence.serve.settings import ServeSettings

_LOG: Final = logging.getLogger("whence.serve")
_WORKERS: Final = 16
"""Questions that are answered at once; the others wait."""
_PER_MESSAGE: Final = 100
"""Summaries in one message."""
READER: Final = "jaeger.storage.v2.TraceReader"
DEPENDENCIES: Final = "jaeger.storage.v2.DependencyReader"
CAPABILITIES: Final = "jaeger.storage.v2.Capabilities"
HEALTH: Final = "grpc.health.v1.Health"
HEALTHY: Final = frozenset({"", READER, DEPENDENCIES, CAPABILITIES})
_REFUSED: Final = (
    "cannot write to the archive here: this endpoint only reads; send OTLP to `whence collect` (port 4317)"
)
Asked = Callable[[Caller, Any, grpc.ServicerContext], Any]


class RemoteStorage:
    """Answers Jaeger from `start` to `stop`."""

    said = "Jaeger's storage"

    def __init__(self, store: TraceStore, access: Access, settings: ServeSettings) -> None:
        self._store, self._access, self._settings = store, access, settings
        self._server: grpc.Server | None = None
        self._pool: ThreadPoolExecutor | None = None
        self.address = address_of(settings.jaeger.endpoint)

    def start(self) -> None:
        """Listen. Raises ConfigError, StorageError."""
        endpoint = self._settings.jaeger.endpoint
        pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="whence jaeger")
        server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers(tuple(self._handlers()))
        try:
            if self._settings.tls:
                port = server.add_secure_port(endpoint, credentials(self._settings.tls))
            else:
                port = server.add_insecure_port(endpoint)
        except RuntimeError:
            port = 0
        if not port:
            pool.shutdown(wait=False)
            raise StorageError(
                f"cannot listen at {endpoint} for Jaeger: choose another `jaeger.endpoint`, or set `jaeger.enabled: false`"
            )
        server.start()
        self.address = self.address[0], port
        self._server, self._pool = server, pool

    def stop(self, seconds: float) -> None:
        """Take nothing more, and let answers under way be given for at most so long."""
        if self._server is not None:
            self._server.stop(seconds).wait(seconds + 1.0)
        if self._pool is not None:
            self._pool.shutdown(wait=False)  # the library leaves it running

    # --- methods ----------------------------------------------------------------------------------------------------------

    def _handlers(self) -> Iterator[grpc.GenericRpcHandler]:
        reader = {
            "GetServices": self._one(self._services, "GetServicesRequest"),
            "GetOperations": self._one(self._operations, "GetOperationsRequest"),
            "FindTraceIDs": self._one(self._ids, "FindTraceIDsRequest"),
            "GetTraces": self._many(self._traces, "GetTracesRequest", None),
            "FindTraces": self._many(self._find, "FindTracesRequest", None),
            "FindTraceSummaries": self._many(
                self._summaries, "FindTraceSummariesRequest", STORAGE["FindTraceSummariesResponse"].SerializeToString
            ),
        }
        yield _service(READER, reader)
        yield _service(DEPENDENCIES, {"GetDependencies": self._one(self._dependencies, "GetDependenciesRequest")})
        yield _service(CAPABILITIES, {"GetCapabilities": self._one(self._capabilities, "GetCapabilitiesRequest")})
        yield _service(SERVICES["traces"], {"Export": grpc.unary_unary_rpc_method_handler(_refuse)})
        check = grpc.unary_unary_rpc_method_handler(
            _check, HealthCheckRequest.FromString, HealthCheckResponse.SerializeToString
        )
        yield _service(HEALTH, {"Check": check})

    def _one(self, answer: Asked, request: str) -> grpc.RpcMethodHandler:
        def answered(asked: Any, context: grpc.ServicerContext) -> Any:
            caller = self._caller(context)
            try:
                with answered_within(self._seconds(context)):
                    return answer(caller, asked, context)
            except Exception as fault:  # noqa: BLE001 - every fault has a status
                _fail(fault, context)

        return grpc.unary_unary_rpc_method_handler(
            answered, STORAGE[request].FromString, lambda one: one.SerializeToString()
        )

    def _many(self, answer: Asked, request: str, serializer: Any) -> grpc.RpcMethodHandler:
        """A method that answers with a stream: of messages, or of bytes where there is no serializer."""

        def answered(asked: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            caller = self._caller(context)
            try:
                with answered_within(self._seconds(context)):
                    for part in answer(caller, asked, context):
                        yield part
                        if not context.is_active():
                            return
            except Exception as fault:  # noqa: BLE001 - every fault has a status
                _fail(fault, context)

        return grpc.unary_stream_rpc_method_handler(answered, STORAGE[request].FromString, serializer)

    def _seconds(self, context: grpc.ServicerContext) -> float:
        """How long an answer may take: what the server allows, and what the call has left."""
        left: float | None = context.time_remaining()
        most = self._settings.request_timeout
        return most if left is None else min(most, left)

    def _caller(self, context: grpc.ServicerContext) -> Caller:
        given = {str(name): value for name, value in context.invocation_metadata()}
        scheme, _, token = str(given.get("authorization", "")).partition(" ")
        try:
            return self._access.caller_of(token.strip() if scheme.lower() == "bearer" and token.strip() else None)
        except Unauthenticated as cause:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"cannot answer: {cause}")
            raise  # abort does

    def _services(self, caller: Caller, asked: Any, context: grpc.ServicerContext) -> Any:
        return STORAGE["GetServicesResponse"](services=self._store.lists.services(caller))

    def _operations(self, caller: Caller, asked: Any, context: grpc.ServicerContext) -> Any:
        return operations_message(self._store.lists.operations(caller, asked.service, asked.span_kind))

    def _ids(self, caller: Caller, asked: Any, context: grpc.ServicerContext) -> Any:
        return ids_message(self._found(caller, asked))

    def _found(self, caller: Caller, asked: Any) -> Iterator[Summary]:
        return self._store.summaries(caller, self._store.find(caller, search_of(asked.query)))

    def _summaries(self, caller: Caller, asked: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        some: list[Summary] = []
        for one in self._found(caller, asked):
            some.append(one)
            if len(some) >= _PER_MESSAGE:
                yield summaries_message(some)
                some = []
        if some:
            yield summaries_message(some)

    def _traces(self, caller: Caller, asked: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
        wanted = [trace for one in asked.query if (trace := hex_of(one.trace_id))]
        yield from self._whole(caller, wanted)

    def _find(self, caller: Caller, asked: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield from self._whole(caller, self._store.find(caller, search_of(asked.query)))

    def _whole(self, caller: Caller, wanted: list[str]) -> Iterator[bytes]:
        for trace in self._store.whole(caller, wanted):
            for chunk in drawable(trace).chunks():
                if data := protobuf_of(chunk):
                    yield data

    def _dependencies(self, caller: Caller, asked: Any, context: grpc.ServicerContext) -> Any:
        return dependencies_message(self._store.lists.dependencies(caller, *ns_between(asked)))

    def _capabilities(self, caller: Caller, asked: Any, context: grpc.ServicerContext) -> Any:
        search = STORAGE["SearchCapabilities"](without_service_name=True, same_span_conjunction=True)
        return STORAGE["GetCapabilitiesResponse"](search=search)


def _service(name: str, methods: Mapping[str, grpc.RpcMethodHandler]) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(name, dict(methods))


def _refuse(data: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, _REFUSED)
    return b""


def _check(asked: Any, context: grpc.ServicerContext) -> Any:
    if asked.service not in HEALTHY:
        context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {asked.service[:100]!r} here")
    return HealthCheckResponse(status=HealthCheckResponse.SERVING)


def _fail(fault: Exception, context: grpc.ServicerContext) -> None:
    """End an answer with the status that says whose fault it is."""
    if not context.is_active():
        return
    if isinstance(fault, BadQuery):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(fault))
    if isinstance(fault, TimeoutError):
        context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"cannot answer in time: {fault}")
    if isinstance(fault, WhenceError):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(fault))
    _LOG.error("cannot answer Jaeger: %r", fault, exc_info=fault)
    context.abort(grpc.StatusCode.INTERNAL, f"cannot answer: {type(fault).__name__}: {fault}; see the server's log")


def start(served: Served, settings: ServeSettings, access: Access) -> RemoteStorage | None:
    """Listen for Jaeger as the settings say, or not at all. Raises ConfigError, StorageError."""
    if not settings.jaeger.enabled:
        return None
    if not (access.required or settings.insecure_no_auth or is_local(settings.jaeger.endpoint)):
        raise ConfigError(
            f"cannot listen at {settings.jaeger.endpoint} for Jaeger: whoever reaches it could read everything;"
            " give tokens, listen at 127.0.0.1, or say --insecure-no-auth"
        )
    storage = RemoteStorage(store_of(served), access, settings)
    storage.start()
    return storage
