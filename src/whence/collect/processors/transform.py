"""The processor `transform`: changes records by OTTL statements.

Statements without a context are about the innermost thing that their paths name; a group says its own `context`. Groups run
one after the other, each over the whole batch; a group's statements run in their order at each place.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any, ClassVar, Final, NamedTuple

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, field_validator

from whence.collect.batch import Batch
from whence.collect.component import Consumer, Host, Plug
from whence.collect.ottl.compile import Act, Ask, Clock
from whence.collect.ottl.contexts import SPELLINGS, Context
from whence.collect.ottl.errors import nearest
from whence.collect.ottl.statements import CONTEXTS, condition_of, context_of, statement_of
from whence.collect.processors.demands import Some, checked
from whence.collect.processors.statements import ErrorMode, never, tolerant
from whence.collect.records.walk import Look, Place, Visit, rewritten
from whence.collect.settings import Settings
from whence.event.misfits import Misfit
from whence.otlp.wire import Signal

LEVEL: Final[Mapping[Context, str]] = {
    "resource": "resource", "scope": "scope", "span": "record", "log": "record", "metric": "record",
    "spanevent": "inner", "datapoint": "inner",
}  # fmt: skip
"""At which level of a Visit a context's places are."""


def _of_group(text: str, info: ValidationInfo) -> str:
    context = info.data.get("context")
    return checked(lambda text: statement_of(text, context, never))(text) if context else text


def _condition_of_group(text: str, info: ValidationInfo) -> str:
    context = info.data.get("context")
    return checked(lambda text: condition_of(text, context, never))(text) if context else text


class Group(Settings):
    """Statements about one context, run where any of the conditions is true; without any, everywhere."""

    signal: ClassVar[Signal]

    context: str = Field("", validate_default=True)
    error_mode: ErrorMode | None = None
    conditions: tuple[Annotated[str, AfterValidator(_condition_of_group)], ...] = ()
    statements: Some[Annotated[str, AfterValidator(_of_group)]]

    @field_validator("context")
    @classmethod
    def _known(cls, name: str) -> str:
        allowed = CONTEXTS[cls.signal]
        if not name:
            return name
        context = SPELLINGS.get(name)
        if context not in allowed:
            raise Misfit(f"expected one of {', '.join(allowed)}{nearest(name, allowed)}")
        return context

    @field_validator("statements")
    @classmethod
    def _one_context(cls, texts: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("context") == "":
            checked(lambda text: _together(texts, cls.signal))("")
        return texts


class TraceGroup(Group):
    """About spans."""

    signal = "traces"


class LogGroup(Group):
    """About log records."""

    signal = "logs"


class MetricGroup(Group):
    """About metrics."""

    signal = "metrics"


def _alone(signal: Signal) -> AfterValidator:
    return AfterValidator(checked(lambda text: _together([text], signal)))


def _form(value: Any) -> str:
    return "group" if isinstance(value, (Mapping, Group)) else "statement"


TraceStatement = Annotated[
    Annotated[str, _alone("traces"), Tag("statement")] | Annotated[TraceGroup, Tag("group")], Discriminator(_form)
]
LogStatement = Annotated[
    Annotated[str, _alone("logs"), Tag("statement")] | Annotated[LogGroup, Tag("group")], Discriminator(_form)
]
MetricStatement = Annotated[
    Annotated[str, _alone("metrics"), Tag("statement")] | Annotated[MetricGroup, Tag("group")], Discriminator(_form)
]


class TransformSettings(Settings):
    """Statements, by what they are about; each a text, or in groups."""

    error_mode: ErrorMode = "propagate"
    trace_statements: tuple[TraceStatement, ...] = ()
    log_statements: tuple[LogStatement, ...] = ()
    metric_statements: tuple[MetricStatement, ...] = ()


# --- compiling ------------------------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """Statements about one context."""

    context: Context
    acts: tuple[tuple[str, Act], ...]
    asks: tuple[tuple[str, Ask], ...] = ()
    mode: ErrorMode | None = None


def _together(texts: Sequence[str], signal: Signal, clock: Clock = never) -> Step:
    """Statements without a context: it is the innermost that any of them names."""
    context = context_of(texts, CONTEXTS[signal])
    return Step(context, tuple((text, statement_of(text, context, clock, prefixed=True)) for text in texts))


def _of(group: Group, clock: Clock) -> Step:
    if group.context:
        context = SPELLINGS[group.context]
        acts = tuple((text, statement_of(text, context, clock)) for text in group.statements)
    else:
        context, acts, *_ = _together(group.statements, group.signal, clock)
    asks = tuple((text, condition_of(text, context, clock)) for text in group.conditions)
    return Step(context, acts, asks, group.error_mode)


def _steps(written: Sequence[str | Group], signal: Signal, clock: Clock) -> list[Step]:
    """Groups as they stand; statements on their own put together where they follow one another in one context."""
    found: list[Step] = []
    for alone, several in groupby(written, key=lambda one: isinstance(one, str)):
        if not alone:
            found += [_of(group, clock) for group in several if isinstance(group, Group)]
            continue
        single = [_together([text], signal, clock) for text in several if isinstance(text, str)]
        for context, steps in groupby(single, key=lambda step: step.context):
            found.append(Step(context, tuple(act for step in steps for act in step.acts)))
    return found


def _visit(step: Step, mode: ErrorMode, host: Host) -> Visit:
    mode = step.mode or mode
    acts = [tolerant(act, text, mode, host, None) for text, act in step.acts]
    asks = [tolerant(ask, text, mode, host, False) for text, ask in step.asks]

    def look(place: Place) -> bool:
        if not asks or any(ask(place) for ask in asks):
            for act in acts:
                act(place)
        return True

    levels: dict[str, Look] = {LEVEL[step.context]: look}
    return Visit(**levels)


def build(settings: TransformSettings, host: Host, next: Consumer) -> Callable[[Batch], Batch | None]:
    """The processor. Raises Unacceptable where a statement fails and `error_mode` is propagate."""
    written: dict[Signal, Sequence[str | Group]] = {
        "traces": settings.trace_statements, "logs": settings.log_statements, "metrics": settings.metric_statements,
    }  # fmt: skip
    visits = {
        signal: [_visit(step, settings.error_mode, host) for step in _steps(texts, signal, host.now)]
        for signal, texts in written.items()
    }

    def process(batch: Batch) -> Batch | None:
        left: Batch | None = batch
        for visit in visits[batch.signal]:
            left = rewritten(left, visit) if left is not None else None
        return left

    return process


PLUG = Plug(TransformSettings, build)
