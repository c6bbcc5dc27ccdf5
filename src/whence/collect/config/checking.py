"""A configuration while it is being checked: where to look, and what was wrong so far.

The law: looks and remembers; decides nothing.
"""

from collections.abc import Mapping
from typing import Any

from whence.collect.config.model import Problem
from whence.collect.config.sources import Read
from whence.collect.config.tree import Keys, Node, place_of, values
from whence.collect.kinds import Catalog
from whence.collect.written import plain


class Checking:
    """One configuration being checked: problems and notes so far."""

    def __init__(self, read: Read, catalog: Catalog) -> None:
        self.root = read.root
        self.catalog = catalog
        self.problems = [
            fault if isinstance(fault, Problem) else Problem(fault.place, (), fault.said) for fault in read.faults
        ]
        self.notes = [
            f"{place}: the variable {name} is not set; nothing stands in its place" for place, name in read.unset
        ]

    def wrong(self, keys: Keys, said: str) -> None:
        """Remember a problem at these keys."""
        self.problems.append(Problem(place_of(self.root, keys), keys, said))

    def note(self, keys: Keys, said: str) -> None:
        """Remember what is worth knowing at these keys."""
        self.notes.append(f"{place_of(self.root, keys)}: {'::'.join(map(str, keys))}: {said}")

    def map_at(self, *keys: str) -> Mapping[str, Node]:
        """The map under these keys; an empty one where nothing is, or where the wrong thing is, which is a problem."""
        value: Any = self.root.value
        for n, key in enumerate(keys):
            value = value[key].value if key in value else None
            if value is None:
                return {}
            if not isinstance(value, dict):
                if n == len(keys) - 1:
                    self.wrong(keys, "expected a map")
                return {}
        return dict(value)

    def ids_at(self, *keys: str) -> list[str]:
        """The list of ids under these keys; what is no list of text is a problem."""
        around = self.map_at(*keys[:-1])
        node = around.get(keys[-1])
        if node is None or node.value is None:
            return []
        found = plain(values(node))
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            self.wrong(keys, "expected a list of ids, such as [otlp]")
            return []
        for n, one in enumerate(found):
            if one in found[:n]:
                self.wrong((*keys, n), f"{one} stands here twice")
        return list(dict.fromkeys(found))
