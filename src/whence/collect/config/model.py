"""A configuration that holds: components with their settings, pipelines, and the collector's own telemetry.

The law: pure data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field

from whence.collect.component import Plug
from whence.collect.config.tree import Fault, Keys, Place
from whence.collect.settings import Duration, Settings, noted
from whence.collect.table import Kind, Role
from whence.errors import ConfigError
from whence.otlp.wire import Signal


class Problem(Fault):
    """One thing wrong, with its keys; as text: `otel.yaml:12: exporters::otlp_http::timeot: ...`."""

    def __init__(self, place: Place, keys: Keys, said: str) -> None:
        super().__init__(place, said)
        self.keys = keys

    def __str__(self) -> str:
        return ": ".join(filter(None, (str(self.place), "::".join(map(str, self.keys)), self.said)))


class BadConfig(ConfigError):
    """Everything that is wrong with a configuration, one problem a line."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Declared:
    """One component of the configuration."""

    id: str
    kind: Kind
    plug: Plug
    settings: Settings


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One pipeline: where batches of a signal come from, what is done with them, and where they go."""

    id: str
    signal: Signal
    receivers: tuple[str, ...]
    processors: tuple[str, ...]
    exporters: tuple[str, ...]


# --- service.telemetry ---------------------------------------------------------------------------------------------------


class Sampling(Settings):
    """The Collector's sampling of its log."""

    enabled: bool = True
    tick: Duration = 10.0
    initial: int = 10
    thereafter: int = 100


class LogSettings(Settings):
    """The collector's own log."""

    level: Literal["debug", "info", "warn", "error", "DEBUG", "INFO", "WARN", "ERROR"] = "info"
    encoding: Literal["console", "json"] = "console"
    output_paths: tuple[str, ...] = ("stderr",)
    initial_fields: Mapping[str, str] = Field(default_factory=dict)
    error_output_paths: tuple[str, ...] = noted(("stderr",), "everything goes to output_paths")
    development: bool = noted(False, "there is no development mode")
    disable_caller: bool = noted(False, "lines do not name their place in the code")
    disable_stacktrace: bool = noted(False, "stack traces are shown at level debug")
    sampling: Sampling | None = noted(None, "every line is written")


class Prometheus(Settings):
    """Where metrics can be scraped."""

    host: str = "localhost"
    port: int = Field(default=8888, ge=0, le=65535)
    without_type_suffix: bool = True
    without_units: bool = noted(True, "names have no units")
    without_scope_info: bool = noted(True, "there is no scope info")


class PullExporter(Settings):
    """The one kind of it."""

    prometheus: Prometheus = Prometheus()


class Pull(Settings):
    """A reader that others ask."""

    exporter: PullExporter = PullExporter()


class Reader(Settings):
    """One way out for metrics."""

    pull: Pull


class MetricSettings(Settings):
    """The collector's own metrics."""

    level: Literal["none", "basic", "normal", "detailed"] = "normal"
    address: str | None = None
    """The older way to write one reader."""
    readers: tuple[Reader, ...] = (Reader(pull=Pull()),)


class TraceSettings(Settings):
    """The Collector's traces of itself."""

    level: Literal["none", "basic", "normal", "detailed"] = noted("none", "the collector makes no traces of itself")
    processors: list[Any] = noted([], "the collector makes no traces of itself")
    propagators: list[str] = noted([], "the collector makes no traces of itself")


class TelemetrySettings(Settings):
    """service.telemetry."""

    logs: LogSettings = LogSettings()
    metrics: MetricSettings = MetricSettings()
    traces: TraceSettings = TraceSettings()
    resource: Mapping[str, str | None] = Field(default_factory=dict)
    """Labels on every metric and fields on every log line; null takes a default one away."""


@dataclass(frozen=True, slots=True)
class Config:
    """All of it, checked."""

    components: Mapping[tuple[Role, str], Declared]
    """Declared and used; what is only declared is not started."""
    pipelines: tuple[Pipeline, ...]
    extensions: tuple[str, ...]
    """In the order in which they start."""
    telemetry: TelemetrySettings
    notes: tuple[str, ...]
    """What a careful person would want to know: accepted but different, declared but unused, not set."""
    tree: Mapping[str, Any]
    """Everything as it was written, merged and substituted."""


def set_fields(settings: BaseModel) -> list[tuple[Keys, Any, Any]]:
    """(keys, field, value) of everything that was given in these settings, the inner ones too."""
    found: list[tuple[Keys, Any, Any]] = []
    for name, field in type(settings).model_fields.items():
        if name not in settings.model_fields_set:
            continue
        value = getattr(settings, name)
        found.append(((name,), field, value))
        items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, tuple) else ()
        for keys, inner in [((name,), value), *(((name, key), item) for key, item in items)]:
            if isinstance(inner, BaseModel):
                found += ((keys + more, field, value) for more, field, value in set_fields(inner))
    return found
