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
    _json: bytes | None = None
    _sse: bytes | None = None

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


Message = Given | Notice


class Batch(list[Given]):
    """Events that are given together to everybody with the same view; what is sent of them is put together once for all."""

    __slots__ = ("_sse",)

    @property
    def sse(self) -> bytes:
        """All of them as messages of Server-Sent Events."""
        try:
            return self._sse
        except AttributeError:
            self._sse: bytes = b"".join([one.sse for one in self])
            return self._sse


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


def to_json(message: Message) -> bytes:
    """A message as one JSON object: `message`, its name; `cursor`; and `event` or `data`."""
    name = "event" if isinstance(message, Given) else message.name
    place = b'"cursor":"%b",' % message.cursor.encode() if message.cursor is not None else b""
    if isinstance(message, Given):
        return b'{"message":"event",%b"event":%b}' % (place, message.json)
    return b'{"message":"%b",%b"data":%b}' % (name.encode(), place, json_bytes(message.data))
