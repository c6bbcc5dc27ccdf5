"""The processor `filter`: drops what matches, in whence's filter language or in OTTL conditions.

`keep` and `drop` ask about records: a span goes with its events, and metrics, which are no events, pass.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, NamedTuple

from pydantic import AfterValidator, ValidationInfo, field_validator

from whence.collect.batch import Batch
from whence.collect.component import Consumer, Host, Plug
from whence.collect.ottl.contexts import Context
from whence.collect.ottl.statements import condition_of
from whence.collect.processors.demands import checked
from whence.collect.processors.statements import (
    DataPointCondition,
    ErrorMode,
    LogCondition,
    MetricCondition,
    ResourceCondition,
    SpanCondition,
    SpanEventCondition,
    never,
    tolerant,
)
from whence.collect.records.events import asked, first_events
from whence.collect.records.walk import Look, Place, Visit, rewritten
from whence.collect.settings import Settings
from whence.event.misfits import Misfit
from whence.filter.match import Matcher
from whence.otlp.wire import Signal

Process = Callable[[Batch], Batch | None]


class TraceConditions(Settings):
    """OTTL; what any of them is true for goes, and a resource or span with all that is in it."""

    resource: tuple[ResourceCondition, ...] = ()
    span: tuple[SpanCondition, ...] = ()
    spanevent: tuple[SpanEventCondition, ...] = ()


class LogConditions(Settings):
    """OTTL; what any of them is true for goes."""

    resource: tuple[ResourceCondition, ...] = ()
    log_record: tuple[LogCondition, ...] = ()


class MetricConditions(Settings):
    """OTTL; what any of them is true for goes, and a metric that has lost its last data point."""

    resource: tuple[ResourceCondition, ...] = ()
    metric: tuple[MetricCondition, ...] = ()
    datapoint: tuple[DataPointCondition, ...] = ()


Question = Annotated[str, AfterValidator(checked(lambda text: asked(text, never)))]
"""A filter of whence's language that single events can answer."""


class FilterSettings(Settings):
    """What is dropped. An event that `keep` is not true for goes, also where that hangs on a value it does not have."""

    keep: Question | None = None
    drop: Question | None = None
    error_mode: ErrorMode = "propagate"
    traces: TraceConditions = TraceConditions()
    logs: LogConditions = LogConditions()
    metrics: MetricConditions = MetricConditions()

    @field_validator("traces", "logs", "metrics", mode="before")
    @classmethod
    def _no_old_form(cls, block: Any, info: ValidationInfo) -> Any:
        if isinstance(block, Mapping) and {"include", "exclude"} & block.keys():
            inner = {"traces": "span", "logs": "log_record"}.get(info.field_name or "", "metric")
            raise Misfit(
                "the older blocks include and exclude are not supported; "
                f"write OTTL conditions under {info.field_name}.{inner}, or whence's filter language under keep or drop"
            )
        return block


# --- how ------------------------------------------------------------------------------------------------------------------


class _Level(NamedTuple):
    """Conditions under a key of the settings: what they are about, and at which level of a Visit."""

    key: str
    context: Context
    level: str


_LEVELS: Final[Mapping[Signal, tuple[_Level, ...]]] = {
    "traces": (
        _Level("resource", "resource", "resource"), _Level("span", "span", "record"),
        _Level("spanevent", "spanevent", "inner"),
    ),
    "logs": (_Level("resource", "resource", "resource"), _Level("log_record", "log", "record")),
    "metrics": (
        _Level("resource", "resource", "resource"), _Level("metric", "metric", "record"),
        _Level("datapoint", "datapoint", "inner"),
    ),
}  # fmt: skip
_COUNTED: Final[Mapping[Signal, str]] = {"traces": "spans", "logs": "logs", "metrics": "datapoints"}


def build(settings: FilterSettings, host: Host, next: Consumer) -> Process:
    """The processor."""
    steps: list[Process] = []
    if settings.keep is not None:
        steps.append(_asking(host, asked(settings.keep, host.now), keep=True))
    if settings.drop is not None:
        steps.append(_asking(host, asked(settings.drop, host.now), keep=False))
    visits = {signal: _visit(settings, signal, host) for signal in _LEVELS}

    def process(batch: Batch) -> Batch | None:
        left: Batch | None = batch
        for step in steps:
            left = step(left) if left is not None else None
        if left is not None and (visit := visits[batch.signal]) is not None:
            left = rewritten(left, visit)
        if left is not batch:
            gone = batch.count() - (left.count() if left is not None else 0)
            host.telemetry.count(f"otelcol_processor_filter_{_COUNTED[batch.signal]}_filtered", gone, filter=host.id)
        return left

    return process


def _asking(host: Host, give: Callable[[], Matcher], *, keep: bool) -> Process:
    def process(batch: Batch) -> Batch | None:
        if batch.signal == "metrics":
            return batch
        test, events = give(), first_events(batch.opened().tree or {}, host.id)

        def stays(place: Place) -> bool:
            event = next(events, None)
            return (event is not None and test(event) is True) is keep

        return rewritten(batch, Visit(record=stays))

    return process


def _visit(settings: FilterSettings, signal: Signal, host: Host) -> Visit | None:
    """What the OTTL conditions for a signal do; None where there are none."""
    looks: dict[str, Look] = {}
    block = getattr(settings, signal)
    for key, context, level in _LEVELS[signal]:
        if texts := getattr(block, key):
            looks[level] = _stays(texts, context, settings.error_mode, host)
    return Visit(**looks) if looks else None


def _stays(texts: tuple[str, ...], context: Context, mode: ErrorMode, host: Host) -> Look:
    asks = [tolerant(condition_of(text, context, host.now), text, mode, host, False) for text in texts]
    return lambda place: not any(ask(place) for ask in asks)


PLUG = Plug(FilterSettings, build)
