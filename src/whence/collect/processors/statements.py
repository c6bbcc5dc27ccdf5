"""OTTL in settings: texts checked when the configuration is read, and what to do where one fails on a record.

The law: pure.
"""

from collections.abc import Callable
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator

from whence.collect.component import Host
from whence.collect.ottl.contexts import Context
from whence.collect.ottl.errors import Failure
from whence.collect.ottl.statements import condition_of
from whence.collect.outcome import Unacceptable
from whence.collect.processors.demands import checked
from whence.collect.records.walk import Place

R = TypeVar("R")

_QUIET: Final = 10.0
"""Seconds between two lines in the log about one statement."""
_SHOWN: Final = 200

ErrorMode = Literal["ignore", "silent", "propagate"]
"""Where a statement fails on a record: go on and log it, go on, or refuse the batch for good."""


def never() -> int:
    """The clock of what is only checked."""
    return 0


def _in(context: Context) -> AfterValidator:
    return AfterValidator(checked(lambda text: condition_of(text, context, never)))


ResourceCondition = Annotated[str, _in("resource")]
SpanCondition = Annotated[str, _in("span")]
SpanEventCondition = Annotated[str, _in("spanevent")]
LogCondition = Annotated[str, _in("log")]
MetricCondition = Annotated[str, _in("metric")]
DataPointCondition = Annotated[str, _in("datapoint")]


def tolerant(run: Callable[[Place], R], text: str, mode: ErrorMode, host: Host, otherwise: R) -> Callable[[Place], R]:
    """What runs at a place, with its failures met as `mode` says; `otherwise` is what a failure gives."""
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    told, untold = -_QUIET, 0

    def careful(place: Place) -> R:
        nonlocal told, untold
        try:
            return run(place)
        except Failure as problem:
            if mode == "propagate":
                raise Unacceptable(
                    f"cannot carry out `{shown}`: {problem}; with error_mode: ignore such records pass as they are"
                ) from None
            untold += 1
            if mode == "ignore" and host.monotonic() - told >= _QUIET:
                host.log.warning("%s could not carry out `%s` on %d records: %s", host.id, shown, untold, problem)
                told, untold = host.monotonic(), 0
            return otherwise

    return careful
