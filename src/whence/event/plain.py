"""Values as the archive can hold them: None, bool, int, float, str, bytes, and lists and str-keyed dicts of these.

The law: pure, and a copy: what the program does to its own lists and dicts after an emit does not change the event.
"""

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

SCALARS: Final = frozenset({str, int, float, bool, type(None), bytes})
"""Exactly these types are plain as they are; a subclass (an enum, a numpy float) is not."""
MAX_DEPTH: Final = 64
"""Values nested deeper than this (so also those that contain themselves) become their text."""
_SHOWN: Final = 60


def to_plain(value: Any, depth: int = 0) -> Any:
    """A plain copy of any value. Models and dataclasses become dicts, enums their values, times RFC 3339 text, numpy
    numbers and arrays their Python equals, sets lists; what nothing is known of becomes its text. Never raises."""
    kind = type(value)
    if kind in SCALARS:
        return value
    if depth >= MAX_DEPTH:
        return f"({kind.__name__} nested deeper than {MAX_DEPTH})"
    if kind is dict:
        return {
            (key if type(key) is str else _key(key)): (item if type(item) in SCALARS else to_plain(item, depth + 1))
            for key, item in value.items()
        }
    if kind is list or kind is tuple:
        return [item if type(item) in SCALARS else to_plain(item, depth + 1) for item in value]
    try:
        return _unusual(value, depth + 1)
    except Exception:  # noqa: BLE001 - the value's own code; one strange value must not cost the event
        return text_of(value)


def _unusual(value: Any, depth: int) -> Any:
    if isinstance(value, Enum):
        return to_plain(value.value, depth)
    if isinstance(value, BaseModel):
        return to_plain(value.model_dump(), depth)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name), depth) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return to_plain(dict(value), depth)
    if isinstance(value, (list, tuple, set, frozenset)):
        return to_plain(list(value), depth)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str(value)
    tolist = getattr(value, "tolist", None)  # numpy's numbers and arrays, and all that behave like them
    if callable(tolist):
        return to_plain(tolist(), depth)
    try:
        return to_jsonable_python(value)
    except PydanticSerializationError:
        return text_of(value)


def _key(key: Any) -> str:
    return text_of(key.value if isinstance(key, Enum) else key)


def text_of(value: Any) -> str:
    """`str(value)`, or, where the value's own code fails, its type's name."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - the value's own code
        return f"({type(value).__name__} that cannot be printed)"


def brief(value: Any) -> str:
    """A value in a few characters, for people: `12`, `0.3`, `open`, `[3 items]`, `{2 fields}`. Costs the same for any size."""
    kind = type(value)
    if kind is int and -(1 << 63) <= value < 1 << 64:
        return str(value)
    if kind is float:
        return f"{value:.10g}"
    if isinstance(value, str):
        text = str(value.value) if isinstance(value, Enum) else value
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    if value is None or kind is bool:
        return str(value)
    if kind is int:
        return f"(integer of {value.bit_length()} bits)"
    if isinstance(value, Mapping):
        return f"{{{len(value)} fields}}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return f"[{len(value)} items]"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"({len(value)} bytes)"
    if isinstance(value, Enum):
        return brief(value.value)
    if dataclasses.is_dataclass(value) or isinstance(value, BaseModel):
        return type(value).__name__
    text = text_of(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
