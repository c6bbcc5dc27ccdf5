"""Configuration as it was written: values with the file and line of each; maps merge, lists are replaced.

The law: pure. Text in, nodes out; what is wrong with a text is a `Fault` with its place.
"""

from dataclasses import dataclass
from io import StringIO
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from whence.collect.written import written

Keys = tuple[str | int, ...]

_MOST: Final = 100_000
"""Nodes in one text, aliases written out: a config has hundreds, a bomb of aliases has billions."""
_DEPTH: Final = 100
_TAG: Final = "tag:yaml.org,2002:"


class Place(NamedTuple):
    """Where something was written: a file, or `--set`, `env:X`; lines count from 1, and 0 stands for no line."""

    source: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


class Fault(Exception):
    """One thing wrong, and where."""

    def __init__(self, place: Place, said: str) -> None:
        super().__init__(said)
        self.place = place
        self.said = said


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place. A map's values and a list's items are nodes."""

    value: Any
    place: Place
    text: str | None = None
    """What it was written as, where a substitution gave it: it is that text where text is wanted."""


def parse(text: str, source: str) -> Node:
    """The one document of a YAML text. Keys with `::` in them are paths. Raises Fault."""
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(StringIO(text))
        return Node({}, Place(source, 1)) if root is None else _Reading(yaml, source).node(root, 0)
    except MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        said = ", ".join(filter(None, (fault.context, fault.problem)))
        raise Fault(Place(source, mark.line + 1 if mark else 0), f"not YAML: {said}") from None
    except (YAMLError, ValueError, RecursionError) as fault:
        raise Fault(Place(source), f"not YAML: {str(fault).splitlines()[0]}") from None


class _Reading:
    """One text being made nodes."""

    def __init__(self, yaml: YAML, source: str) -> None:
        self._yaml = yaml
        self._source = source
        self._made = 0

    def node(self, node: Any, depth: int, place: Place | None = None) -> Node:
        place = place or self._place(node)
        self._made += 1
        if self._made > _MOST or depth > _DEPTH:
            raise Fault(place, "too large: aliases inside aliases, or nesting without end")
        if isinstance(node, MappingNode):
            return self._map(node, depth, place)
        if isinstance(node, SequenceNode):
            return Node([self.node(item, depth + 1) for item in node.value], place)
        return Node(self._scalar(node, place), place)

    def _map(self, node: MappingNode, depth: int, place: Place) -> Node:
        found: dict[str, Node] = {}
        inherited: list[Node] = []
        for key, value in node.value:
            where = self._place(key)
            if key.tag == f"{_TAG}merge":
                sources = value.value if isinstance(value, SequenceNode) else [value]
                inherited += [self.node(one, depth + 1, where) for one in sources]
                continue
            if not isinstance(key, ScalarNode):
                raise Fault(where, "a key must be text")
            made = self.node(value, depth + 1, where)
            name, *rest = reversed(str(key.value).split("::"))
            for part in (name, *rest)[:-1]:
                made = Node({part: made}, where)
            name = str(key.value).split("::")[0]
            if name in found and "::" not in str(key.value):
                raise Fault(where, f"the key {name!r} stands here twice; the first is in line {found[name].place.line}")
            found[name] = merge(found[name], made) if name in found else made
        for one in inherited:
            if not isinstance(one.value, dict):
                raise Fault(one.place, "<<: expected a map")
            found = {**one.value, **found}
        return Node(found, place)

    def _scalar(self, node: ScalarNode, place: Place) -> Any:
        kind = str(node.tag).removeprefix(_TAG)
        if kind in ("int", "float", "bool", "null"):
            try:
                value = self._yaml.constructor.construct_object(node)
            except ValueError:
                return str(node.value)
            return written(value, str(node.value)) if kind in ("int", "float") else value
        if kind in ("str", "timestamp", "value"):
            return str(node.value)
        raise Fault(place, f"the tag {node.tag} has no meaning here")

    def _place(self, node: Any) -> Place:
        return Place(self._source, node.start_mark.line + 1)


def merge(below: Node, above: Node) -> Node:
    """Maps are merged, key by key; anything else above replaces what is below."""
    if not (isinstance(below.value, dict) and isinstance(above.value, dict)):
        return above
    made = dict(below.value)
    for key, node in above.value.items():
        made[key] = merge(made[key], node) if key in made else node
    return Node(made, above.place)


def nested(keys: list[str], node: Node) -> Node:
    """The node under these keys."""
    for key in reversed(keys):
        node = Node({key: node}, node.place)
    return node


def values(node: Node) -> Any:
    """The bare values; numbers, and whatever a substitution gave, still knowing their text."""
    value = node.value
    if isinstance(value, dict):
        value = {key: values(item) for key, item in value.items()}
    elif isinstance(value, list):
        value = [values(item) for item in value]
    return value if node.text is None or isinstance(value, str) else written(value, node.text)


def place_of(root: Node, keys: Keys) -> Place:
    """Where these keys stand, or the nearest key around them that stands anywhere."""
    node = root
    for key in keys:
        try:
            node = node.value[key]
        except (TypeError, KeyError, IndexError):
            break
    return node.place
