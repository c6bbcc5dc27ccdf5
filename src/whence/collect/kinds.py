"""Finding components: whence's own, and what other packages add by entry points.

A package adds a component by naming, in the group `whence.<role>s`, a `Kind`, a `Plug`, or for a processor just a function:
`process(batch) -> Batch | None`, or `process(record, resource, scope) -> dict | None`.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from whence.collect.component import Plug
from whence.collect.processors.function import plug_of
from whence.collect.table import ALL, BUILT_IN, GROUPS, NONE, ROLES, Kind, Role
from whence.errors import ConfigError

_EXTRA: Final = "pip install 'whence[collect]'"


class Catalog:
    """Every kind of component by role and name. Others' are looked up when they are asked for."""

    def __init__(
        self, kinds: Iterable[Kind] = BUILT_IN, points: Mapping[Role, Iterable[EntryPoint]] | None = None
    ) -> None:
        self._kinds = {(kind.role, name): kind for kind in kinds for name in (kind.type, *kind.aliases)}
        self._points = {
            (role, point.name): point
            for role in ROLES
            for point in (entry_points(group=GROUPS[role]) if points is None else points.get(role, ()))
            if (role, point.name) not in self._kinds
        }
        self._given: dict[tuple[Role, str], Plug] = {}

    def names(self, role: Role) -> list[str]:
        """Every name of this role, aliases too."""
        return sorted(name for of, name in {*self._kinds, *self._points} if of == role)

    def find(self, role: Role, name: str) -> Kind | None:
        """The kind of this name. Raises ConfigError where somebody else's cannot be loaded."""
        point = self._points.get((role, name))
        if point is not None and (role, name) not in self._kinds:
            self._kinds[role, name] = self._from_point(role, point)
        return self._kinds.get((role, name))

    def all(self) -> list[Kind]:
        """Every kind once, in the order of the table, then others'. Raises ConfigError as `find`."""
        for role, name in self._points:
            self.find(role, name)
        return list(dict.fromkeys(self._kinds.values()))

    def plug(self, kind: Kind) -> Plug:
        """What the kind's line points at. Raises ConfigError where it cannot be loaded."""
        given = self._given.get((kind.role, kind.type))
        if given is not None:
            return given
        what = f"the {kind.role} {kind.type}"
        try:
            found = getattr(import_module(kind.module), kind.attribute)
        except ModuleNotFoundError as missing:
            ours = (missing.name or "").startswith("whence.")
            raise ConfigError(
                f"cannot load {what}: "
                + (f"there is no {missing.name}" if ours else f"{missing.name} is not installed; {_EXTRA}")
            ) from None
        except AttributeError as missing:
            raise ConfigError(f"cannot load {what}: {missing}") from None
        if not isinstance(found, Plug):
            raise ConfigError(f"cannot load {what}: {kind.module}.{kind.attribute} is no Plug")
        return found

    def _from_point(self, role: Role, point: EntryPoint) -> Kind:
        try:
            found: Any = point.load()
        except Exception as cause:
            raise ConfigError(f"cannot load the {role} {point.name} from {point.value}: {cause!r}") from cause
        if isinstance(found, Kind):
            return found
        package = point.dist.name if point.dist else point.module
        kind = Kind(
            point.name,
            (),
            role,
            NONE if role == "extension" else ALL,
            point.module,
            point.attr,
            "alpha",
            f"of {package}",
        )
        if role == "processor" and callable(found) and not isinstance(found, Plug):
            self._given[role, point.name] = plug_of(found)
        return kind
