"""A replay as OTLP over HTTP or gRPC, to any endpoint that takes it: protobuf, in portions, tried again where that can help.

The law: an event counts as given once the endpoint has taken it. What it refuses for good ends the replay, with its words.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from whence.errors import StreamError
from whence.event.model import Event
from whence.otlp.from_event import tree_of
from whence.otlp.service import OtlpProtocol
from whence.otlp.wire import Signal, protobuf_of_tree
from whence.replay.ways import way_to

TRIES: Final = 8
MOST: Final = 500
"""Events in one request, where so many are due at once."""
_BYTES: Final = 3 << 20
"""Of one request of several events: servers of gRPC take 4 MiB unless they are told otherwise."""
_LONGEST: Final = 30.0


class OverOTLP:
    """One endpoint. Each call sends one event, or several at once; for one thread."""

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str] | None = None,
        *,
        protocol: OtlpProtocol | None = None,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """`endpoint`: as `http://localhost:4318`, behind which `/v1/logs` and `/v1/traces` are put, or `grpc://localhost:4317`.

        With `https` and `grpcs` by TLS; `protocol`: `grpc` also for an `http` URL. Raises ConfigError.
        """
        self._way = way_to(endpoint, headers or {}, protocol)
        self._endpoint, self._wait = endpoint, wait

    def __call__(self, *events: Event) -> None:
        """Send events. Raises StreamError where the endpoint cannot be reached or refuses them."""
        bodies = {signal: protobuf_of_tree(signal, tree) for signal, tree in tree_of(events).items()}
        if len(events) > 1 and any(len(body) > _BYTES for body in bodies.values()):
            self._halved(events)
            return
        for signal, body in bodies.items():
            self._send(signal, body)

    def close(self) -> None:
        """Close the connection."""
        self._way.close()

    def _halved(self, events: Sequence[Event]) -> None:
        half = len(events) // 2
        self(*events[:half])
        self(*events[half:])

    def _send(self, signal: Signal, body: bytes) -> None:
        pause, said = 0.25, ""
        for tried in range(TRIES):
            if tried:
                self._wait(random.uniform(pause / 2, pause))
                pause = min(pause * 2, _LONGEST)
            answer = self._way.post(signal, body)
            if answer.taken:
                return
            said = answer.said
            if not answer.again:
                break
            pause = max(pause, min(answer.after, _LONGEST))
        raise StreamError(
            f"cannot send {signal} to {self._endpoint}: {said}; see to the endpoint, and go on at a checkpoint"
        )
