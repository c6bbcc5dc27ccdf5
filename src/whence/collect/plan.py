"""What should run for a configuration, in which order, and what changes from one configuration to the next.

The law: pure.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from whence.collect.config.model import Config, Declared, set_fields
from whence.collect.settings import Auth
from whence.collect.table import Role
from whence.otlp.wire import Signal

Share = Literal["all", "inside", "outside"]
"""Of several processes: what each runs inside, and what the one that looks after them runs for all."""

START_ORDER: Final[tuple[Role, ...]] = ("extension", "exporter", "connector", "processor", "receiver")


class Key(NamedTuple):
    """One running component. A processor runs once a pipeline; all else once."""

    role: Role
    id: str
    pipeline: str = ""

    def __str__(self) -> str:
        return f"{self.role} {self.id}" + (f" of {self.pipeline}" if self.pipeline else "")


class Change(NamedTuple):
    """From one configuration to another, each list in the order in which it should happen."""

    stop: list[Key]
    start: list[Key]
    keep: list[Key]


def wanted(config: Config, share: Share = "all", process: int = 0) -> dict[Key, Declared]:
    """What should run, in the order of starting: exporters before what sends to them, receivers last."""
    found: dict[Key, Declared] = {}
    for id_ in config.extensions:
        found[Key("extension", id_)] = config.components["extension", id_]
    for (role, id_), declared in config.components.items():
        if role not in ("extension", "processor"):
            found[Key(role, id_)] = declared
    for line in config.pipelines:
        for id_ in line.processors:
            found[Key("processor", id_, line.id)] = config.components["processor", id_]
    ordered = sorted(found, key=lambda key: START_ORDER.index(key.role))
    return {key: found[key] for key in ordered if _runs(found[key], share, process)}


def _runs(declared: Declared, share: Share, process: int) -> bool:
    if declared.plug.once and process:
        return False
    return share == "all" or (share == "outside") == declared.plug.outside


def stop_order(config: Config, keys: list[Key]) -> list[list[Key]]:
    """Stages, one after the other: receivers, processors from the beginnings of pipelines to their ends, and so on.

    What is in one stage can be stopped at the same time.
    """
    depth = _depths(config)
    lines = {line.id: line for line in config.pipelines}

    def place(key: Key) -> tuple[int, int]:
        position = lines[key.pipeline].processors.index(key.id) if key.pipeline in lines else 0
        return depth.get(key.pipeline, 0), position

    stages = [[key for key in keys if key.role == "receiver"]]
    stages += [[key] for key in sorted((key for key in keys if key.role == "processor"), key=place)]
    stages += [[key for key in keys if key.role == role] for role in ("connector", "exporter", "extension")]
    return [stage for stage in stages if stage]


def _depths(config: Config) -> dict[str, int]:
    """How many connectors a batch has passed when it enters each pipeline, at most."""
    depth = {line.id: 0 for line in config.pipelines}
    for _ in config.pipelines:
        for line in config.pipelines:
            for after in config.pipelines:
                if after.signal == line.signal and set(line.exporters) & set(after.receivers):
                    depth[after.id] = max(depth[after.id], depth[line.id] + 1)
    return depth


def signals_of(config: Config, key: Key) -> frozenset[Signal]:
    """The signals that a receiver or connector must hand on."""
    return frozenset(line.signal for line in config.pipelines if key.id in line.receivers)


def change(old: Config, new: Config, share: Share = "all", process: int = 0) -> Change:
    """What must be stopped and started so that the new configuration runs, and what can go on untouched."""
    before, after = wanted(old, share, process), wanted(new, share, process)
    keep: list[Key] = []
    restarted: set[str] = set()
    for key, declared in after.items():
        same = key in before and _same(before[key], declared) and not uses(declared) & restarted
        if same and key.role in ("receiver", "connector"):
            same = signals_of(old, key) == signals_of(new, key)
        if same:
            keep.append(key)
        elif key.role == "extension":
            restarted.add(key.id)
    gone = [key for key in before if key not in keep]
    stop = [key for stage in stop_order(old, gone) for key in stage]
    return Change(stop, [key for key in after if key not in keep], keep)


def _same(old: Declared, new: Declared) -> bool:
    return old.kind == new.kind and type(old.settings) is type(new.settings) and old.settings == new.settings


def uses(declared: Declared) -> set[str]:
    """The extensions that its settings name."""
    found: set[str] = set()
    for keys, _, value in set_fields(declared.settings):
        if isinstance(value, Auth):
            found.add(value.authenticator)
        elif keys[-1] == "storage" and isinstance(value, str):
            found.add(value)
    return found


def drains_beside(declared: Declared) -> bool:
    """Whether an exporter that is replaced can send the rest of its queue while its successor already works.

    A queue in memory belongs to nobody else; one on disk must be left before its successor takes it over.
    """
    queue = getattr(declared.settings, "sending_queue", None)
    return bool(getattr(queue, "enabled", False)) and not getattr(queue, "storage", None)


def summary(done: Change, before: Mapping[Key, Declared]) -> str:
    """One line for the log."""
    again = [str(key) for key in done.start if key in before]
    new = [str(key) for key in done.start if key not in before]
    gone = [str(key) for key in done.stop if key not in done.start]
    parts = (("restarted", again), ("started", new), ("stopped", gone))
    said = "; ".join(f"{what} {', '.join(names)}" for what, names in parts if names)
    return f"{said or 'nothing restarted'}; {len(done.keep)} untouched"
