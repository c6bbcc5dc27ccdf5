"""Whether the pipelines hold together: what they name is declared, fits their signal, and never leads round in a circle.

The law: pure.
"""

from collections.abc import Mapping
from typing import Final, get_args

from whence.collect.config.checking import Checking
from whence.collect.config.model import Declared, Pipeline
from whence.collect.table import Role
from whence.event.misfits import nearest
from whence.otlp.wire import Signal

Known = Mapping[tuple[Role, str], Declared | None]

_SIGNALS: Final[tuple[Signal, ...]] = get_args(Signal)
_PARTS: Final = ("receivers", "processors", "exporters")
_ROLES: Final[dict[str, tuple[Role, ...]]] = {
    "receivers": ("receiver", "connector"),
    "processors": ("processor",),
    "exporters": ("exporter", "connector"),
}


def check_pipelines(checking: Checking, known: Known) -> list[Pipeline]:
    """The pipelines in their order; what is wrong with them is remembered in `checking`."""
    nodes = checking.map_at("service", "pipelines")
    if not nodes and not any("service::pipelines" in "::".join(map(str, one.keys)) for one in checking.problems):
        checking.wrong(("service", "pipelines"), "missing: there must be at least one pipeline")
    found = [line for id_ in nodes if (line := _pipeline(checking, id_, known)) is not None]
    _check_connectors(checking, found, known)
    return found


def _pipeline(checking: Checking, id_: str, known: Known) -> Pipeline | None:
    keys = ("service", "pipelines", id_)
    signal = next((one for one in _SIGNALS if one == id_.partition("/")[0]), None)
    if signal is None:
        if id_.partition("/")[0] == "profiles":
            checking.wrong(keys, "whence takes no profiles: leave this pipeline to an OpenTelemetry Collector")
        else:
            near = nearest(id_.partition("/")[0], _SIGNALS)
            checking.wrong(keys, f"expected logs, traces or metrics, alone or as in traces/second{near}")
        return None
    for key in checking.map_at(*keys):
        if key not in _PARTS:
            checking.wrong((*keys, key), f"no such key{nearest(key, _PARTS) or '; there are ' + ', '.join(_PARTS)}")
    ids = {part: checking.ids_at(*keys, part) for part in _PARTS}
    for part in ("receivers", "exporters"):
        if not ids[part]:
            checking.wrong((*keys, part), f"missing: a pipeline needs at least one of {part}")
    for part, roles in _ROLES.items():
        for n, one in enumerate(ids[part]):
            wrong = _wrong_reference(one, roles, known, signal)
            if wrong:
                checking.wrong((*keys, part, n), wrong)
    return Pipeline(id_, signal, *(tuple(ids[part]) for part in _PARTS))


def _wrong_reference(id_: str, roles: tuple[Role, ...], known: Known, signal: Signal) -> str | None:
    declared = [(role, id_) for role in roles if (role, id_) in known]
    if not declared:
        sections = " or ".join(f"{role}s" for role in roles)
        elsewhere = [role for role, name in known if name == id_]
        near = (
            f"; it is one of the {elsewhere[0]}s"
            if elsewhere
            else nearest(id_, [name for role, name in known if role in roles])
        )
        return f"{id_} is not declared under {sections}{near}"
    if len(declared) > 1:
        return f"{id_} is declared under {' and '.join(f'{role}s' for role, _ in declared)}: rename one"
    found = known[declared[0]]
    if found is None or signal in found.kind.signals:
        return None
    return f"{id_} works on {' and '.join(sorted(found.kind.signals))}, not on {signal}"


def _check_connectors(checking: Checking, found: list[Pipeline], known: Known) -> None:
    """A connector is both an end and a beginning, of the same signal, and batches never come round again."""
    for role, id_ in known:
        if role != "connector":
            continue
        ends = {line.signal for line in found if id_ in line.exporters}
        begins = {line.signal for line in found if id_ in line.receivers}
        for signal in sorted(ends - begins):
            checking.wrong(("connectors", id_), f"an exporter of {signal}, but the receiver of no pipeline of {signal}")
        for signal in sorted(begins - ends):
            checking.wrong(("connectors", id_), f"a receiver of {signal}, but the exporter of no pipeline of {signal}")
    connectors = {id_ for role, id_ in known if role == "connector"}
    after = {
        line.id: [
            other.id
            for other in found
            if other.signal == line.signal and connectors & set(line.exporters) & set(other.receivers)
        ]
        for line in found
    }
    for start in after:
        circle = _circle(after, start)
        if circle and min(circle) == start:
            said = f"connectors lead round in a circle: {' -> '.join((*circle, start))}"
            checking.wrong(("service", "pipelines", start), said)


def _circle(after: Mapping[str, list[str]], start: str) -> list[str] | None:
    """The way from a pipeline back to itself, if there is one."""
    ways = [[start]]
    seen = set()
    while ways:
        way = ways.pop()
        for following in after[way[-1]]:
            if following == start:
                return way
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return None
