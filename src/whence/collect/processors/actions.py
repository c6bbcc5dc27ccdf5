"""What the processors `attributes` and `resource` do to a set of attributes, one action after the other.

The law: pure. An action whose key is not there does nothing, as in the Collector; hashing is SHA-256.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from pydantic import model_validator

from whence.collect.processors.demands import Pattern
from whence.collect.records.draft import Attributes
from whence.collect.records.patterns import pattern
from whence.collect.records.plain import as_double, as_int, as_string, bytes_of
from whence.collect.settings import Settings
from whence.event.misfits import Misfit

Metadata = Mapping[str, tuple[str, ...]]
Act = Callable[[Attributes, Metadata], None]
Source = Callable[[Attributes, Metadata], Any]

MISSING: Final = object()
_METADATA: Final = "metadata."


class Action(Settings):
    """One action, by the Collector's keys."""

    action: Literal["insert", "update", "upsert", "delete", "hash", "extract", "convert"]
    key: str | None = None
    value: Any = None
    from_attribute: str | None = None
    from_context: str | None = None
    default_value: Any = None
    pattern: Pattern | None = None
    converted_type: Literal["int", "double", "string"] | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Action":
        sources = [self.value is not None, self.from_attribute is not None, self.from_context is not None]
        if self.key is None and not (self.action in ("delete", "hash") and self.pattern):
            raise Misfit(f"the action {self.action} needs a key")
        if self.action in ("insert", "update", "upsert") and sum(sources) != 1:
            raise Misfit(f"the action {self.action} needs one of value, from_attribute and from_context")
        if self.action not in ("insert", "update", "upsert") and self.value is not None:
            raise Misfit(f"the action {self.action} takes no value")
        if self.action == "extract" and not self.pattern:
            raise Misfit("the action extract needs a pattern with named groups: (?P<name>...)")
        if self.action == "extract" and not pattern(self.pattern or "").groupindex:
            raise Misfit("the pattern of the action extract has no named group: (?P<name>...)")
        if self.action == "convert" and not self.converted_type:
            raise Misfit("the action convert needs a converted_type: int, double or string")
        if self.from_context is not None and not self.from_context.startswith(_METADATA):
            raise Misfit(f"from_context {self.from_context!r} is not known here: expected metadata.<header>")
        return self


def act(actions: tuple[Action, ...]) -> Act:
    """All actions as one function, which changes the attributes it is given."""
    steps = [_BUILD[action.action](action) for action in actions]

    def run(attributes: Attributes, metadata: Metadata) -> None:
        for step in steps:
            step(attributes, metadata)

    return run


def _source(action: Action) -> Source:
    if action.from_attribute is not None:
        key = action.from_attribute
        return lambda attributes, metadata: attributes.get(key, MISSING)
    if action.from_context is not None:
        header, default = action.from_context.removeprefix(_METADATA).lower(), action.default_value
        absent = MISSING if default is None else default

        def of_request(attributes: Attributes, metadata: Metadata) -> Any:
            found = metadata.get(header)
            return ";".join(found) if found else absent

        return of_request
    return lambda attributes, metadata: action.value


def _set(action: Action) -> Act:
    source, key = _source(action), action.key or ""
    if_there, if_not = action.action != "insert", action.action != "update"

    def step(attributes: Attributes, metadata: Metadata) -> None:
        if not (if_there if key in attributes else if_not):
            return
        value = source(attributes, metadata)
        if value is not MISSING:
            attributes[key] = value

    return step


def _keys(action: Action) -> Callable[[Attributes], list[str]]:
    """The keys that are there and meant, by name or by pattern."""
    key, search = action.key, pattern(action.pattern).search if action.pattern else None

    def keys(attributes: Attributes) -> list[str]:
        found = [key] if key is not None and key in attributes else []
        if search:
            found += [name for name in attributes if name != key and search(name) is not None]
        return found

    return keys


def _delete(action: Action) -> Act:
    keys = _keys(action)

    def step(attributes: Attributes, metadata: Metadata) -> None:
        for key in keys(attributes):
            del attributes[key]

    return step


def _hash(action: Action) -> Act:
    keys = _keys(action)

    def step(attributes: Attributes, metadata: Metadata) -> None:
        for key in keys(attributes):
            attributes[key] = hashlib.sha256(bytes_of(attributes[key])).hexdigest()

    return step


def _extract(action: Action) -> Act:
    compiled, key = pattern(action.pattern or ""), action.key or ""

    def step(attributes: Attributes, metadata: Metadata) -> None:
        value = attributes.get(key)
        found = compiled.search(value) if isinstance(value, str) else None
        if found is not None:
            for name, text in found.groupdict().items():
                attributes[name] = text or ""

    return step


def _convert(action: Action) -> Act:
    key = action.key or ""
    convert = {"int": as_int, "double": as_double, "string": as_string}[action.converted_type or "string"]

    def step(attributes: Attributes, metadata: Metadata) -> None:
        if key in attributes:
            value = attributes[key]
            now = convert(value)
            if now is not None and (type(now) is not type(value)):
                attributes[key] = now

    return step


_BUILD: Final[dict[str, Callable[[Action], Act]]] = {
    "insert": _set, "update": _set, "upsert": _set, "delete": _delete, "hash": _hash, "extract": _extract,
    "convert": _convert,
}  # fmt: skip
