"""`bearertokenauth`: a token in a header, checked where requests arrive and attached where they are sent."""

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import model_validator

from whence.collect.auth import Unauthenticated
from whence.collect.component import HEALTHY, Health, Host, Plug
from whence.collect.settings import Secret, Settings
from whence.errors import ConfigError

_LOOK: Final = 1.0
"""Seconds between looks at the file: a rotated token works without a restart."""


class BearerSettings(Settings):
    """The Collector's keys; one of `token`, `tokens` and `filename`."""

    scheme: str = "Bearer"
    header: str = "Authorization"
    token: Secret | None = None
    tokens: tuple[Secret, ...] = ()
    filename: str | None = None
    """A token a line; the first is the one to send."""

    @model_validator(mode="after")
    def _one_source(self) -> "BearerSettings":
        if sum(map(bool, (self.token, self.tokens, self.filename))) != 1:
            raise ValueError("one of token, tokens and filename")
        return self


class BearerTokens:
    """Both ends."""

    def __init__(self, settings: BearerSettings, host: Host) -> None:
        self._settings = settings
        self._host = host
        given = (settings.token,) if settings.token else settings.tokens
        self._tokens = tuple(token.get_secret_value() for token in given)
        self._looked = self._changed = float("-inf")
        self._trouble: str | None = None

    def start(self, host: Host) -> None:
        """Reads the file. Raises ConfigError where there is no token in it."""
        self._refresh()
        if not self._tokens or not all(self._tokens):
            raise ConfigError(
                f"cannot use {self._host.id}: {self._trouble or 'a token is empty'}; give one that is not"
            )

    def stop(self, deadline: float) -> None:
        """Nothing runs."""

    def health(self) -> Health:
        """Whether the file can still be read; the last tokens that could be go on working."""
        return Health(False, self._trouble) if self._trouble else HEALTHY

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether the token is right: to compare it takes no time."""
        try:
            self.authenticate(headers)
        except Unauthenticated:
            return False
        return True

    def authenticate(self, headers: Mapping[str, str]) -> None:
        """Raises Unauthenticated. Every token is compared, each in constant time."""
        self._refresh()
        settings = self._settings
        given = headers.get(settings.header.lower())
        if not given:
            raise Unauthenticated(f"no {settings.header} header", settings.scheme or "Bearer")
        prefix = f"{settings.scheme} " if settings.scheme else ""
        named = given[: len(prefix)].lower() == prefix.lower()
        token = given[len(prefix) :].encode()
        found = False
        for known in self._tokens:
            found |= hmac.compare_digest(known.encode(), token)
        if not (named and found):
            raise Unauthenticated("the token is not valid", settings.scheme or "Bearer")

    def headers(self) -> Mapping[str, str]:
        """The header to send."""
        self._refresh()
        prefix = f"{self._settings.scheme} " if self._settings.scheme else ""
        return {self._settings.header.lower(): prefix + self._tokens[0]}

    def _refresh(self) -> None:
        now = self._host.monotonic()
        if self._settings.filename is None or now - self._looked < _LOOK:
            return
        self._looked = now
        file = Path(self._settings.filename)
        try:
            changed = file.stat().st_mtime
            if changed == self._changed:
                return
            tokens = tuple(filter(None, map(str.strip, file.read_text().splitlines())))
        except (OSError, UnicodeDecodeError) as cause:
            self._trouble = f"cannot read {file}: {getattr(cause, 'strerror', None) or 'it is not UTF-8'}"
            return
        self._trouble = None if tokens else f"no token in {file}"
        if tokens:
            self._tokens, self._changed = tokens, changed


PLUG = Plug(BearerSettings, BearerTokens)
