"""From what was written to a configuration that can be built; or everything that is wrong with it, in one go.

The law: starts nothing and opens nothing. Modules of components are loaded, for their settings' models.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from whence.collect.config.checking import Checking
from whence.collect.config.fit import fit, notes_of
from whence.collect.config.model import BadConfig, Config, Declared, TelemetrySettings, set_fields
from whence.collect.config.pipelines import check_pipelines
from whence.collect.config.sources import Read
from whence.collect.config.tree import Keys, Node, values
from whence.collect.kinds import Catalog
from whence.collect.settings import Auth
from whence.collect.table import Role
from whence.collect.upstream import INSTEAD
from whence.collect.written import Written
from whence.errors import ConfigError
from whence.event.misfits import nearest

SECTIONS: Final[dict[str, Role]] = {
    "receivers": "receiver",
    "processors": "processor",
    "exporters": "exporter",
    "connectors": "connector",
    "extensions": "extension",
}
_TOP: Final = (*SECTIONS, "service")
_SERVICE: Final = ("extensions", "pipelines", "telemetry")
_ID: Final = re.compile(r"[a-zA-Z][0-9a-zA-Z_]{0,62}(/[^/\s]{1,1024})?")


def check(read: Read, catalog: Catalog) -> Config:
    """The configuration, checked. Raises BadConfig with every problem."""
    checking = Checking(read, catalog)
    if not read.root.value and checking.problems:
        raise BadConfig(checking.problems)
    for key in checking.root.value:
        if key not in _TOP:
            checking.wrong((key,), f"no such section{nearest(key, _TOP) or '; there are ' + ', '.join(_TOP)}")
    for key in checking.map_at("service"):
        if key not in _SERVICE:
            checking.wrong(
                ("service", key), f"no such key{nearest(key, _SERVICE) or '; there are ' + ', '.join(_SERVICE)}"
            )
    known: dict[tuple[Role, str], Declared | None] = {}
    for section, role in SECTIONS.items():
        for id_, node in checking.map_at(section).items():
            known[role, id_] = _declared(checking, section, id_, node)
    extensions = checking.ids_at("service", "extensions")
    for n, id_ in enumerate(extensions):
        if ("extension", id_) not in known:
            _undeclared(checking, ("service", "extensions", n), id_, ("extension",), known)
    pipelines = check_pipelines(checking, known)
    telemetry = _telemetry(checking)
    used = {("extension", id_) for id_ in extensions}
    for line in pipelines:
        used |= {(role, id_) for id_ in line.receivers for role in ("receiver", "connector")}
        used |= {("processor", id_) for id_ in line.processors}
        used |= {(role, id_) for id_ in line.exporters for role in ("exporter", "connector")}
    _references(checking, known, set(extensions))
    if checking.problems:
        order = {source: n for n, source in enumerate(dict.fromkeys(one.place.source for one in checking.problems))}
        raise BadConfig(sorted(checking.problems, key=lambda one: (order[one.place.source], one.place.line)))
    for role, id_ in known:
        if (role, id_) not in used:
            where = "service.extensions" if role == "extension" else "any pipeline"
            checking.note((f"{role}s", id_), f"declared, but not used in {where}: it is not started")
    return Config(
        {key: found for key, found in known.items() if found is not None and key in used},
        tuple(pipelines),
        tuple(extensions),
        telemetry,
        tuple(checking.notes),
        values(checking.root),
    )


def _declared(checking: Checking, section: str, id_: str, node: Node) -> Declared | None:
    role = SECTIONS[section]
    keys: Keys = (section, id_)
    if not _ID.fullmatch(id_):
        checking.wrong(keys, "expected an id such as otlp or otlp/second")
        return None
    name = id_.partition("/")[0]
    try:
        kind = checking.catalog.find(role, name)
        if kind is None:
            checking.wrong(keys, _unknown(checking.catalog, role, name))
            return None
        plug = checking.catalog.plug(kind)
    except ConfigError as cause:
        checking.wrong(keys, str(cause))
        return None
    data = values(node)
    settings, wrong = fit(plug.settings, data.value if isinstance(data, Written) else data)
    for more, said in wrong:
        checking.wrong((*keys, *more), said)
    if settings is None:
        return None
    for more, said in notes_of(settings):
        checking.note((*keys, *more), f"accepted: {said}")
    return Declared(id_, kind, plug, settings)


def _unknown(catalog: Catalog, role: Role, name: str) -> str:
    instead = INSTEAD.get((role, name))
    if instead:
        return f"whence has no {role} {name}: {instead}"
    others = [of for of in SECTIONS.values() if of != role and name in catalog.names(of)]
    if others:
        return f"{name} is a kind of {' and of '.join(others)}, not of {role}"
    near = nearest(name, catalog.names(role))
    return f"there is no {role} {name}{near or '; there are ' + ', '.join(catalog.names(role))}"


def _undeclared(
    checking: Checking, keys: Keys, id_: str, roles: tuple[Role, ...], known: Mapping[tuple[Role, str], Any]
) -> None:
    names = [name for role, name in known if role in roles]
    sections = " or ".join(f"{role}s" for role in roles)
    checking.wrong(keys, f"{id_} is not declared under {sections}{nearest(id_, names)}")


def _references(checking: Checking, known: Mapping[tuple[Role, str], Declared | None], extensions: set[str]) -> None:
    """What settings name, such as `auth.authenticator`, must be an extension that is started."""
    for (role, id_), found in known.items():
        if found is None:
            continue
        for keys, _, value in set_fields(found.settings):
            wanted = value.authenticator if isinstance(value, Auth) else value if keys[-1] == "storage" else None
            if isinstance(wanted, str) and wanted not in extensions:
                near = (
                    nearest(wanted, extensions) or "; declare it under extensions and name it under service.extensions"
                )
                checking.wrong((f"{role}s", id_, *keys), f"the extension {wanted} is not started{near}")


def _telemetry(checking: Checking) -> TelemetrySettings:
    node = checking.map_at("service").get("telemetry")
    settings, wrong = fit(TelemetrySettings, values(node) if node else None)
    for more, said in wrong:
        checking.wrong(("service", "telemetry", *more), said)
    if not isinstance(settings, TelemetrySettings):
        return TelemetrySettings()
    for more, said in notes_of(settings):
        checking.note(("service", "telemetry", *more), f"accepted: {said}")
    return settings
