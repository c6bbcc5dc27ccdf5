"""`basicauth`: a name and a password, checked against an htpasswd list where requests arrive, attached where they are sent.

Entries are bcrypt (`$2y$`, as `htpasswd -B` makes them), `{SHA}`, or plain. A password that was right once is remembered by
a keyed digest, because bcrypt is slow on purpose.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import bcrypt
from pydantic import model_validator

from whence.collect.auth import Unauthenticated
from whence.collect.component import HEALTHY, Health, Host, Plug
from whence.collect.settings import Secret, Settings
from whence.errors import ConfigError

_BCRYPT: Final = ("$2y$", "$2a$", "$2b$")
_REMEMBERED: Final = 1000
_CHALLENGE: Final = 'Basic realm="whence"'


class Htpasswd(Settings):
    """Who may come in; what stands in `inline` wins over the file."""

    file: str | None = None
    inline: Secret | None = None


class ClientAuth(Settings):
    """Who we are."""

    username: str
    password: Secret


class BasicSettings(Settings):
    """The Collector's keys; one of the two."""

    htpasswd: Htpasswd | None = None
    client_auth: ClientAuth | None = None

    @model_validator(mode="after")
    def _one_end(self) -> "BasicSettings":
        if (self.htpasswd is None) == (self.client_auth is None):
            raise ValueError("one of htpasswd (for receivers) and client_auth (for exporters)")
        return self


class BasicAuth:
    """Both ends."""

    def __init__(self, settings: BasicSettings, host: Host) -> None:
        self._settings = settings
        self._host = host
        self._users: dict[str, str] = {}
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, str] = {}
        self._one_at_a_time = threading.Lock()

    def start(self, host: Host) -> None:
        """Reads the list. Raises ConfigError where an entry cannot be used."""
        wanted = self._settings.htpasswd
        if wanted is None:
            return
        texts = []
        if wanted.file:
            try:
                texts.append(Path(wanted.file).read_text())
            except (OSError, UnicodeDecodeError) as cause:
                said = getattr(cause, "strerror", None) or "it is not UTF-8"
                raise ConfigError(f"cannot read {wanted.file} for {host.id}: {said}") from None
        texts.append(wanted.inline.get_secret_value() if wanted.inline else "")
        self._users = users_of("\n".join(texts))
        if not self._users:
            raise ConfigError(f"cannot use {host.id}: no entry in htpasswd; write one with htpasswd -nB NAME")

    def stop(self, deadline: float) -> None:
        """Nothing runs."""

    def health(self) -> Health:
        """Nothing can go wrong."""
        return HEALTHY

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether this name and password were right before."""
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "basic" and self._mark(encoded) in self._right

    def authenticate(self, headers: Mapping[str, str]) -> None:
        """Raises Unauthenticated. A name that is not known takes as long as one that is."""
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        if not self._users or scheme.lower() != "basic":
            raise Unauthenticated("no Basic authorization header", _CHALLENGE)
        mark = self._mark(encoded)
        if mark in self._right:
            return
        try:
            name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Unauthenticated("the authorization header is not Basic", _CHALLENGE) from None
        known = self._users.get(name)
        with self._one_at_a_time:
            right = _matches(known or next(iter(self._users.values())), password)
        if known is None or not colon or not right:
            raise Unauthenticated("the name or the password is not valid", _CHALLENGE)
        if len(self._right) >= _REMEMBERED:
            self._right.clear()
        self._right[mark] = name

    def _mark(self, encoded: str) -> bytes:
        return hmac.digest(self._key, encoded.encode(), "sha256")

    def headers(self) -> Mapping[str, str]:
        """The header to send. Raises ConfigError where there is no `client_auth`."""
        client = self._settings.client_auth
        if client is None:
            raise ConfigError(f"cannot send with {self._host.id}: it has no client_auth; give username and password")
        pair = f"{client.username}:{client.password.get_secret_value()}"
        return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def users_of(text: str) -> dict[str, str]:
    """Names and their entries of an htpasswd list. Raises ConfigError for what cannot be checked."""
    users: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, colon, entry = line.strip().partition(":")
        if not name or name.startswith("#"):
            continue
        if not colon or not entry or entry.startswith(("$apr1$", "$1$", "$5$", "$6$")):
            raise ConfigError(
                f"cannot use line {number} of htpasswd: expected NAME:HASH with bcrypt; make it with htpasswd -nB"
            )
        users[name] = entry
    return users


def _matches(entry: str, password: str) -> bool:
    if entry.startswith(_BCRYPT):
        try:
            return bcrypt.checkpw(password.encode()[:72], entry.encode())
        except ValueError:
            return False
    if entry.startswith("{SHA}"):
        made = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest())
        return hmac.compare_digest(made, entry.removeprefix("{SHA}").encode())
    return hmac.compare_digest(password.encode(), entry.encode())


PLUG = Plug(BasicSettings, BasicAuth)
