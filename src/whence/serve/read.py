"""The server's settings out of a file in the house's YAML: `${env:X}` substituted, every fault with its file, line and key."""

from collections.abc import Mapping
from typing import Any, Final

from whence.collect.config.fit import fit
from whence.collect.config.sources import Sources, read_sources
from whence.collect.config.tree import place_of, values
from whence.errors import ConfigError
from whence.serve.settings import AuthSettings, ServeSettings, TokenSettings

TOKEN: Final = "WHENCE_TOKEN"  # noqa: S105 - the variable's name
"""The variable that can hold one token of the role `admin`, where the settings name none."""


def read_settings(config: str | None, over: Mapping[str, Any], variables: Mapping[str, str]) -> ServeSettings:
    """The settings of a file, if one is given, and over them what was said by hand. Raises ConfigError with every fault."""
    read = read_sources(Sources((config,) if config else ()), variables)
    faults = [f"{fault.place}: {fault.said}" for fault in read.faults]
    faults += [f"{place}: the variable {name} is not set" for place, name in read.unset]
    written = values(read.root)
    settings, wrong = fit(ServeSettings, {**(written if isinstance(written, Mapping) else {}), **over})
    for keys, said in wrong:
        place = "" if keys and keys[0] in over else f"{place_of(read.root, keys)}: "
        faults.append(f"{place}{'.'.join(map(str, keys))}: {said}")
    if faults or not isinstance(settings, ServeSettings):
        raise ConfigError(f"cannot serve: {'; '.join(faults)}")
    token = variables.get(TOKEN)
    if token and not settings.auth.tokens and settings.auth.file is None:
        settings = settings.model_copy(update={"auth": AuthSettings(tokens=(_from_variable(token),))})
    return settings


def _from_variable(token: str) -> TokenSettings:
    found, wrong = fit(TokenSettings, {"name": TOKEN, "token": token, "role": "admin"})
    if not isinstance(found, TokenSettings):
        raise ConfigError(f"cannot use {TOKEN} (environment): {'; '.join(said for _, said in wrong)}")
    return found
