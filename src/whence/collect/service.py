"""The running collector: components made of a configuration, started, linked, changed while they run, and stopped.

The law: what was not acknowledged is its sender's; what was is never dropped by a start, a reload or a stop that had time.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from whence.collect.component import Health, Host
from whence.collect.config.model import Config, Declared
from whence.collect.flow import Counted, Entry, Gate, Link, Step, counting, fanned, timing
from whence.collect.plan import Change, Key, Share, change, drains_beside, signals_of, stop_order, summary, wanted
from whence.collect.telemetry import Telemetry
from whence.errors import ConfigError, StorageError, WhenceError
from whence.otlp.wire import Signal

_DRAIN_BESIDE: Final = 300.0
"""Seconds that a replaced exporter may go on sending what it holds in memory: how long the Collector retries by default."""
_GRACE: Final = 1.0
"""Seconds more that a component gets to come back from its `stop`."""
_FOR_RECEIVERS: Final = 0.5
"""The share of the time to stop that receivers may use up; the rest is for those behind them."""
_FOR_PROCESSORS: Final = 0.75


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a collector, or one process of it, is given."""

    telemetry: Telemetry
    directory: Path
    """The state folder: a folder a component in it."""
    process: int = 0
    processes: int = 1
    share: Share = "all"
    everyone: Callable[[], Mapping[str, Health]] | None = None
    """Whom health is asked of, where that is not this service itself."""
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("whence.collect"))


@dataclass(slots=True)
class Running:
    """One component and its connections."""

    declared: Declared
    host: Host
    component: Any
    outputs: dict[Signal, Entry | Link]
    after: Link
    head: Any = None
    """What batches are handed to."""


