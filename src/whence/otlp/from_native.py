"""The native core in the place of the pure one: the same functions, the same bytes, the same words.

The law: what the native core does not take, the pure one is asked: it has the words, and the last say.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from whence.native import CORE
from whence.otlp import from_json, from_protobuf, from_tree, reasons, to_protobuf
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.page import Line
from whence.otlp.schema import LEVELS, MESSAGES, Message, Signal, field_of
from whence.otlp.sheet import NOUNS, Lines, lines_with
from whence.otlp.to_protobuf import PLAIN

Tree = dict[str, Any]


def schema_text() -> str:
    """OTLP's messages, fields and signals as the native core reads them: a line each, words with a space between."""
    return "\n".join([line for message in MESSAGES.values() for line in _lines_of(message)] + [
        f"signal {signal} {levels.data.name}" for signal, levels in LEVELS.items()
    ])  # fmt: skip


def _lines_of(message: Message) -> Iterator[str]:
    yield f"message {message.name}"
    oneofs = list(dict.fromkeys(field.oneof for field in message.fields if field.oneof))
    for field in message.fields:
        oneof = oneofs.index(field.oneof) + 1 if field.oneof else "-"
        flags = f"{field.repeated:d} {field.presence:d}"
        yield f"field {field.number} {field.name} {field.json} {field.kind} {flags} {oneof} {field.of or '-'}"


_NOUNS: Final = {signal: NOUNS[field_of(levels.scope, levels.record).json] for signal, levels in LEVELS.items()}

if CORE.module is not None:
    CODEC: Final = CORE.module.Codec(schema_text())
    REFUSED: Final = CORE.module.Refused


# Each function is the pure one of its name: the same answer, the same DataError.


def lines_of_protobuf(signal: Signal, data: bytes, limits: Limits = DEFAULT) -> Lines:
    """As `from_protobuf.lines_of_protobuf`."""
    try:
        made = CODEC.lines_of_protobuf(signal, data, limits.line_bytes, limits.records_per_line, limits.depth)
    except REFUSED:
        return from_protobuf.lines_of_protobuf(signal, data, limits)
    return lines_made(signal, *made)


def lines_of_json(signal: Signal, data: bytes, limits: Limits = DEFAULT) -> Lines:
    """As `from_json.lines_of_json`."""
    try:
        made = CODEC.lines_of_json(signal, data, limits.line_bytes, limits.records_per_line, limits.depth)
    except REFUSED:
        return from_json.lines_of_json(signal, data, limits)
    return lines_made(signal, *made)


def tree_of_protobuf(signal: Signal, data: bytes) -> Tree:
    """As `from_protobuf.tree_of_protobuf`."""
    try:
        return _tree(CODEC.text_of_protobuf(signal, data))
    except REFUSED:
        return from_protobuf.tree_of_protobuf(signal, data)


def tree_of_json(signal: Signal, data: bytes) -> Tree:
    """As `from_json.tree_of_json`."""
    try:
        return _tree(CODEC.text_of_json(signal, data))
    except REFUSED:
        return from_json.tree_of_json(signal, data)


def lines_of_tree(signal: Signal, tree: Tree, limits: Limits = DEFAULT) -> Lines:
    """As `from_tree.lines_of_tree`."""
    try:
        text = orjson.dumps(tree, option=PLAIN)
        made = CODEC.lines_of_text(signal, text, limits.line_bytes, limits.records_per_line, limits.depth)
    except (REFUSED, orjson.JSONEncodeError):
        return from_tree.lines_of_tree(signal, tree, limits)
    return lines_made(signal, *made)


def protobuf_of_tree(signal: Signal, tree: Tree) -> bytes:
    """As `to_protobuf.protobuf_of_tree`."""
    try:
        made: bytes = CODEC.protobuf_of_text(signal, orjson.dumps(tree, option=PLAIN))
    except (REFUSED, orjson.JSONEncodeError):
        return to_protobuf.protobuf_of_tree(signal, tree)
    return made


def protobuf_of_json(signal: Signal, data: bytes) -> bytes:
    """As `from_json.protobuf_of_json`."""
    try:
        made: bytes = CODEC.protobuf_of_json(signal, data)
    except REFUSED:
        return from_json.protobuf_of_json(signal, data)
    return made


def protobuf_of_lines(signal: Signal, lines: Iterable[bytes]) -> bytes:
    """As `to_protobuf.protobuf_of_lines`."""
    given = list(lines)
    try:
        made: bytes = CODEC.protobuf_of_lines(signal, given)
    except REFUSED:
        return to_protobuf.protobuf_of_lines(signal, given)
    return made


def count_of_protobuf(signal: Signal, data: bytes) -> int:
    """As `from_protobuf.count_of_protobuf`."""
    try:
        count: int = CODEC.count_of_protobuf(signal, data)
    except REFUSED:
        return from_protobuf.count_of_protobuf(signal, data)
    return count


def count_of_json(signal: Signal, data: bytes) -> int:
    """As `from_json.count_of_json`."""
    try:
        count: int = CODEC.count_of_json(signal, data)
    except REFUSED:
        return from_json.count_of_json(signal, data)
    return count


def _tree(text: bytes) -> Tree:
    tree: Tree = orjson.loads(text)
    return tree


def lines_made(signal: Signal, lines: list[tuple[bytes, int, int, int]], rejected: list[tuple[str, int]]) -> Lines:
    """Lines as the native core gives them, with why records were rejected in words."""
    return lines_with(
        _NOUNS[signal], [Line(*line) for line in lines], {getattr(reasons, name): count for name, count in rejected}
    )
