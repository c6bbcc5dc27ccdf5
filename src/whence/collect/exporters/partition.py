"""Parting a batch by a resource attribute, with a bound on how many parts there can be.

The law: nothing is lost. What has no value, or comes when there are too many, goes where the others of its kind go.
"""

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from whence.archive.names import safe_group
from whence.collect.batch import LEVELS, Batch

ABSENT: Final = "collected"
"""Where everything goes that has no value, and all that is not parted."""
OVERFLOW: Final = "other"
"""Where everything goes that comes when there are too many."""


class Places:
    """A place a value, with a name that is safe for a file or folder, up to `most`. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._names: set[str] = set()
        self._lock = threading.Lock()

    def know(self, names: Iterable[str]) -> None:
        """Those that are there already: they count, also where they are too many."""
        self._names.update(set(names) - {ABSENT, OVERFLOW})

    def place(self, value: str) -> tuple[str, bool]:
        """The place's name, and whether it is OVERFLOW because there are too many."""
        name = safe_group(value)
        if name in (ABSENT, OVERFLOW):
            return name, False
        with self._lock:
            if name not in self._names:
                if len(self._names) >= self._most:
                    return OVERFLOW, True
                self._names.add(name)
        return name, False


def parts_of(batch: Batch, attribute: str) -> Iterable[tuple[str, list[dict[str, Any]]]]:
    """Each value of the resource attribute, and its resources. Raises DataError."""
    found: dict[str, list[dict[str, Any]]] = {}
    for resource in (batch.opened().tree or {}).get(LEVELS[batch.signal][0], ()):
        found.setdefault(_value(resource, attribute), []).append(resource)
    return found.items()


def _value(resource: Mapping[str, Any], attribute: str) -> str:
    """A resource's attribute as text."""
    for pair in resource.get("resource", {}).get("attributes", ()):
        if pair.get("key") == attribute:
            value = next(iter(pair.get("value", {}).values()), "")
            return (orjson.dumps(value).decode() if isinstance(value, dict) else str(value)) or ABSENT
    return ABSENT
