"""Builders: a collector of small components, and configurations of them.

`PARTS` are real components of the table's mechanism (a `Plug` each): `source` hands batches in, `keep` remembers what it gets,
`mark` changes, `hold` waits, `port` listens. A `Catalog` of them and of whence's own is what tests configure.
"""

import sys
import threading
from collections.abc import Mapping
from typing import Any

from whence.collect.batch import Batch, Receipt
from whence.collect.component import Consumer, Health, Host, Plug
from whence.collect.config.check import check
from whence.collect.config.model import BadConfig, Config
from whence.collect.config.sources import Sources, read_sources
from whence.collect.kinds import Catalog
from whence.collect.settings import (
    Auth,
    Duration,
    GRPCServer,
    HTTPServer,
    RetryOnFailure,
    Secret,
    SendingQueue,
    Settings,
)
from whence.collect.table import ALL, BUILT_IN, LOGS, NONE, Kind
from whence.otlp.wire import Signal


class SourceSettings(Settings):
    """Like the receiver otlp in shape: protocols that are on when their key is there."""

    grpc: GRPCServer | None = None
    http: HTTPServer | None = None
    number: int = 0
    fail_start: bool = False


class KeepSettings(Settings):
    """Some of everything."""

    label: str = ""
    wait: Duration = 0.0
    token: Secret | None = None
    headers: Mapping[str, Secret] = {}
    retry_on_failure: RetryOnFailure = RetryOnFailure()
    sending_queue: SendingQueue = SendingQueue()
    auth: Auth | None = None
    fail_start: bool = False


class MarkSettings(Settings):
    """What a processor adds."""

    mark: str = "seen"
    drop: bool = False


class Part:
    """A component that remembers its life."""

    def __init__(self, settings: Any, host: Host) -> None:
        self.settings = settings
        self.host = host
        self.log: list[str] = []
        self.sick: str | None = None
        LIVES.append((host.id, "built"))

    def start(self, host: Host) -> None:
        """Starts, or fails where its settings say so."""
        if getattr(self.settings, "fail_start", False):
            raise OSError(98, "Address already in use")
        LIVES.append((self.host.id, "started"))

    def stop(self, deadline: float) -> None:
        """Stops at once."""
        LIVES.append((self.host.id, "stopped"))

    def health(self) -> Health:
        """As a test has set it."""
        return Health(self.sick is None, self.sick)


LIVES: list[tuple[str, str]] = []
"""(id, what happened) of every part, in order; a test clears it first."""


class Source(Part):
    """Hands batches to its outputs when a test asks."""

    def __init__(self, settings: SourceSettings, host: Host, outputs: Mapping[Signal, Consumer]) -> None:
        super().__init__(settings, host)
        self.outputs = outputs

    def send(self, batch: Batch) -> Receipt:
        """As a request would."""
        return self.outputs[batch.signal].consume(batch)


class Keep(Part):
    """Takes what comes, unless it is told to fail; waits while `gate` is closed."""

    def __init__(self, settings: KeepSettings, host: Host) -> None:
        super().__init__(settings, host)
        self.kept: list[Batch] = []
        self.failure: Exception | None = None
        self.receipt = Receipt()
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    def consume(self, batch: Batch) -> Receipt:
        """Keeps it."""
        self.entered.release()
        assert self.gate.wait(60)
        if self.failure:
            raise self.failure
        self.kept.append(batch)
        return self.receipt


class Join(Part):
    """A connector."""

    def __init__(self, settings: Settings, host: Host, outputs: Mapping[Signal, Consumer]) -> None:
        super().__init__(settings, host)
        self.outputs = outputs

    def consume(self, batch: Batch) -> Receipt:
        """On to the next pipeline."""
        return self.outputs[batch.signal].consume(batch)


def _mark(settings: MarkSettings, host: Host, after: Consumer) -> Any:
    def process(batch: Batch) -> Batch | None:
        if settings.drop:
            return None
        tree = batch.opened().tree or {}
        return batch.with_tree({**tree, "marks": (*tree.get("marks", ()), settings.mark)})

    return process


class Through(Part):
    """A processor with a life."""

    def __init__(self, settings: Settings, host: Host, after: Consumer) -> None:
        super().__init__(settings, host)
        self.after = after

    def consume(self, batch: Batch) -> Receipt:
        """Passes on."""
        return self.after.consume(batch)


SOURCE = Plug(SourceSettings, Source)
KEEP = Plug(KeepSettings, Keep)
MARK = Plug(MarkSettings, _mark)
THROUGH = Plug(Settings, Through)
JOIN = Plug(Settings, Join)
PLAIN = Plug(Settings, Part)
ONCE = Plug(SourceSettings, Source, once=True)


def _kind(role: Any, type_: str, attribute: str, signals: frozenset[Signal] = ALL, *aliases: str) -> Kind:
    return Kind(type_, aliases, role, signals, __name__, attribute, "alpha", "for tests")


PARTS = (
    _kind("receiver", "source", "SOURCE"),
    _kind("receiver", "once", "ONCE"),
    _kind("processor", "mark", "MARK"),
    _kind("processor", "through", "THROUGH"),
    _kind("exporter", "keep", "KEEP", ALL, "keeper"),
    _kind("exporter", "keep_logs", "KEEP", LOGS),
    _kind("connector", "join", "JOIN"),
    _kind("extension", "plain", "PLAIN", NONE),
)


def a_catalog() -> Catalog:
    """whence's own components and those for tests."""
    assert __name__ in sys.modules
    return Catalog((*BUILT_IN, *PARTS), {})


def a_config(*texts: str, sets: tuple[str, ...] = (), **variables: str) -> Config:
    """Checked. Raises BadConfig."""
    sources = Sources(tuple(f"yaml:{text}" for text in texts), sets)
    return check(read_sources(sources, variables), a_catalog())


def problems(*texts: str, sets: tuple[str, ...] = (), **variables: str) -> list[str]:
    """What is wrong, each as `line: keys: words`."""
    try:
        a_config(*texts, sets=sets, **variables)
    except BadConfig as bad:
        return [f"{one.place.line}: {'::'.join(map(str, one.keys))}: {one.said}" for one in bad.problems]
    return []


LOGS_ONLY = """\
receivers: {source: }
exporters: {keep: }
service:
  pipelines:
    logs: {receivers: [source], exporters: [keep]}
"""


def some_logs(*bodies: str) -> Batch:
    """A request of log records with these bodies."""
    records = [{"timeUnixNano": "1", "body": {"stringValue": body}} for body in bodies]
    return Batch("logs", tree={"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}, transport="test")
