"""The processor `verbosity`: keeps events up to a level of detail, by run and by agent; chains of causes stay whole.

An event that goes hands its causes on to those that name it: what is known of events that went is kept for the last
100,000. Warnings and errors always pass, and so does every log record that is no event of whence's.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from whence.collect.batch import Batch
from whence.collect.component import Consumer, Host, Plug
from whence.collect.records.draft import Attributes
from whence.collect.records.walk import Place, Visit, rewritten
from whence.collect.settings import Settings
from whence.event import names
from whence.event.kinds import Kind, Verbosity, passes
from whence.event.misfits import Misfit

_REMEMBERED: Final = 100_000
"""Events that went, whose causes are known: some 30 MB."""


def as_verbosity(value: Any) -> Any:
    """A level by its name or number. Raises ValueError."""
    if isinstance(value, Verbosity):
        return value
    found = Verbosity.__members__.get(str(value).upper())
    if found is None and str(value) not in {str(int(one)) for one in Verbosity}:
        raise Misfit(
            f"expected {', '.join(name.lower() for name in Verbosity.__members__)}, or 1 to {int(max(Verbosity))}"
        )
    return found or Verbosity(int(value))


Level = Annotated[Verbosity, BeforeValidator(as_verbosity)]


class VerbositySettings(Settings):
    """How much is kept; an agent's level goes before its run's, a run's before the general one."""

    level: Level = Verbosity.ACTION
    runs: dict[str, Level] = Field(default_factory=dict)
    agents: dict[str, Level] = Field(default_factory=dict)


class _Handed:
    """The causes of events that went, as many as are remembered. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._causes: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def went(self, event: str, causes: tuple[str, ...]) -> None:
        """This event went; those that it causes are caused by these."""
        with self._lock:
            self._causes[event] = causes
            if len(self._causes) > _REMEMBERED:
                self._causes.popitem(last=False)

    def resolved(self, causes: tuple[str, ...]) -> tuple[str, ...]:
        """The causes, with the causes of those that went in their place."""
        with self._lock:
            if not any(cause in self._causes for cause in causes):
                return causes
            found: dict[str, None] = {}
            for cause in causes:
                found.update(dict.fromkeys(self._causes.get(cause, (cause,))))
            return tuple(found)


def build(settings: VerbositySettings, host: Host, next: Consumer) -> Callable[[Batch], Batch | None]:
    """The processor."""
    handed = _Handed()

    def look(place: Place) -> bool:
        record = place.record
        if record is None:
            return True
        attributes = record.attributes
        causes = _causes(attributes)
        left = handed.resolved(causes)
        kind = attributes.get(names.KIND)
        if (
            isinstance(kind, str)
            and kind in _KINDS
            and not passes(_KINDS[kind], _level(settings, place, attributes), record.get("severityNumber"))
        ):
            if isinstance(event := attributes.get(names.ID), str):
                handed.went(event, left)
            return False
        if left is not causes:
            attributes[names.CAUSED_BY] = list(left)
        return True

    def process(batch: Batch) -> Batch | None:
        return rewritten(batch, Visit(record=look)) if batch.signal == "logs" else batch

    return process


_KINDS: Final = {kind.value: kind for kind in Kind}


def _causes(attributes: Attributes) -> tuple[str, ...]:
    value = attributes.get(names.CAUSED_BY)
    found = value if isinstance(value, list) else [] if value is None else [value]
    return tuple(str(cause) for cause in found)


def _level(settings: VerbositySettings, place: Place, attributes: Attributes) -> Verbosity:
    if settings.agents:
        agent = _first(attributes, (names.AGENT, *names.ALTERNATIVES[names.AGENT]))
        if agent in settings.agents:
            return settings.agents[agent]
    if settings.runs:
        run = _first(attributes, (names.RUN,)) or _first(place.resource.attributes, (names.RUN, names.SERVICE_NAME))
        if run in settings.runs:
            return settings.runs[run]
    return settings.level


def _first(attributes: Attributes, keys: tuple[str, ...]) -> str:
    return next((str(value) for key in keys if (value := attributes.get(key)) is not None), "")


PLUG = Plug(VerbositySettings, build)