class Service:
    """One collector in one process. `start`, `reload` and `stop` must be called from one thread."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._gate = Gate()
        self._running: dict[Key, Running] = {}
        self._extensions: dict[str, Any] = {}
        self._config: Config | None = None
        self._retiring: list[tuple[Key, threading.Thread]] = []
        self._trouble: str | None = None
        self._stopping = False

    # --- life ----------------------------------------------------------------------------------------------------------

    def start(self, config: Config) -> None:
        """Build, link and start everything. Raises ConfigError or StorageError, and then nothing runs."""
        made = self._make(list(wanted(config, self._around.share, self._around.process)), config)
        self._running = made
        _link(config, self._running)
        started: list[Key] = []
        try:
            self._start(made, started)
        except WhenceError:
            self._stop_these(config, {key: made[key] for key in started}, 5.0)
            self._running = {}
            raise
        self._config = config

    def reload(self, config: Config, timeout: float) -> str:
        """Change to another configuration: only what differs is restarted, and no request is lost. Says what was done.

        Raises ConfigError or StorageError where the new one cannot run; then the old one does.
        """
        old = self._config
        if old is None:
            raise ConfigError("cannot reload: nothing runs")
        todo = change(old, config, self._around.share, self._around.process)
        before = {key: one.declared for key, one in self._running.items()}
        made = self._make(todo.start, config)
        # Receivers that change stop while the way behind them is open: the requests they wait for must get through.
        receivers = {key: self._running[key] for key in todo.stop if key.role == "receiver"}
        self._tell_left(self._stop_these(old, receivers, timeout))
        if not self._gate.close(timeout):
            inside = self._gate.inside
            self._back(old, receivers)
            self._gate.open()
            raise StorageError(
                f"cannot reload: {inside} requests were not through after {timeout:.0f} s; see health, and try again"
            )
        try:
            self._swap(old, config, todo, made, timeout)
        finally:
            self._gate.open()
        return summary(todo, before)

    def stop(self, timeout: float) -> list[str]:
        """Stop in the direction of flow, receivers first. What could not be finished in `timeout` seconds, in words."""
        if self._config is None:
            return []
        self._stopping = True
        end = time.monotonic() + timeout
        receivers = {key: one for key, one in self._running.items() if key.role == "receiver"}
        left = self._stop_these(self._config, receivers, timeout)
        # A receiver may have stopped without waiting for what it had handed in: what is behind must still be there for that.
        self._gate.empty(end - timeout * (1 - _FOR_RECEIVERS) - time.monotonic())
        others = {key: one for key, one in self._running.items() if key not in receivers}
        left += self._stop_these(self._config, others, max(0.0, end - time.monotonic()))
        for key, thread in self._retiring:
            thread.join(max(_GRACE, end - time.monotonic()))
            if thread.is_alive():
                left.append(f"{key} (replaced) still holds what it could not send")
        if self._gate.inside:
            left.append(f"{self._gate.inside} requests were not answered; their senders keep them")
        self._running = {}
        self._config = None
        return left

    # --- how it is -----------------------------------------------------------------------------------------------------

    def health(self) -> dict[str, Health]:
        """How each component is, by role and id. Never raises."""
        found = {str(key): _health(one.component) for key, one in list(self._running.items())}
        if self._config is None or self._stopping:
            found["collector"] = Health(False, "it is stopping" if self._stopping else "it is starting")
        if self._trouble:
            found["reload"] = Health(False, self._trouble)
        return found

    def component(self, role: str, id_: str) -> Any:
        """A running component. Raises KeyError."""
        return next(one.component for key, one in self._running.items() if (key.role, key.id) == (role, id_))

    # --- making and linking --------------------------------------------------------------------------------------------

    def _make(self, keys: list[Key], config: Config) -> dict[Key, Running]:
        """Built in their order; extensions are the first, and those after them find them. All or none."""
        every = wanted(config, self._around.share, self._around.process)
        before, made = dict(self._extensions), dict[Key, Running]()
        try:
            for key in keys:
                made[key] = self._build(key, every[key], config)
                if key.role == "extension":
                    self._extensions[key.id] = made[key].component
        except WhenceError:
            self._extensions.clear()
            self._extensions.update(before)
            raise
        return made

    def _build(self, key: Key, declared: Declared, config: Config) -> Running:
        host = self._host(key)
        after = Link()
        count = counting(self._around.telemetry, key.id)
        build, settings = declared.plug.build, declared.settings
        outputs: dict[Signal, Entry | Link] = {}
        try:
            if key.role in ("receiver", "connector"):
                for signal in signals_of(config, key):
                    outputs[signal] = self._entry(host) if key.role == "receiver" else Link()
                component = build(settings, host, outputs)
            elif key.role == "processor":
                component = build(settings, host, Counted(after, count, "otelcol_processor_outgoing_items"))
            else:
                component = build(settings, host)
        except WhenceError:
            raise
        except (OSError, ValueError) as cause:
            raise ConfigError(f"cannot build the {key}: {cause}") from cause
        head = component
        if key.role == "processor" and hasattr(component, "consume"):
            head = Counted(component, count, "otelcol_processor_incoming_items")
        elif key.role == "processor":
            head = Step(getattr(component, "process", component), after, count, timing(self._around.telemetry, key.id))
        return Running(declared, host, component, outputs, after, head)

    def _entry(self, host: Host) -> Entry:
        return Entry(host.id, self._gate, self._around.telemetry, host.log)

    def _host(self, key: Key) -> Host:
        around = self._around
        name = "_".join((key.role, "".join(one if one.isalnum() or one in "-." else "_" for one in key.id)))
        if key.pipeline:
            name += "_" + key.pipeline.replace("/", "_")
        if around.process:
            name += f"_p{around.process}"
        return Host(
            id=key.id,
            telemetry=around.telemetry,
            log=logging.getLogger(f"whence.collect.{key.id}"),
            directory=around.directory / name,
            extensions=self._extensions,
            everyone=around.everyone or self.health,
            process=around.process,
            processes=around.processes,
        )

    def _start(self, made: Mapping[Key, Running], started: list[Key]) -> None:
        """In their order; each that runs is added to `started`. Raises ConfigError or StorageError."""
        for key, one in made.items():
            try:
                if hasattr(one.component, "start"):
                    one.component.start(one.host)
            except WhenceError:
                raise
            except Exception as cause:
                said = cause.strerror if isinstance(cause, OSError) and cause.strerror else repr(cause)
                raise StorageError(f"cannot start the {key}: {said}") from cause
            started.append(key)

    # --- changing ------------------------------------------------------------------------------------------------------

    def _swap(self, old: Config, new: Config, todo: Change, made: dict[Key, Running], timeout: float) -> None:
        """With the gate closed: old ones out, new ones in; back again where a new one does not start."""
        leaving = {key: self._running[key] for key in todo.stop}
        beside = {key: one for key, one in leaving.items() if key.role == "exporter" and drains_beside(one.declared)}
        gone = {key: one for key, one in leaving.items() if key not in beside}
        here = {key: one for key, one in gone.items() if key.role != "receiver"}
        self._tell_left(self._stop_these(old, here, timeout))
        started: list[Key] = []
        try:
            self._use(new, {key: self._running[key] for key in todo.keep} | made)
            self._start(made, started)
        except WhenceError:
            self._stop_these(new, {key: made[key] for key in started}, timeout)
            self._running = {key: self._running[key] for key in todo.keep} | leaving
            self._back(old, gone)
            raise
        self._config = new
        self._trouble = None
        for key, one in beside.items():
            self._retire(key, one)

    def _back(self, old: Config, gone: Mapping[Key, Running]) -> None:
        """The old configuration again, with fresh components for those that were stopped."""
        order = [key for key in wanted(old, self._around.share, self._around.process) if key in gone]
        try:
            self._extend(self._running)
            again = self._make(order, old)
            self._use(old, {key: one for key, one in self._running.items() if key not in gone} | again)
            self._start(again, [])
        except WhenceError as cause:
            self._trouble = f"a reload failed, and what ran before could not be started again: {cause}"
            self._around.log.critical("%s; restart the collector", self._trouble)

    def _tell_left(self, left: list[str]) -> None:
        for line in left:
            self._around.log.warning("reload: %s", line)

    def _use(self, config: Config, running: dict[Key, Running]) -> None:
        order = wanted(config, self._around.share, self._around.process)
        self._running = {key: running[key] for key in order if key in running}
        self._extend(running)
        _link(config, self._running)

    def _extend(self, running: Mapping[Key, Running]) -> None:
        self._extensions.clear()
        self._extensions.update({key.id: one.component for key, one in running.items() if key.role == "extension"})

    def _retire(self, key: Key, one: Running) -> None:
        """Let a replaced exporter send what it holds, while its successor works."""
        deadline = time.monotonic() + _DRAIN_BESIDE
        thread = _stopping(key, one, deadline, self._around.log)
        self._retiring = [(old, left) for old, left in self._retiring if left.is_alive()] + [(key, thread)]

    # --- stopping ------------------------------------------------------------------------------------------------------

    def _stop_these(self, config: Config, running: Mapping[Key, Running], timeout: float) -> list[str]:
        begun = time.monotonic()
        left: list[str] = []
        for stage in stop_order(config, list(running)):
            share = {"receiver": _FOR_RECEIVERS, "processor": _FOR_PROCESSORS}.get(stage[0].role, 1.0)
            deadline = begun + timeout * share
            threads = [(key, _stopping(key, running[key], deadline, self._around.log)) for key in stage]
            for key, thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()) + _GRACE)
                if thread.is_alive():
                    left.append(f"{key} did not stop in time")
        return left


def _stopping(key: Key, one: Running, deadline: float, log: logging.Logger) -> threading.Thread:
    def stop() -> None:
        try:
            if hasattr(one.component, "stop"):
                one.component.stop(deadline)
        except Exception:
            log.exception("cannot stop the %s", key)

    thread = threading.Thread(target=stop, name=f"stopping {key}", daemon=True)
    thread.start()
    return thread


def _health(component: Any) -> Health:
    try:
        found: Health = component.health() if hasattr(component, "health") else Health()
        return found
    except Exception as cause:  # noqa: BLE001 - who cannot say how it is, is not well
        return Health(False, f"cannot say how it is: {cause!r}")


def _link(config: Config, running: Mapping[Key, Running]) -> None:
    """Set what is behind each component. Each link changes at once; nothing stops."""
    heads: dict[str, Any] = {}
    for line in config.pipelines:
        ends = [running.get(Key("exporter", id_)) or running.get(Key("connector", id_)) for id_ in line.exporters]
        after = fanned([end.head for end in ends if end is not None])
        for id_ in reversed(line.processors):
            one = running.get(Key("processor", id_, line.id))
            if one is not None:
                one.after.target = after
                after = one.head
        heads[line.id] = after
    for key, one in running.items():
        for signal, output in one.outputs.items():
            ways = [heads[line.id] for line in config.pipelines if key.id in line.receivers and line.signal == signal]
            link = output.link if isinstance(output, Entry) else output
            link.target = fanned(ways)
