"""A replay as OTLP over HTTP, to any endpoint that takes it: protobuf, in portions, tried again where that can help.

The law: an event counts as given once the endpoint has taken it. What it refuses for good ends the replay, with its words.
"""

import http.client
import random
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from whence.errors import ConfigError, StreamError
from whence.event.model import Event
from whence.otlp.from_event import tree_of
from whence.otlp.to_protobuf import protobuf_of_tree
from whence.otlp.wire import Signal

TRIES: Final = 8
MOST: Final = 500
"""Events in one request, where so many are due at once."""
_AGAIN: Final = frozenset({408, 429, 502, 503, 504})
_LONGEST: Final = 30.0
_TIMEOUT: Final = 30.0


class OverOTLP:
    """One endpoint. Each call sends one event, or several at once; for one thread."""

    def __init__(
        self, endpoint: str, headers: Mapping[str, str] | None = None, *, wait: Callable[[float], object] = time.sleep
    ) -> None:
        """`endpoint`: as `http://localhost:4318`; `/v1/logs` and `/v1/traces` are put behind it. Raises ConfigError."""
        parts = urlsplit(endpoint)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or parts.query or parts.username:
            raise ConfigError(f"cannot send to {endpoint[:100]!r}: expected a URL such as http://localhost:4318")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, port, timeout=_TIMEOUT)
        self._endpoint, self._path = endpoint, parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/x-protobuf", **(headers or {})}
        self._wait = wait

    def __call__(self, *events: Event) -> None:
        """Send events. Raises StreamError where the endpoint cannot be reached or refuses them."""
        for signal, tree in tree_of(events).items():
            self._send(signal, protobuf_of_tree(signal, tree))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _send(self, signal: Signal, body: bytes) -> None:
        pause, said = 0.25, ""
        for tried in range(TRIES):
            if tried:
                self._wait(random.uniform(pause / 2, pause))
                pause = min(pause * 2, _LONGEST)
            try:
                self._connection.request("POST", f"{self._path}/v1/{signal}", body, self._headers)
                answer = self._connection.getresponse()
                words = answer.read(2_000)
                answer.close()
            except (OSError, http.client.HTTPException) as cause:
                self._connection.close()
                said = str(cause) or type(cause).__name__
                continue
            if answer.status // 100 == 2:
                return
            said = f"{answer.status} {answer.reason} {words.decode('utf-8', 'replace')[:200]}".strip()
            if answer.status not in _AGAIN:
                break
            after = answer.headers.get("Retry-After", "")
            pause = max(pause, min(float(after), _LONGEST)) if after.isdigit() else pause
        raise StreamError(
            f"cannot send {signal} to {self._endpoint}: {said}; see to the endpoint, and go on at a checkpoint"
        )
