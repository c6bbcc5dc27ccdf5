"""An HTTP connection that does not wait for ever: a head has a limit of bytes and of time, and faults are told as a Status.

The law: what the server's library leaves open to whoever connects is bounded here; what it does well is left to it.
"""

from asyncio import TimerHandle
from typing import Any, Final, NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from whence.collect.receivers.answer import encoding_of
from whence.collect.receivers.status import TYPES, Failure, failure

HEAD_BYTES: Final = 1 << 20
"""Bytes of a request's line and headers, as Go's server, and so the Collector, has it; and between two pieces of a body."""
SURPLUS: Final = "whence.surplus"
"""The key of a request's `state` that says that there are too many connections."""
_SURPLUS_SECONDS: Final = 5.0
_LINGER: Final = 0.5
"""Seconds between the last word to a client that is still sending, and the end: so that it hears it. As Go has it."""


class Patience(NamedTuple):
    """What connections may take."""

    head_seconds: float
    """From the first moment a head is awaited; 0 for no limit."""
    connections: int
    """As many are served; as many again are told to come later; who comes then finds the door shut."""


def connection(patience: Patience) -> type[HttpToolsProtocol]:
    """The class of a listener's connections."""

    class Connection(HttpToolsProtocol):
        """One connection."""

        _timer: TimerHandle | None = None
        _head = 0
        _in_body = False
        _surplus = False
        _leaving = False
        """Nothing more is read."""
        _parted = False
        """Nothing more is said."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._surplus = len(self.connections) > patience.connections
            if len(self.connections) > 2 * patience.connections:
                transport.close()
                return
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._leaving:
                return
            self._head += len(data)
            if not self._in_body and self._timer is None:
                self._await_head()
            super().data_received(data)
            if self._head > HEAD_BYTES and not self.transport.is_closing():
                self._say(431, Failure(400, f"cannot read the request: its headers are longer than {HEAD_BYTES} bytes"))

        def eof_received(self) -> bool:  # type: ignore[override]
            """Whether to go on: who has sent a whole request, and will send no more, gets its answer."""
            asked = self.cycle is not None and not self.cycle.response_complete and not self._in_body
            if not asked or not self.transport.can_write_eof():  # with TLS there is no half of a connection
                return False
            self._leaving = True
            self.cycle.keep_alive = False
            return True

        def on_header(self, name: bytes, value: bytes) -> None:
            if not self._in_body:  # what trails a body is no header of it, whatever it says
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._forget()
            self._in_body = True
            if self._surplus:
                self.scope["state"][SURPLUS] = True
            super().on_headers_complete()
            self.cycle.transport = _Parting(self)  # type: ignore[assignment]

        def on_body(self, body: bytes) -> None:
            self._head = 0
            if not self.cycle.body:
                self.cycle.body = b""  # type: ignore[assignment]  # a piece added to no bytes is handed on uncopied
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._in_body, self._head = False, 0
            super().on_message_complete()

        def on_response_complete(self) -> None:
            if not self._parted:
                super().on_response_complete()

        def send_400_response(self, msg: str) -> None:
            self._say(400, Failure(400, "cannot read the request: it is not HTTP/1.1"))

        def part(self) -> None:
            """Close; where the client is still sending, not before it had time to read what it was told."""
            if not self._in_body or self.transport.is_closing():
                self.transport.close()
                return
            self._leaving = self._parted = True
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self.flow.resume_reading()
            self.loop.call_later(_LINGER, self.transport.close)

        def _await_head(self) -> None:
            seconds = _SURPLUS_SECONDS if self._surplus else patience.head_seconds
            if seconds:
                self._timer = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

        def _forget(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _say(self, status: int, fault: Failure) -> None:
            """Answer by hand, where no request has come about, and close; after those that have come about."""
            if self.cycle is not None and not self.cycle.response_complete and (self.pipeline or not self._in_body):
                self._leaving = True
                self.cycle.keep_alive = False
                return
            types = [value.decode("latin-1") for name, value in self.headers or () if name == b"content-type"]
            encoding = encoding_of(types[0] if types else "") or "json"
            body = failure(fault, encoding)
            length = str(len(body)).encode()
            head = (b"content-type: " + TYPES[encoding], b"content-length: " + length, b"connection: close")
            said = b"" if self.parser.get_method() == b"HEAD" else body
            self.transport.write(STATUS_LINE[status] + b"\r\n".join(head) + b"\r\n\r\n" + said)
            self.transport.close()

    class _Parting:
        """What an answer is written to."""

        def __init__(self, to: Connection) -> None:
            self._to = to
            self.write = to.transport.write
            self.is_closing = to.transport.is_closing

        def close(self) -> None:
            """In good time."""
            self._to.part()

    return Connection
