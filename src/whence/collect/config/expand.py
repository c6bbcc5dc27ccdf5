"""Substitution: `${env:X}`, `${env:X:-default}`, `${X}`, `${file:path}`, `${yaml:text}` and `$$`, inside each other too.

The law: variables and files are given as functions. A value that is one substitution and nothing else may become anything;
inside other text it becomes its text. What is substituted is substituted in again, with an end.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from whence.collect.config.tree import Fault, Node, Place, parse

_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)
_DEEPEST: Final = 50
_MOST: Final = 2_000
"""Substitutions in one configuration: a few that each bring several others could go on for ever."""


@dataclass(slots=True)
class Expansion:
    """One configuration being expanded: where values come from, and what was wrong or missing so far."""

    variables: Mapping[str, str]
    read: Callable[[str], str]
    """The text of a file; raises OSError or UnicodeDecodeError."""
    faults: list[Fault] = field(default_factory=list)
    unset: list[tuple[Place, str]] = field(default_factory=list)
    """Variables that were wanted and are not set."""
    done: int = 0

    def node(self, node: Node, depth: int = 0) -> Node:
        """The node with everything in it substituted. Faults are collected, and leave the value as it is."""
        if isinstance(node.value, dict):
            return Node({key: self.node(item, depth) for key, item in node.value.items()}, node.place, node.text)
        if isinstance(node.value, list):
            return Node([self.node(item, depth) for item in node.value], node.place, node.text)
        if not isinstance(node.value, str) or "$" not in node.value:
            return node
        try:
            return self._text(node.value, node.place, depth)
        except Fault as fault:
            self.faults.append(fault)
            return node

    def _text(self, text: str, place: Place, depth: int) -> Node:
        if depth > _DEEPEST:
            raise Fault(place, "substitutions inside substitutions without end")
        parts: list[str] = []
        at = 0
        while at < len(text):
            if text.startswith("$$", at):
                parts.append("$")
                at += 2
            elif text.startswith("${", at):
                end = _closing(text, at, place)
                found = self._resolve(text[at + 2 : end], place, depth)
                if at == 0 and end == len(text) - 1:
                    return found
                parts.append(_as_text(found))
                at = end + 1
            else:
                upto = text.find("$", at + 1)
                upto = len(text) if upto < 0 else upto
                parts.append(text[at:upto])
                at = upto
        return Node("".join(parts), place)

    def _resolve(self, inner: str, place: Place, depth: int) -> Node:
        self.done += 1
        if self.done > _MOST:
            raise Fault(place, "substitutions that bring further ones without end")
        if "$" in inner:
            inner = _as_text(self._text(inner, place, depth + 1))
        scheme, rest = match.groups() if (match := _SCHEME.fullmatch(inner)) else ("env", inner)
        if scheme == "env":
            text = self._variable(rest, place)
            return Node(None, place) if text is None else self.node(_meant(text, place), depth + 1)
        if scheme == "file":
            return self.node(_meant(self._file(rest, place).rstrip("\r\n"), Place(rest, 1)), depth + 1)
        if scheme == "yaml":
            return self.node(_meant(rest, place), depth + 1)
        hint = "fetch it first and use ${file:PATH}" if scheme in ("http", "https") else "there are env, file and yaml"
        raise Fault(place, f"cannot substitute ${{{scheme}:...}}: {hint}")

    def _variable(self, rest: str, place: Place) -> str | None:
        name, marked, default = rest.partition(":-")
        if not _NAME.fullmatch(name):
            raise Fault(place, f"{name!r} is no name of a variable: letters, digits and _; write $$ for a plain $")
        found = self.variables.get(name)
        if found or (found is not None and not marked):
            return found
        if marked:
            return default
        self.unset.append((place, name))
        return None

    def _file(self, path: str, place: Place) -> str:
        try:
            return self.read(path)
        except (OSError, UnicodeDecodeError) as cause:
            reason = getattr(cause, "strerror", None) or "not UTF-8"
            raise Fault(place, f"cannot read {path}: {reason}; write the path of a file that can be read") from None


def _closing(text: str, start: int, place: Place) -> int:
    depth = 0
    at = start
    while at < len(text):
        if text.startswith("$$", at):
            at += 2
            continue
        if text.startswith("${", at):
            depth += 1
            at += 2
            continue
        if text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise Fault(place, "a ${ without its }; write $$ for a plain $")


def _meant(text: str, place: Place) -> Node:
    """What a text that was substituted means, as YAML; text it stays where it is not YAML, or means text."""
    try:
        node = parse(text, place.source) if text.strip() else Node(None, place)
    except Fault:
        return Node(text, place)
    return Node(text, place) if isinstance(node.value, str) else Node(node.value, place, text)


def _as_text(node: Node) -> str:
    if node.text is not None:
        return node.text
    if isinstance(node.value, (dict, list)):
        raise Fault(node.place, "a map or list cannot stand inside other text")
    return "" if node.value is None else str(node.value)
