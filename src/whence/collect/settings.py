"""The pieces of settings that many components share, with the Collector's keys and defaults.

The law: pure. A value that cannot be used is a ValueError in words; `config` adds file, line and key.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from whence.collect.written import settled
from whence.event.misfits import Misfit
from whence.event.units import parse_size

MIB: Final = 1 << 20

# --- values ------------------------------------------------------------------------------------------------------------

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST: Final = 9.2e9
"""Seconds: the Collector's durations are 64-bit nanoseconds."""


def as_duration(value: Any) -> float:
    """Seconds of Go's `1m30s` or `200ms`; a bare number is nanoseconds, as the Collector takes it. Raises ValueError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value / 1e9
    elif value == "0":
        seconds = 0.0
    elif isinstance(value, str) and len(value) < 100 and re.fullmatch(f"(?:{_PART.pattern})+", value):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))
    else:
        raise ValueError("a duration such as 200ms, 30s or 1m30s")
    if not 0 <= seconds <= _LONGEST:
        raise ValueError("a duration from 0 to 292 years")
    return seconds


def as_secret(value: Any) -> Any:
    """A token of digits only is a number in YAML; it is text here."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


Duration = Annotated[float, BeforeValidator(as_duration)]
"""Seconds."""
Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0)]
"""Bytes: a number, or text such as `64MiB`."""
Secret = Annotated[SecretStr, BeforeValidator(as_secret)]
"""Redacted wherever settings are shown; read it with `get_secret_value()`."""


def noted(default: Any, why: str) -> Any:
    """A field of the Collector's that is accepted and works differently or not at all here: said in the log when it is set."""
    return Field(default, json_schema_extra={"noted": why})


def _refused(why: str) -> AfterValidator:
    """A key of the Collector's that is accepted only where it asks for nothing, because doing without it is no small thing."""

    def check(value: Any) -> Any:
        if value:
            raise Misfit(why)
        return value

    return AfterValidator(check)


class Settings(BaseModel):
    """What all settings have in common: unknown keys are errors, and a key with nothing behind it means the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _null_means_defaults(cls, data: Any) -> Any:
        if data is None:
            return {}
        if not isinstance(data, Mapping):
            return data
        fields = {name: field.annotation for name, field in cls.model_fields.items()}
        values = {key: settled(fields.get(key, object), value) for key, value in data.items()}
        return {
            key: {} if value is None else value
            for key, value in values.items()
            if value is not None or key not in fields or _is_map(fields[key])
        }


def _is_map(annotation: Any) -> bool:
    """Whether a field is settings of its own, or may be."""
    if isinstance(annotation, type):
        return issubclass(annotation, Settings)
    return any(_is_map(part) for part in get_args(annotation))


# --- TLS and authentication ----------------------------------------------------------------------------------------------

_TLSVersion = Literal["1.2", "1.3"]
_NOT_CLIENTS: Final = (
    "it is for senders; clients must show a certificate of client_ca_file's authority only where that is set"
)
_IN_URLS: Final = "leave it out: URLs are in many logs, so no secret is taken from them; send it in a header"


class TLS(Settings):
    """Certificates and versions, of both ends."""

    ca_file: str | None = None
    ca_pem: Secret | None = None
    cert_file: str | None = None
    cert_pem: Secret | None = None
    key_file: str | None = None
    key_pem: Secret | None = None
    include_system_ca_certs_pool: bool = False
    min_version: _TLSVersion = "1.2"
    max_version: _TLSVersion | None = None
    cipher_suites: tuple[str, ...] = ()
    curve_preferences: Annotated[tuple[str, ...], _refused("leave it out: the TLS library chooses the curves")] = ()
    reload_interval: Duration | None = None


class TLSServer(TLS):
    """A listener's end; with `client_ca_file`, mutual TLS."""

    ca_file: str | None = noted(None, _NOT_CLIENTS)
    ca_pem: Secret | None = noted(None, _NOT_CLIENTS)
    include_system_ca_certs_pool: bool = noted(False, _NOT_CLIENTS)
    client_ca_file: str | None = None
    client_ca_file_reload: bool = False


class TLSClient(TLS):
    """A sender's end."""

    insecure: bool = False
    """No TLS at all (gRPC; over HTTP the URL's scheme says so)."""
    insecure_skip_verify: bool = False
    server_name_override: str | None = None


class Auth(Settings):
    """Which extension authenticates."""

    authenticator: str
    request_params: Annotated[tuple[str, ...], _refused(_IN_URLS)] = ()


# --- servers ---------------------------------------------------------------------------------------------------------------


class Cors(Settings):
    """Which pages of other origins may send from a browser; `*` stands for any run of characters."""

    allowed_origins: tuple[str, ...] = ()
    allowed_headers: tuple[str, ...] = ()
    exposed_headers: tuple[str, ...] = ()
    max_age: int = 0
    """Seconds."""


def _known_compressions(given: tuple[str, ...]) -> tuple[str, ...]:
    for one in given:
        if one not in COMPRESSIONS:
            raise Misfit(f"whence does not unpack {one[:40]!r}: there are {', '.join(filter(None, COMPRESSIONS))}")
    return given


COMPRESSIONS: Final = ("", "gzip", "zstd", "zlib", "deflate")
"""What an HTTP listener unpacks."""


