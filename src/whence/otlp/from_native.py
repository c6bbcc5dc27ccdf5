"""The native core in the place of the pure one: the same functions, the same bytes, the same words.

The law: what the native core does not take, the pure one is asked: it has the words, and the last say.
"""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from whence.native import CORE
from whence.otlp import from_protobuf, reasons
from whence.otlp.encode import Line
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.schema import LEVELS, MESSAGES, Message, Signal, field_of
from whence.otlp.sheet import NOUNS, Lines, lines_with


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
    _codec: Final = CORE.module.Codec(schema_text())
    _Refused: Final = CORE.module.Refused


def lines_of_protobuf(signal: Signal, data: bytes, limits: Limits = DEFAULT) -> Lines:
    """As `from_protobuf.lines_of_protobuf`."""
    try:
        lines, rejected = _codec.lines_of_protobuf(
            signal, data, limits.line_bytes, limits.records_per_line, limits.depth
        )
    except _Refused:
        return from_protobuf.lines_of_protobuf(signal, data, limits)
    return lines_with(
        _NOUNS[signal], [Line(*line) for line in lines], {_reason(name): count for name, count in rejected}
    )


def tree_of_protobuf(signal: Signal, data: bytes) -> dict[str, Any]:
    """As `from_protobuf.tree_of_protobuf`."""
    try:
        text = _codec.text_of_protobuf(signal, data)
    except _Refused:
        return from_protobuf.tree_of_protobuf(signal, data)
    tree: dict[str, Any] = orjson.loads(text)
    return tree


def count_of_protobuf(signal: Signal, data: bytes) -> int:
    """As `from_protobuf.count_of_protobuf`."""
    try:
        count: int = _codec.count_of_protobuf(signal, data)
    except _Refused:
        return from_protobuf.count_of_protobuf(signal, data)
    return count


def _reason(name: str) -> str:
    text: str = getattr(reasons, name)
    return text
