"""What a stream says, in the one form that Server-Sent Events, WebSocket and polling share.

The law: pure. Events are the same JSON as everywhere; what is no event has a name of its own and says what it means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from whence.event.flat import format_time, to_flat
from whence.event.model import Event
from whence.export.flat_json import json_bytes


class Notice(NamedTuple):
    """What is said that is no event: `connected`, `heartbeat`, `slow`, `missed`, `closing`."""

    name: str
    data: dict[str, Any]
    cursor: str | None = None
    """The place behind what was given so far."""


@dataclass(slots=True, eq=False)
class Given:
    """An event that is given, and the place behind it."""

    event: Event
    cursor: str
    size: int = 0
    """About how many bytes it takes: those of its line in the archive."""
    _json: bytes | None = None
    _sse: bytes | None = None
    _text: str | None = None

    @property
    def json(self) -> bytes:
        """The event in JSON, written once for all who get it."""
        if self._json is None:
            self._json = json_bytes(to_flat(self.event))
        return self._json

    @property
    def sse(self) -> bytes:
        """The event as a message of Server-Sent Events."""
        if self._sse is None:
            self._sse = b"id: %b\ndata: %b\n\n" % (self.cursor.encode(), self.json)
        return self._sse

    @property
    def text(self) -> str:
        """The event as a message of a WebSocket."""
        if self._text is None:
            self._text = f'{{"message":"event","cursor":"{self.cursor}","event":{self.json.decode()}}}'
        return self._text


Message = Given | Notice


class Batch(list[Given]):
    """Events that are given together to everybody with the same view; what is sent of them is put together once for all."""

    __slots__ = ("_size", "_sse", "_text")

    @property
    def size(self) -> int:
        """About how many bytes they take."""
        try:
            return self._size
        except AttributeError:
            self._size: int = sum([one.size for one in self])
            return self._size

    @property
    def sse(self) -> bytes:
        """All of them as messages of Server-Sent Events."""
        try:
            return self._sse
        except AttributeError:
            self._sse: bytes = b"".join([one.sse for one in self])
            return self._sse

    @property
    def text(self) -> str:
        """All of them as messages of a WebSocket, one a line."""
        try:
            return self._text
        except AttributeError:
            self._text: str = "\n".join([one.text for one in self])
            return self._text


def missed(
    reason: str,
    detail: str,
    *,
    count: int | None = None,
    first: int | None = None,
    last: int | None = None,
    cursor: str | None = None,
) -> Notice:
    """Events that are not given: why, how many (None: not known), and from when to when (nanoseconds)."""
    data = {
        "reason": reason,
        "count": count,
        "from": format_time(first) if first else None,
        "to": format_time(last) if last else None,
        "resume": cursor,
        "detail": detail,
    }
    return Notice("missed", {name: value for name, value in data.items() if value is not None})


def to_sse(message: Message) -> bytes:
    """A message of Server-Sent Events. An event has no name there, so that `onmessage` gets it; a notice has its own."""
    if isinstance(message, Given):
        return message.sse
    place = b"id: %b\n" % message.cursor.encode() if message.cursor is not None else b""
    return b"%bevent: %b\ndata: %b\n\n" % (place, message.name.encode(), json_bytes(message.data))


def sse_of(messages: Sequence[Message]) -> bytes:
    """Messages of Server-Sent Events, one behind the other."""
    return messages.sse if isinstance(messages, Batch) else b"".join(map(to_sse, messages))


def to_text(message: Message) -> str:
    """A message as one JSON object: `message`, its name; `cursor`; and `event` or `data`."""
    if isinstance(message, Given):
        return message.text
    place = f'"cursor":"{message.cursor}",' if message.cursor is not None else ""
    return f'{{"message":"{message.name}",{place}"data":{json_bytes(message.data).decode()}}}'


def texts_of(messages: Sequence[Message]) -> list[str]:
    """Messages, each as text of its own."""
    return [to_text(one) for one in messages]


def lines_of(messages: Sequence[Message]) -> list[str]:
    """Messages as one text, a line each."""
    return [messages.text if isinstance(messages, Batch) else "\n".join(texts_of(messages))]
