"""One JSON object of a tree as it will be: the original itself until something changes it, a copy from then on.

The law: pure. The original and everything in it stay as they are; what was not changed is in the result as the same object.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Final

from whence.otlp.value import any_value, plain_value

Json = dict[str, Any]

_DEPTH: Final = 64
"""Levels that are written back: as many as are read. Whether a record may be stored is decided where it is stored."""


def written(value: Any) -> Json:
    """The AnyValue of a plain value, at any depth that can have been read."""
    return any_value(value, _DEPTH)


class Attributes(MutableMapping[str, Any]):
    """A list of OTLP's key-value pairs as a map of plain values, whose untouched values are never converted.

    What is read is a copy: to change a value inside it, set it again. Of two pairs with one key, the last counts.
    """

    __slots__ = ("_pairs", "_values", "changed")

    def __init__(self, pairs: list[Json] | None) -> None:
        self._pairs = pairs
        self._values: dict[str, Json | None] | None = None
        self.changed = False

    def _open(self) -> dict[str, Json | None]:
        if self._values is None:
            self._values = {pair.get("key", ""): pair.get("value") for pair in self._pairs or ()}
        return self._values

    def __getitem__(self, key: str) -> Any:
        value = self._open()[key]
        return None if value is None else plain_value(value)

    def __setitem__(self, key: str, value: Any) -> None:
        self.put(key, written(value))

    def __delitem__(self, key: str) -> None:
        del self._open()[key]
        self.changed = True

    def __iter__(self) -> Iterator[str]:
        return iter(self._open())

    def __len__(self) -> int:
        return len(self._open())

    def __contains__(self, key: object) -> bool:
        return key in self._open()

    def raw(self, key: str) -> Json | None:
        """The AnyValue under a key, shared with the original: never to be changed."""
        return self._open().get(key)

    def put(self, key: str, value: Json) -> None:
        """Set a key to an AnyValue."""
        self._open()[key] = value
        self.changed = True

    def plain(self) -> dict[str, Any]:
        """All of it as a dict of plain values."""
        return {key: None if value is None else plain_value(value) for key, value in self._open().items()}

    def become(self, values: Mapping[str, Any]) -> None:
        """Hold these and nothing else."""
        self._values = {key: written(value) for key, value in values.items()}
        self.changed = True

    def result(self) -> list[Json]:
        """The pairs: the very list it was given, where nothing changed."""
        if not self.changed:
            return self._pairs if self._pairs is not None else []
        return [{"key": key, "value": {} if value is None else value} for key, value in self._open().items()]


class Draft:
    """An object with fields, of which some hold attributes."""

    __slots__ = ("_attributes", "_now", "original")

    def __init__(self, original: Json) -> None:
        self.original = original
        self._now: Json | None = None
        self._attributes: dict[str, Attributes] = {}

    def get(self, name: str, default: Any = None) -> Any:
        """A field as JSON has it, shared with the original: never to be changed."""
        now = self.original if self._now is None else self._now
        return now.get(name, default)

    def set(self, name: str, value: Any) -> None:
        """Set a field to JSON; None takes it away, as canonical JSON leaves out what is the default."""
        if self._now is None:
            self._now = dict(self.original)
        if value is None:
            self._now.pop(name, None)
        else:
            self._now[name] = value

    def become(self, now: Json) -> None:
        """Be another object altogether."""
        self._now = now
        self._attributes = {}

    @property
    def attributes(self) -> Attributes:
        """The field `attributes`."""
        return self.pairs("attributes")

    def pairs(self, name: str) -> Attributes:
        """A field that is a list of key-value pairs, as a map to be changed."""
        found = self._attributes.get(name)
        if found is None:
            found = self._attributes[name] = Attributes(self.get(name))
        return found

    def result(self) -> Json:
        """The object as it is now: the very original, where nothing changed."""
        for name, attributes in self._attributes.items():
            if attributes.changed:
                self.set(name, attributes.result() or None)
        return self.original if self._now is None else self._now
