"""Values as they were written: a number, or a switch, that came from text can still be that text where text is wanted.

The law: pure. `password: ${env:PASSWORD}` must mean the same whether the password is `abc`, `0123`, `true` or `a: b`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr


class WrittenInt(int):
    """A whole number whose `str` is how it was written."""

    text: str

    def __new__(cls, value: int, text: str) -> "WrittenInt":
        made = super().__new__(cls, value)
        made.text = text
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return WrittenInt, (int(self), self.text)

    def __str__(self) -> str:
        return self.text


class WrittenFloat(float):
    """A number whose `str` is how it was written."""

    text: str

    def __new__(cls, value: float, text: str) -> "WrittenFloat":
        made = super().__new__(cls, value)
        made.text = text
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return WrittenFloat, (float(self), self.text)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Written:
    """Anything else that a substitution gave, with its text."""

    value: Any
    text: str


def written(value: Any, text: str) -> Any:
    """The value, which remembers its text."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return Written(value, text)
    return WrittenInt(value, text) if isinstance(value, int) else WrittenFloat(value, text)


def settled(annotation: Any, value: Any) -> Any:
    """The value for a field of this type: text where only text fits, else what the text meant; all the way down."""
    parts = _parts(annotation)
    if Any in parts:
        return plain(value)
    if isinstance(value, Written):
        if _fits(parts, value.value):
            return settled(annotation, value.value)
        return value.text if any(part in (str, SecretStr) for part in parts) else settled(annotation, value.value)
    if isinstance(value, Mapping) and not any(isinstance(part, type) and issubclass(part, BaseModel) for part in parts):
        of = next((get_args(part)[1] for part in parts if len(get_args(part)) == 2), object)
        return {key: settled(of, item) for key, item in value.items()}
    if isinstance(value, list):
        of = next((get_args(part)[0] for part in parts if get_origin(part) in (list, tuple, set, frozenset)), object)
        return [settled(of, item) for item in value]
    return value


def plain(value: Any) -> Any:
    """The value and all in it, without memory of how it was written."""
    if isinstance(value, Written):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, WrittenInt):
        return int(value)
    return float(value) if isinstance(value, WrittenFloat) else value


def _parts(annotation: Any) -> list[Any]:
    """The types a field may have, unions and annotations taken apart."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _parts(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [part for member in get_args(annotation) for part in _parts(member)]
    return [annotation]


def _fits(parts: list[Any], value: Any) -> bool:
    """Whether one of these types is made for such a value, so that it is not taken for text."""
    for part in parts:
        origin = get_origin(part) or part
        if isinstance(origin, type):
            if isinstance(value, bool) and origin is bool:
                return True
            if isinstance(value, Mapping) and issubclass(origin, (dict, BaseModel, Mapping)):
                return True
            if isinstance(value, list) and issubclass(origin, (list, tuple, set, frozenset)):
                return True
    return False
