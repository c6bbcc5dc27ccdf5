"""Authentication as receivers and exporters see it: what an extension named by `auth.authenticator` can do.

The law: secrets are compared in constant time, and no message or log says what was presented.
"""

from collections.abc import Mapping
from typing import ClassVar, Protocol

from whence.collect.component import Host
from whence.collect.settings import Auth
from whence.errors import Fault, WhenceError


class Unauthenticated(WhenceError):
    """Who sent this is not known. Receivers answer 401 with `challenge` in WWW-Authenticate, or UNAUTHENTICATED."""

    fault: ClassVar[Fault] = "caller"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, challenge: str = "Bearer") -> None:
        super().__init__(message)
        self.challenge = challenge


class ServerAuth(Protocol):
    """The receiving end. `headers`: names in lower case (gRPC: the metadata). Called from any thread."""

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether `authenticate` would let them in, as far as that is known at once. Must not wait for anything."""
        ...

    def authenticate(self, headers: Mapping[str, str]) -> None:
        """Raises Unauthenticated. May take its time."""
        ...


class ClientAuth(Protocol):
    """The sending end."""

    def headers(self) -> Mapping[str, str]:
        """What to add to each request's headers, names in lower case. Asked for each request: tokens change."""
        ...


def server_auth(host: Host, auth: Auth | None) -> ServerAuth | None:
    """The extension that a listener's `auth` names. Raises ConfigError."""
    if auth is None:
        return None
    host.extension(auth.authenticator, "authenticate")
    found: ServerAuth = host.extension(auth.authenticator, "knows")
    return found


def client_auth(host: Host, auth: Auth | None) -> ClientAuth | None:
    """The extension that a sender's `auth` names. Raises ConfigError."""
    found: ClientAuth | None = host.extension(auth.authenticator, "headers") if auth else None
    return found
