"""A function of somebody else's as a processor, named by an entry point of the group `whence.processors`.

`def process(record, resource, scope)` is called for each log record, span or metric; `def process(batch)` for each batch.
What they are given is canonical OTLP JSON of which they may change whatever they like: it is their own copy.
"""

import copy
import inspect
from collections.abc import Callable
from typing import Any

from whence.collect.batch import Batch
from whence.collect.component import Plug
from whence.collect.records.draft import Json
from whence.collect.records.walk import Place, Visit, rewritten
from whence.collect.settings import Settings
from whence.errors import ConfigError

_NAMES = ("record", "resource", "scope")


def plug_of(function: Callable[..., Any]) -> Plug:
    """A plug that calls the function. Raises ConfigError where it takes neither a batch nor record, resource and scope."""
    try:
        parameters = [
            one
            for one in inspect.signature(function).parameters.values()
            if one.default is one.empty or one.name in _NAMES
        ]
    except (TypeError, ValueError) as cause:
        raise ConfigError(f"cannot use {function!r} as a processor: {cause}") from None
    if len(parameters) == 1 and parameters[0].name not in _NAMES:
        return Plug(Settings, lambda settings, host, next: _whole(function))
    if tuple(one.name for one in parameters) == _NAMES:
        return Plug(Settings, lambda settings, host, next: _each(function))
    raise ConfigError(
        f"cannot use {getattr(function, '__qualname__', function)} as a processor: it must take (batch), or "
        "(record, resource, scope)"
    )


def _whole(function: Callable[[Batch], Batch | None]) -> Callable[[Batch], Batch | None]:
    def process(batch: Batch) -> Batch | None:
        after = function(batch)
        if after is None or isinstance(after, Batch):
            return after
        raise TypeError(f"the processor {function.__qualname__} gave {type(after).__name__}, not a Batch or None")

    return process


def _each(function: Callable[[Json, Json, Json], Json | None]) -> Callable[[Batch], Batch | None]:
    def look(place: Place) -> bool:
        if place.record is None:
            return True
        before = place.record.original
        resource = copy.deepcopy(place.resource.original)
        scope = copy.deepcopy(place.scope.original) if place.scope is not None else {}
        after = function(copy.deepcopy(before), resource, scope)
        if after is None:
            return False
        if not isinstance(after, dict):
            raise TypeError(f"the processor {function.__qualname__} gave {type(after).__name__}, not a dict or None")
        if after != before:
            place.record.become(after)
        return True

    return lambda batch: rewritten(batch, Visit(record=look))
