"""An HTTP connection that does not wait for ever: a head has a limit of bytes and of time, and faults are told as a Status.

The law: what the server's library leaves open to whoever connects is bounded here; what it does well is left to it.
"""

from asyncio import TimerHandle
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from whence.collect.receivers.answer import encoding_of
from whence.collect.receivers.status import TYPES, Failure, failure

HEAD_BYTES: Final = 1 << 20
"""Bytes of a request's line and headers, as Go's server, and so the Collector, has it."""


def connection(head_seconds: float) -> type[HttpToolsProtocol]:
    """The class of a listener's connections. `head_seconds`: from the first moment a head is awaited; 0 for no limit."""

    class Connection(HttpToolsProtocol):
        """One connection."""

        _timer: TimerHandle | None = None
        _head = 0
        _in_body = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if not self._in_body:
                self._head += len(data)
                if self._timer is None:
                    self._await_head()
            super().data_received(data)
            if not self._in_body and self._head > HEAD_BYTES and not self.transport.is_closing():
                self._say(431, Failure(400, f"cannot read the request: its headers are longer than {HEAD_BYTES} bytes"))

        def on_headers_complete(self) -> None:
            self._forget()
            self._in_body = True
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._in_body, self._head = False, 0
            super().on_message_complete()

        def send_400_response(self, msg: str) -> None:
            self._say(400, Failure(400, "cannot read the request: it is not HTTP/1.1"))

        def _await_head(self) -> None:
            if head_seconds:
                self._timer = self.loop.call_later(head_seconds, self.timeout_keep_alive_handler)

        def _forget(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _say(self, status: int, fault: Failure) -> None:
            """Answer by hand, where no request has come about, and close."""
            types = [value.decode("latin-1") for name, value in self.headers or () if name == b"content-type"]
            encoding = encoding_of(types[0] if types else "") or "json"
            body = failure(fault, encoding)
            length = str(len(body)).encode()
            head = (b"content-type: " + TYPES[encoding], b"content-length: " + length, b"connection: close")
            self.transport.write(STATUS_LINE[status] + b"\r\n".join(head) + b"\r\n\r\n" + body)
            self.transport.close()

    return Connection
