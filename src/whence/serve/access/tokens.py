"""Tokens to callers: read from the settings and from a file that may change, compared in constant time.

The law: a token is kept as its SHA-256 only; every known one is compared with what was given, whether one fits or not.
"""

import hmac
import os
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from whence.collect.config.expand import Expansion
from whence.collect.config.fit import fit
from whence.collect.config.tree import Fault, parse, values
from whence.errors import ConfigError
from whence.event.flat import parse_time
from whence.event.misfits import Misfit
from whence.filter.parse import parse as parse_filter
from whence.serve.access.caller import ANYBODY, Caller
from whence.serve.access.mask import Mask
from whence.serve.settings import AuthSettings, MaskSettings, Role, TokenSettings, check_names

_LOOK: Final = 1.0
"""Seconds between looks at the file: a token that was taken out ends without a restart."""


class Unauthenticated(Exception):
    """Nobody who may ask; the text says why, never with the token."""


class _Known(NamedTuple):
    digest: bytes
    caller: Caller
    expires: int | None
    """Nanoseconds since the epoch."""


class Access:
    """Everybody who may ask. Thread-safe."""

    def __init__(
        self,
        settings: AuthSettings,
        masks: Mapping[Role, MaskSettings] | None = None,
        *,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads the file of tokens. Raises ConfigError where it cannot be used; once it could, the last good one holds."""
        self._settings = settings
        self._masks = {role: Mask(mask) for role, mask in (masks or {}).items()}
        self._clock, self._monotonic = clock, monotonic
        self._given = self._known_of(settings.tokens)
        self._from_file: tuple[_Known, ...] = ()
        self._changed: tuple[int, int] | None = None
        self._looked = float("-inf")
        self.trouble: str | None = None
        """Why the file cannot be used as it is now, if so."""
        if settings.file is not None:
            self._refresh()
            if self.trouble:
                raise ConfigError(self.trouble)

    @property
    def required(self) -> bool:
        """Whether callers have to say who they are."""
        return bool(self._settings.tokens) or self._settings.file is not None

    def caller_of(self, token: str | None) -> Caller:
        """Who has this token. Raises Unauthenticated."""
        if not self.required:
            return ANYBODY if "admin" not in self._masks else self._masked(ANYBODY)
        self._refresh()
        if token is None:
            raise Unauthenticated("there is no token: send `Authorization: Bearer TOKEN`")
        given = sha256(token.encode("utf-8", "surrogateescape")).digest()
        found: _Known | None = None
        for known in (*self._given, *self._from_file):
            if hmac.compare_digest(known.digest, given):
                found = known
        if found is None:
            raise Unauthenticated("the token is not known: ask whoever runs this server for another")
        if found.expires is not None and self._clock() >= found.expires:
            raise Unauthenticated("the token has expired: ask whoever runs this server for another")
        return found.caller

    def _masked(self, caller: Caller) -> Caller:
        return Caller(caller.name, caller.role, caller.visible, caller.audit, self._masks.get(caller.role))

    def _known_of(self, tokens: tuple[TokenSettings, ...]) -> tuple[_Known, ...]:
        return tuple(map(self._known, tokens))

    def _known(self, one: TokenSettings) -> _Known:
        digest = bytes.fromhex(one.sha256) if one.sha256 else sha256(_secret(one)).digest()
        audit = one.role == "admin" if one.audit is None else one.audit
        caller = Caller(one.name, one.role, parse_filter(one.where, now=0), audit, self._masks.get(one.role))
        return _Known(digest, caller, parse_time(one.expires) if one.expires else None)

    def _refresh(self) -> None:
        now = self._monotonic()
        if self._settings.file is None or now - self._looked < _LOOK:
            return
        self._looked = now
        file = Path(self._settings.file).expanduser()
        try:
            info = file.stat()
            if (info.st_mtime_ns, info.st_size) == self._changed:
                return
            tokens = read_tokens(file.read_text(), str(file))
            check_names((*self._settings.tokens, *tokens))
            self._from_file = self._known_of(tokens)
            self._changed = info.st_mtime_ns, info.st_size
            self.trouble = None
        except (OSError, UnicodeDecodeError) as cause:
            said = getattr(cause, "strerror", None) or "it is not UTF-8"
            self.trouble = f"cannot read the tokens in {file}: {said}; give a file that can be read"
        except (ConfigError, Misfit) as cause:
            self.trouble = str(cause)


def _secret(one: TokenSettings) -> bytes:
    return one.token.get_secret_value().encode() if one.token else b""


def read_tokens(text: str, file: str) -> tuple[TokenSettings, ...]:
    """The tokens of a YAML list, with `${env:X}` in it substituted. Raises ConfigError with line and key."""
    try:
        root = parse(text, file)
        expansion = Expansion(os.environ, lambda path: Path(path).read_text())
        root = expansion.node(root)
        for fault in expansion.faults:
            raise fault
        for place, name in expansion.unset:
            raise Fault(place, f"the variable {name} is not set")
    except Fault as fault:
        raise ConfigError(f"cannot use the tokens in {fault.place}: {fault.said}") from None
    if not isinstance(root.value, list) or not root.value:
        raise ConfigError(f"cannot use the tokens in {file}: expected a list, such as `- {{name: me, sha256: ...}}`")
    found = []
    for node in root.value:
        settings, wrong = fit(TokenSettings, values(node))
        if settings is None or not isinstance(settings, TokenSettings):
            said = "; ".join(f"{'.'.join(map(str, keys))}: {what}" if keys else what for keys, what in wrong)
            raise ConfigError(f"cannot use the tokens in {node.place}: {said}")
        found.append(settings)
    return tuple(found)
