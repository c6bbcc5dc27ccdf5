"""Where a configuration comes from: files, variables, text and `--set`, read in order, merged and substituted.

The law: the only part of `config` that reads files; the environment is given.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from whence.collect.config.expand import Expansion
from whence.collect.config.tree import Fault, Node, Place, merge, nested, parse

_SOURCES: Final = ("file", "env", "yaml")
_SHOWN: Final = 60
"""Characters of a `yaml:` text by which faults name it."""
_LARGEST: Final = 16 << 20
"""Bytes of one text."""


class Sources(NamedTuple):
    """What was asked for on the command line."""

    configs: tuple[str, ...]
    """Paths, or `file:PATH`, `env:NAME`, `yaml:TEXT`; later ones win."""
    sets: tuple[str, ...] = ()
    """`a.b.c=value`, over all of them."""


class Read(NamedTuple):
    """The one configuration they make, and what was wrong on the way."""

    root: Node
    faults: list[Fault]
    unset: list[tuple[Place, str]]
    """Variables that are not set: nothing stands in their place."""


def read_sources(sources: Sources, variables: Mapping[str, str]) -> Read:
    """Everything read, merged and substituted. Never raises: what cannot be read is a fault."""
    root = Node({}, Place(sources.configs[0] if sources.configs else "no configuration"))
    faults: list[Fault] = []
    for config in sources.configs:
        try:
            root = merge(root, _whole(_parsed(config, variables)))
        except Fault as fault:
            faults.append(fault)
    for item in sources.sets:
        try:
            root = merge(root, _set(item))
        except Fault as fault:
            faults.append(fault)
    expansion = Expansion(variables, _read_file)
    root = expansion.node(root)
    return Read(root, faults + expansion.faults, expansion.unset)


def _parsed(config: str, variables: Mapping[str, str]) -> Node:
    scheme, colon, rest = config.partition(":")
    if not colon or scheme not in _SOURCES:
        if colon and scheme in ("http", "https"):
            raise Fault(Place(config), "cannot be read from the network: fetch it first and give its path")
        scheme, rest = "file", config
    if scheme == "yaml":
        return parse(rest, config.splitlines()[0][:_SHOWN])
    if scheme == "env":
        if rest not in variables:
            raise Fault(Place(config), f"the variable {rest} is not set")
        return parse(variables[rest], config)
    try:
        return parse(_read_file(rest), rest)
    except (OSError, UnicodeDecodeError) as cause:
        said = getattr(cause, "strerror", None) or "it is not UTF-8"
        raise Fault(Place(rest), f"cannot be read: {said}; give the path of a configuration file") from None


def _whole(node: Node) -> Node:
    if not isinstance(node.value, dict):
        raise Fault(node.place, "expected a map with receivers, exporters and service")
    return node


def _set(item: str) -> Node:
    keys, equals, value = item.partition("=")
    place = Place(f"--set={keys}")
    path = keys.replace("::", ".").split(".")
    if not equals or not all(path):
        raise Fault(Place(f"--set={item}"), "expected such as --set=exporters.otlp_http.timeout=2s")
    node = parse(value, place.source) if value.strip() else Node(None, place)
    return nested(path, node)


def _read_file(path: str) -> str:
    with Path(path).open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise OSError(27, "it is larger than 16 MiB")
    return data.decode("utf-8-sig")
