"""Every component, one line each; and what of the Collector's is not here, with what to use instead.

The law: data only, so that listing components loads none. Others add theirs by entry points (`GROUPS`) that give a `Kind`.
"""

from typing import Final, Literal, NamedTuple

from whence.otlp.wire import Signal

Role = Literal["receiver", "processor", "exporter", "connector", "extension"]
Stability = Literal["stable", "beta", "alpha"]

ROLES: Final[tuple[Role, ...]] = ("receiver", "processor", "exporter", "connector", "extension")
GROUPS: Final[dict[Role, str]] = {role: f"whence.{role}s" for role in ROLES}
"""The entry-point group of each role."""

ALL: Final[frozenset[Signal]] = frozenset(("logs", "traces", "metrics"))
LOGS: Final[frozenset[Signal]] = frozenset(("logs",))
TRACES: Final[frozenset[Signal]] = frozenset(("traces",))
NONE: Final[frozenset[Signal]] = frozenset()


class Kind(NamedTuple):
    """One kind of component: what it is called, where its `Plug` lives, and what it is for."""

    type: str
    aliases: tuple[str, ...]
    role: Role
    signals: frozenset[Signal]
    module: str
    attribute: str
    stability: Stability
    help: str


def _kind(
    role: Role, type_: str, signals: frozenset[Signal], help_: str, aliases: tuple[str, ...] = (), *, module: str = ""
) -> Kind:
    return Kind(type_, aliases, role, signals, f"whence.collect.{module or f'{role}s.{type_}'}", "PLUG", "beta", help_)


BUILT_IN: Final[tuple[Kind, ...]] = (
    _kind("receiver", "otlp", ALL, "OTLP over gRPC and HTTP (protobuf and JSON)"),
    _kind("receiver", "otlp_json_file", ALL, "files of OTLP JSON lines, tailed or read whole", ("otlpjsonfile",)),
    _kind("receiver", "filelog", LOGS, "lines of text or JSON in files as log records", ("file_log",)),
    _kind("processor", "memory_limiter", ALL, "refuses while the process holds too much memory"),
    _kind("processor", "batch", ALL, "puts requests together in the exporters' queues, never acknowledging early"),
    _kind("processor", "filter", ALL, "drops what matches, in whence's filter language or OTTL conditions"),
    _kind("processor", "attributes", ALL, "inserts, updates, deletes, hashes and extracts attributes"),
    _kind("processor", "resource", ALL, "the same for the attributes of resources"),
    _kind("processor", "transform", ALL, "changes records by OTTL statements"),
    _kind("processor", "redaction", ALL, "masks keys, values and what looks personal or secret, at any depth"),
    _kind("processor", "verbosity", LOGS, "keeps events up to a level of detail"),
    _kind("processor", "probabilistic_sampler", LOGS | TRACES, "keeps a share of traces or logs"),
    _kind("processor", "tail_sampling", TRACES, "keeps whole traces by what happened in them"),
    _kind("exporter", "whence", ALL, "the archive: acknowledged when it is on the device"),
    _kind("exporter", "file", ALL, "OTLP JSON lines in a file at one path; never empties it"),
    _kind("exporter", "otlp_grpc", ALL, "OTLP over gRPC to any backend", ("otlp",)),
    _kind("exporter", "otlp_http", ALL, "OTLP over HTTP to any backend", ("otlphttp",)),
    _kind("exporter", "webhook", LOGS | TRACES, "posts the events that a filter matches, signed and retried"),
    _kind("exporter", "debug", ALL, "shows what passes on standard error", ("logging",)),
    _kind("exporter", "nop", ALL, "takes everything and keeps nothing"),
    _kind("connector", "forward", ALL, "the end of some pipelines and the beginning of others", module="forward"),
    _kind("extension", "health_check", NONE, "answers whether every component works", ("healthcheck",)),
    _kind("extension", "bearertokenauth", NONE, "authenticates by bearer token, both ends"),
    _kind("extension", "basicauth", NONE, "authenticates by name and password, both ends"),
    _kind("extension", "file_storage", NONE, "the folder of queues and positions"),
)
"""whence's own."""
