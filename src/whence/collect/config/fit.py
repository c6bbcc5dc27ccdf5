"""Whether a component's settings fit its model, and if not, where, in words.

The law: pure. A secret's value never appears in what is said.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from whence.collect.config.model import set_fields
from whence.collect.config.tree import Keys
from whence.collect.settings import Settings
from whence.event.misfits import misfits, nearest

_SECRET: Final = re.compile(
    r"pass(word|phrase)?$|secret|token|api_?key|credential|authorization|cookie|(key|cert|ca)_pem$|htpasswd|connection_?string|dsn$",
    re.IGNORECASE,
)
_GOT: Final = re.compile(r", got .*", re.DOTALL)


def fit(model: type[Settings], data: Any) -> tuple[Settings | None, list[tuple[Keys, str]]]:
    """The settings, or where they do not fit and why."""
    if data is not None and not isinstance(data, Mapping):
        return None, [((), f"expected a map of settings{_there_are(model)}")]
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        found: dict[Keys, list[str]] = {}
        for place, said in misfits(error):
            keys = _keys(place, data or {})
            found.setdefault(keys, []).append(_said(model, keys, said))
        return None, [(keys, ", or ".join(dict.fromkeys(said))) for keys, said in found.items()]


def _said(model: type[BaseModel], keys: Keys, said: str) -> str:
    if said.startswith("unknown field") and keys:
        return f"no such key{_suggested(_model_at(model, keys[:-1]), keys[-1])}"
    if said == "missing":
        return "missing: this key must be set"
    return _GOT.sub("", said) if is_secret(keys) or said.endswith("}") else said


def notes_of(settings: Settings) -> list[tuple[Keys, str]]:
    """Keys that were set and are accepted, but work differently here or not at all."""
    return [
        (keys, str(field.json_schema_extra["noted"]))
        for keys, field, _ in set_fields(settings)
        if isinstance(field.json_schema_extra, dict) and "noted" in field.json_schema_extra
    ]


def is_secret(keys: Keys) -> bool:
    """Whether what stands under these keys is likely to be secret, by its name or by that of a `headers` around it."""
    return any(isinstance(key, str) and (_SECRET.search(key) or key == "headers") for key in keys)


def _keys(place: Keys, data: Any) -> Keys:
    """The keys of the data in pydantic's place, without the names that it gives to the members of a union."""
    keys: list[str | int] = []
    for n, part in enumerate(place):
        if (isinstance(data, Mapping) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            keys.append(part)
            data = data[part]  # type: ignore[index]
        elif n == len(place) - 1 and isinstance(data, Mapping):
            keys.append(part)
    return tuple(keys)


def _model_at(model: Any, keys: Keys) -> type[BaseModel] | None:
    """The model of what stands under these keys."""
    found = next(iter(_models(model)), None)
    for key in keys:
        if found is None:
            return None
        if isinstance(key, str) and key in found.model_fields:
            found = next(iter(_models(found.model_fields[key].annotation)), None)
    return found


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _suggested(model: type[BaseModel] | None, name: str | int) -> str:
    if model is None:
        return ""
    return nearest(str(name), model.model_fields) or _there_are(model)


def _there_are(model: type[BaseModel]) -> str:
    names = ", ".join(model.model_fields)
    return f"; there are {names}" if names else "; it has no settings"