class HTTPServer(Settings):
    """An HTTP listener. The limits are 64 MiB, before and after decompression, as OTLP 1.11 recommends (Collector: 20)."""

    endpoint: str = "localhost:4318"
    transport: Literal["tcp", "unix"] = "tcp"
    tls: TLSServer | None = None
    cors: Cors | None = None
    auth: Auth | None = None
    max_request_body_size: Size = 64 * MIB
    include_metadata: bool = False
    response_headers: dict[str, str] = {}
    compression_algorithms: Annotated[tuple[str, ...], AfterValidator(_known_compressions)] = COMPRESSIONS
    read_timeout: Duration = 0.0
    read_header_timeout: Duration = 60.0
    write_timeout: Duration = noted(30.0, "answers are small and are handed to the system at once")
    idle_timeout: Duration = 60.0
    keep_alives_enabled: bool = True


class KeepaliveServerParameters(Settings):
    """How long connections live."""

    max_connection_idle: Duration = 0.0
    max_connection_age: Duration = 0.0
    max_connection_age_grace: Duration = 0.0
    time: Duration = 7200.0
    timeout: Duration = 20.0


class KeepaliveEnforcement(Settings):
    """How often a client may ping."""

    min_time: Duration = 300.0
    permit_without_stream: bool = False


class KeepaliveServer(Settings):
    """A gRPC listener's keepalive."""

    server_parameters: KeepaliveServerParameters = KeepaliveServerParameters()
    enforcement_policy: KeepaliveEnforcement = KeepaliveEnforcement()


class GRPCServer(Settings):
    """A gRPC listener. The limit is 64 MiB, before and after decompression (Collector: 4)."""

    endpoint: str = "localhost:4317"
    transport: Literal["tcp", "unix"] = "tcp"
    tls: TLSServer | None = None
    auth: Auth | None = None
    max_recv_msg_size_mib: int = Field(64, ge=1, le=2047)
    max_concurrent_streams: int | None = Field(None, ge=1)
    include_metadata: bool = False
    keepalive: KeepaliveServer | None = None
    read_buffer_size: Size = noted(524288, "the gRPC library sizes its read buffers itself")
    write_buffer_size: Size = noted(0, "the gRPC library sizes its write buffers itself")


# --- clients ---------------------------------------------------------------------------------------------------------------


class CompressionParams(Settings):
    """How hard to compress."""

    level: int | None = None


class HTTPClient(Settings):
    """How to reach an HTTP server."""

    endpoint: str | None = None
    proxy_url: str | None = None
    tls: TLSClient | None = None
    headers: dict[str, Secret] = {}
    timeout: Duration = 30.0
    compression: Literal["gzip", "zstd", "zlib", "deflate", "none", ""] = "gzip"
    compression_params: CompressionParams = CompressionParams()
    auth: Auth | None = None
    max_conns_per_host: int = Field(0, ge=0)
    max_idle_conns: int = Field(100, ge=0)
    max_idle_conns_per_host: int = Field(0, ge=0)
    idle_conn_timeout: Duration = 90.0
    disable_keep_alives: bool = False
    read_buffer_size: Size = noted(0, "the HTTP library sizes its read buffers itself")
    write_buffer_size: Size = noted(524288, "the HTTP library sizes its write buffers itself")
    force_attempt_http2: bool = noted(True, "requests are sent over HTTP/1.1")


class KeepaliveClient(Settings):
    """A gRPC sender's keepalive."""

    time: Duration = 10.0
    timeout: Duration = 10.0
    permit_without_stream: bool = False


class GRPCClient(Settings):
    """How to reach a gRPC server. TLS unless `tls.insecure`."""

    endpoint: str
    tls: TLSClient | None = None
    headers: dict[str, Secret] = {}
    timeout: Duration = 5.0
    compression: Literal["gzip", "deflate", "none", ""] = "gzip"
    auth: Auth | None = None
    keepalive: KeepaliveClient | None = None
    balancer_name: Literal["round_robin", "pick_first"] = "round_robin"
    authority: str | None = None
    wait_for_ready: bool = False
    read_buffer_size: Size = noted(0, "the gRPC library sizes its read buffers itself")
    write_buffer_size: Size = noted(524288, "the gRPC library sizes its write buffers itself")


class RetryOnFailure(Settings):
    """When a failed sending is tried again: exponentially later, with jitter."""

    enabled: bool = True
    initial_interval: Duration = 5.0
    randomization_factor: float = Field(0.5, ge=0, le=1)
    multiplier: float = Field(1.5, ge=1)
    max_interval: Duration = 30.0
    max_elapsed_time: Duration = 300.0
    """0: never give up."""


class QueueBatch(Settings):
    """How the queue puts requests together before sending."""

    flush_timeout: Duration = 0.2
    min_size: int = Field(8192, ge=0)
    max_size: int = Field(0, ge=0)
    """0: no limit."""
    sizer: Literal["items", "bytes", "requests"] = "items"


class SendingQueue(Settings):
    """What waits between a pipeline and a backend."""

    enabled: bool = True
    num_consumers: int = Field(10, ge=1)
    queue_size: int = Field(1000, ge=1)
    sizer: Literal["requests", "items", "bytes"] = "requests"
    block_on_overflow: bool = False
    wait_for_result: bool = False
    max_bytes: Size = 1 << 30
    """Bytes of everything that is not delivered, whatever `sizer` says; 0: no bound. whence's own."""
    max_age: Duration = 0.0
    """How long a request may wait before it is given up, counted and logged; 0: for ever. whence's own."""
    storage: str | None = None
    """The id of a `file_storage` extension: the queue is on disk and survives a restart."""
    batch: QueueBatch | None = None
