"""One event's causal chain as a picture, for Graphviz and for Mermaid: recorded causes solid, inferred ones dashed.

The law: what a program put into a name is escaped, so that it can neither break the picture nor add to it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from whence.causality.chains import Chain
from whence.causality.graph import Basis
from whence.event.model import Event


@dataclass(frozen=True, slots=True)
class Picture:
    """A chain and the events in it, by id; one that is not among them is drawn by its id."""

    chain: Chain
    events: Mapping[str, Event]

    def labels(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each hop's id and the lines of text in its box."""
        for hop in self.chain.hops:
            event = self.events.get(hop.id)
            if event is None:
                yield hop.id, (hop.id,)
                continue
            who = " ".join(part for part in (event.agent, event.task) if part)
            lines = (event.type or hop.id, who, _short(event.description or ""))
            yield hop.id, tuple(line for line in lines if line)

    def edges(self) -> Iterator[tuple[str, str, bool]]:
        """Cause, effect, and whether the program recorded it."""
        for hop in self.chain.hops:
            for tie in hop.causes:
                yield tie.id, hop.id, tie.basis is Basis.RECORDED

    def missing(self) -> Iterator[tuple[str, str]]:
        """Causes that were named and are nowhere, and the event that named them."""
        for hop in self.chain.hops:
            for cause in hop.missing:
                yield cause, hop.id


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def write_dot(picture: Picture, out: BinaryIO) -> None:
    """A Graphviz digraph."""
    out.write(b"digraph why {\n  rankdir=LR;\n  node [shape=box, fontname=sans];\n")
    for id, lines in picture.labels():
        bold = ", penwidth=2" if id == picture.chain.event_id else ""
        _say(out, f"  {_dot(id)} [label={_dot(chr(10).join(lines))}{bold}];")
    for cause, effect, recorded in picture.edges():
        _say(out, f"  {_dot(cause)} -> {_dot(effect)}{'' if recorded else ' [style=dashed]'};")
    for cause, effect in picture.missing():
        _say(out, f"  {_dot(cause)} [label={_dot('missing: ' + cause)}, style=dotted];")
        _say(out, f"  {_dot(cause)} -> {_dot(effect)};")
    out.write(b"}\n")


def _dot(text: str) -> str:
    escaped = _printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def write_mermaid(picture: Picture, out: BinaryIO) -> None:
    """A Mermaid flowchart."""
    numbers = {id: f"e{n}" for n, (id, _) in enumerate(picture.labels())}
    out.write(b"flowchart LR\n")
    for id, lines in picture.labels():
        _say(out, f'  {numbers[id]}["{"<br/>".join(map(_mermaid, lines))}"]')
    for cause, effect, recorded in picture.edges():
        _say(out, f"  {numbers[cause]} {'-->' if recorded else '-.->'} {numbers[effect]}")
    for n, (cause, effect) in enumerate(picture.missing()):
        _say(out, f'  m{n}(["missing: {_mermaid(cause)}"]) --> {numbers[effect]}')
    if picture.chain.event_id in numbers:
        _say(out, f"  style {numbers[picture.chain.event_id]} stroke-width:3px")


def _mermaid(text: str) -> str:
    """Mermaid knows no backslash; whatever could mean something to it is written as `#code;`."""
    return "".join(char if char.isalnum() or char in " ._-:…" else f"#{ord(char)};" for char in _printable(text))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in text)


def _say(out: BinaryIO, line: str) -> None:
    out.write(line.encode("utf-8", "replace") + b"\n")
