"""whence records what happened in a program, and why.

Everything public is here; nothing is imported before it is used, so that reading an archive does not load the SDK.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whence.archive.reader import Archive as Archive
    from whence.errors import AnalysisError as AnalysisError
    from whence.errors import ConfigError as ConfigError
    from whence.errors import ConflictError as ConflictError
    from whence.errors import DataError as DataError
    from whence.errors import EventError as EventError
    from whence.errors import FilterError as FilterError
    from whence.errors import NotFoundError as NotFoundError
    from whence.errors import StorageError as StorageError
    from whence.errors import StreamError as StreamError
    from whence.errors import WhenceError as WhenceError
    from whence.event.kinds import Kind as Kind
    from whence.event.kinds import Severity as Severity
    from whence.event.kinds import Verbosity as Verbosity
    from whence.event.model import Event as Event
    from whence.event.registry import register as register
    from whence.event.registry import validate as validate
    from whence.event.typed import TypedEvent as TypedEvent
    from whence.event.vocabularies.simulation import Action as Action
    from whence.event.vocabularies.simulation import Decision as Decision
    from whence.event.vocabularies.simulation import Detail as Detail
    from whence.event.vocabularies.simulation import PhaseTransition as PhaseTransition
    from whence.event.vocabularies.simulation import SimulationEnd as SimulationEnd
    from whence.event.vocabularies.simulation import SimulationStart as SimulationStart
    from whence.event.vocabularies.simulation import StateChange as StateChange
    from whence.event.vocabularies.simulation import System as System
    from whence.event.vocabularies.simulation import TurnEnd as TurnEnd
    from whence.event.vocabularies.simulation import TurnStart as TurnStart
    from whence.index.answers import open as open
    from whence.record.causes import EventRef as EventRef
    from whence.record.causes import because as because
    from whence.record.causes import carried as carried
    from whence.record.causes import carry as carry
    from whence.record.causes import correlation as correlation
    from whence.record.configure import configure as configure
    from whence.record.configure import current_run as current_run
    from whence.record.configure import flush as flush
    from whence.record.configure import on as on
    from whence.record.configure import recorder as recorder
    from whence.record.configure import set_verbosity as set_verbosity
    from whence.record.configure import shutdown as shutdown
    from whence.record.recorder import Recorder as Recorder
    from whence.record.recorder import ShutdownReport as ShutdownReport
    from whence.record.run import Run as Run
    from whence.record.shorthand import action as action
    from whence.record.shorthand import batch as batch
    from whence.record.shorthand import decision as decision
    from whence.record.shorthand import detail as detail
    from whence.record.shorthand import emit as emit
    from whence.record.shorthand import error as error
    from whence.record.shorthand import log as log
    from whence.record.shorthand import phase_transition as phase_transition
    from whence.record.shorthand import simulation_end as simulation_end
    from whence.record.shorthand import simulation_start as simulation_start
    from whence.record.shorthand import state as state
    from whence.record.shorthand import system as system
    from whence.record.shorthand import turn_end as turn_end
    from whence.record.shorthand import turn_start as turn_start
    from whence.replay.start import play as play

    __version__: str

_WHERE = {
    "whence.archive.reader": ("Archive",),
    "whence.errors": (
        "AnalysisError",
        "ConfigError",
        "ConflictError",
        "DataError",
        "EventError",
        "FilterError",
        "NotFoundError",
        "StorageError",
        "StreamError",
        "WhenceError",
    ),
    "whence.event.kinds": ("Kind", "Severity", "Verbosity"),
    "whence.event.model": ("Event",),
    "whence.event.registry": ("register", "validate"),
    "whence.event.typed": ("TypedEvent",),
    "whence.event.vocabularies.simulation": (
        "Action",
        "Decision",
        "Detail",
        "PhaseTransition",
        "SimulationEnd",
        "SimulationStart",
        "StateChange",
        "System",
        "TurnEnd",
        "TurnStart",
    ),
    "whence.index.answers": ("open",),
    "whence.replay.start": ("play",),
    "whence.record.causes": ("EventRef", "because", "carried", "carry", "correlation"),
    "whence.record.configure": (
        "configure",
        "current_run",
        "flush",
        "on",
        "recorder",
        "set_verbosity",
        "shutdown",
    ),
    "whence.record.recorder": ("Recorder", "ShutdownReport"),
    "whence.record.run": ("Run",),
    "whence.record.shorthand": (
        "action",
        "batch",
        "decision",
        "detail",
        "emit",
        "error",
        "log",
        "phase_transition",
        "simulation_end",
        "simulation_start",
        "state",
        "system",
        "turn_end",
        "turn_start",
    ),
}
_RECORD = "whence.record."
_MODULE = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted(_MODULE)  # noqa: PLE0605 - a list of str, made from the table above


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("whence.version").VERSION
    if name not in _MODULE:
        raise AttributeError(f"module 'whence' has no attribute {name!r}")
    if _MODULE[name].startswith(_RECORD):
        # All that records at once: a thread that is importing when the program forks leaves the child a lock for ever.
        for module in _WHERE:
            if module.startswith(_RECORD):
                import_module(module)
    value = getattr(import_module(_MODULE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
