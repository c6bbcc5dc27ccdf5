"""A line's bytes to JSON objects, also where the writer's JSON is not quite JSON."""

import json
from typing import Any

import orjson

from whence.errors import DataError
from whence.otlp.value import faithful_text


def parse_line(data: bytes) -> Any:
    """The JSON value of a line. Raises DataError for what is none.

    Taken too, because other writers of OTLP JSON give it: lone surrogates as `\\udXXX` (the official exporter), which become
    those six characters, and bare NaN and Infinity.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as cause:
        if b"\\u" not in data and b"NaN" not in data and b"Infinity" not in data:
            raise DataError(f"not JSON: {cause}") from None
        try:
            return _sound(json.loads(data))
        except (ValueError, RecursionError):
            raise DataError(f"not JSON: {cause}") from None


def _sound(value: Any) -> Any:
    if isinstance(value, str):
        return faithful_text(value)[0]
    if isinstance(value, dict):
        return {faithful_text(key)[0]: _sound(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_sound(item) for item in value]
    return value
