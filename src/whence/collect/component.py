"""What a component is, and what it is given: the contracts that receivers, processors, exporters and extensions keep.

The law: a component never reaches for the outside's names itself: clocks, state folder, log and telemetry come from its host.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from whence.collect.batch import Batch, Receipt
from whence.collect.settings import Settings
from whence.collect.telemetry import Telemetry
from whence.errors import ConfigError


@runtime_checkable
class Consumer(Protocol):
    """Takes batches: the next processor, a fan-out, an exporter."""

    def consume(self, batch: Batch) -> Receipt:
        """Returns once responsibility for the batch is taken; until then it is the caller's.

        Called from many threads at once. Raises Refused (try later), DataError or Unacceptable (never), or anything else,
        which the receiver logs and answers as refused. Must never change the batch.
        """
        ...


class Health(NamedTuple):
    """Whether a component does its work, and if not, why, in words for the person on call."""

    ok: bool = True
    reason: str | None = None


HEALTHY = Health()


@runtime_checkable
class Component(Protocol):
    """What is started, stopped and asked how it is."""

    def start(self, host: "Host") -> None:
        """Be ready on return, or raise. Exporters are started first, receivers last."""
        ...

    def stop(self, deadline: float) -> None:
        """Finish what was taken, until `deadline` (of the host's monotonic clock) at most; receivers stop first.

        Afterwards no thread of the component runs. What could not be finished is logged with its count. Never raises.
        """
        ...

    def health(self) -> Health:
        """How it is now. Must not wait for anything."""
        ...


@dataclass(frozen=True, slots=True)
class Host:
    """A component's surroundings."""

    id: str
    """`otlp_http/2`, as in the configuration."""
    telemetry: Telemetry
    log: logging.Logger
    """`whence.collect.<id>`."""
    directory: Path
    """A folder of this component's own for what must survive a restart. Not made yet: who needs it makes it."""
    extensions: Mapping[str, Any] = field(default_factory=dict)
    """The extensions by id, built and started before everything else."""
    everyone: Callable[[], Mapping[str, Health]] = dict
    """How every component is, by role and id: `exporter whence`."""
    process: int = 0
    processes: int = 1
    """This process of `--processes N`. With more than one, listeners must set SO_REUSEPORT."""
    now: Callable[[], int] = time.time_ns
    """Nanoseconds since the epoch."""
    monotonic: Callable[[], float] = time.monotonic

    def folder(self, storage: str | None) -> Path:
        """Where this component keeps what must survive: with `storage`, in that `file_storage`. Raises ConfigError."""
        if storage is None:
            return self.directory
        found: Path = self.extension(storage, "folder").folder(self.directory.name)
        return found

    def extension(self, id: str, having: str) -> Any:
        """The extension with this id, which must have the attribute `having`. Raises ConfigError."""
        found = self.extensions.get(id)
        if found is None:
            raise ConfigError(
                f"cannot use the extension {id!r} in {self.id}: it is not started; name it under service.extensions"
            )
        if not hasattr(found, having):
            raise ConfigError(f"cannot use the extension {id!r} in {self.id}: it has no {having}")
        return found


@dataclass(frozen=True, slots=True)
class Plug:
    """What a line of the table points at: the settings' model, and how the component is made of them.

    `build` is called with
    receivers and connectors: (settings, host, outputs: Mapping[Signal, Consumer]) -> Component (a connector is a Consumer too);
    processors: (settings, host, next: Consumer) -> a function `process(batch) -> Batch | None`, an object with such a method,
      or a Consumer that passes on to `next`; a Component too where it has a life. None: everything was dropped on purpose;
    exporters: (settings, host) -> Component and Consumer; extensions: (settings, host) -> Component.
    It must not open ports or files; it raises ConfigError for settings that cannot work.
    """

    settings: type[Settings]
    build: Callable[..., Any]
    once: bool = False
    """Whether only the first of several processes may run it: what reads files would read them N times."""
    outside: bool = False
    """Whether it runs in the process that looks after several, and in none of them: it speaks for all."""
