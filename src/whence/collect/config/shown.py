"""A configuration as it can be shown: merged and substituted, with what is secret taken out.

The law: pure. Secret is what a component's settings say is secret, and whatever stands under a key that sounds like it.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import SecretStr

from whence.collect.config.fit import is_secret
from whence.collect.config.model import Config, set_fields
from whence.collect.config.tree import Keys
from whence.collect.written import Written, WrittenFloat, WrittenInt

REDACTED: Final = "[REDACTED]"


def shown(tree: Any, config: Config | None, secrets: bool = False) -> Any:
    """The tree in plain values. `config`: what it was checked to be, whose settings know their secrets; None if it is wrong."""
    known = set(secret_keys(config)) if config else set()
    return _shown(tree, (), known, secrets)


def secret_keys(config: Config) -> list[Keys]:
    """Where the settings hold secrets."""
    return [
        (f"{role}s", id_, *keys)
        for (role, id_), declared in config.components.items()
        for keys, _, value in set_fields(declared.settings)
        if _holds_secret(value)
    ]


def _holds_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(isinstance(one, SecretStr) for one in value.values())
    return isinstance(value, SecretStr) or (
        isinstance(value, tuple) and any(isinstance(one, SecretStr) for one in value)
    )


def _shown(value: Any, keys: Keys, known: set[Keys], secrets: bool) -> Any:
    if isinstance(value, Written):
        value = value.value if isinstance(value.value, (Mapping, list)) else _scalar(value)
    if isinstance(value, Mapping):
        return {key: _shown(item, (*keys, key), known, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item, (*keys, n), known, secrets) for n, item in enumerate(value)]
    hidden = not secrets and value not in (None, "") and len(keys) > 1
    if hidden and (is_secret(keys[2:]) or any(keys[:n] in known for n in range(1, len(keys) + 1))):
        return REDACTED
    return _scalar(value)


def _scalar(value: Any) -> Any:
    """The value where that says as much as its text does, else the text: `007` and `1e400` are shown as they are."""
    if isinstance(value, Written):
        return value.value if value.text.strip() in ("", "true", "false", "null") else value.text
    if isinstance(value, WrittenInt):
        return int(value) if value.text == str(int(value)) else value.text
    if isinstance(value, WrittenFloat):
        return float(value) if value.text == str(float(value)) else value.text
    return value
