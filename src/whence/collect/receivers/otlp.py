"""The receiver `otlp`: OTLP over gRPC and HTTP, each where its protocol is named. Loopback unless told otherwise."""

from collections.abc import Mapping
from typing import Final

from pydantic import model_validator

from whence.collect.component import HEALTHY, Consumer, Health, Host, Plug
from whence.collect.receivers.bodies import Budget
from whence.collect.receivers.over_grpc import GRPCListener, GRPCSettings
from whence.collect.receivers.over_http import HTTPListener, HTTPSettings
from whence.collect.settings import MIB, Settings
from whence.event.misfits import Misfit
from whence.otlp.wire import Signal

_IN_WORK: Final = 256 * MIB
"""Bytes of requests, as they came and unpacked, that are worked on at once; one that is larger is worked on alone."""


class Protocols(Settings):
    """A protocol whose key is there is on, with defaults where nothing stands behind it."""

    grpc: GRPCSettings | None = None
    http: HTTPSettings | None = None

    @model_validator(mode="after")
    def _one(self) -> "Protocols":
        if self.grpc is None and self.http is None:
            raise Misfit("name grpc, http, or both: a receiver without protocols receives nothing")
        return self


class OTLPSettings(Settings):
    """The Collector's keys."""

    protocols: Protocols


class OTLPReceiver:
    """Both listeners, and the memory they share."""

    def __init__(self, settings: OTLPSettings, host: Host, outputs: Mapping[Signal, Consumer]) -> None:
        budget = Budget(_IN_WORK)
        protocols = settings.protocols
        self.grpc = GRPCListener(protocols.grpc, host, outputs, budget) if protocols.grpc else None
        self.http = HTTPListener(protocols.http, host, outputs, budget) if protocols.http else None
        self._started = False

    @property
    def _listeners(self) -> list[GRPCListener | HTTPListener]:
        return [one for one in (self.grpc, self.http) if one is not None]

    def start(self, host: Host) -> None:
        """Listen. Raises ConfigError, StorageError."""
        begun: list[GRPCListener | HTTPListener] = []
        try:
            for one in self._listeners:
                one.start()
                begun.append(one)
        except Exception:
            for one in begun:
                one.stop(host.monotonic() + 1.0)
            raise
        self._started = True

    def stop(self, deadline: float) -> None:
        """Take nothing more, and answer what is inside."""
        for one in self._listeners:
            one.close(deadline)  # both at once: a sender must not find one open while the other drains
        for one in self._listeners:
            one.stop(deadline)
        self._started = False

    def health(self) -> Health:
        """Whether it listens."""
        return HEALTHY if self._started else Health(False, "it does not listen")


def build(settings: OTLPSettings, host: Host, outputs: Mapping[Signal, Consumer]) -> OTLPReceiver:
    """The receiver; nothing is opened yet."""
    return OTLPReceiver(settings, host, outputs)


PLUG = Plug(OTLPSettings, build)
