"""JSON text of values that OTLP holds exactly as they are: the fast path of the encoder.

The law: exact or not at all. A value of any other type raises UnfaithfulError, and `value.faithful` finds what can be written.
A lone surrogate passes unseen, for speed: making UTF-8 of the record fails then, and the careful path is taken.
"""

import base64
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from typing import Any, Final

from whence.otlp.value import INT_MAX, INT_MIN, double

quote: Final[Callable[[str], str]] = encode_basestring
"""A JSON string, in C and without ASCII escapes: beside it, building objects for a JSON library costs twice the time."""


class UnfaithfulError(Exception):
    """A value that cannot be written exactly as it is."""


def attributes_text(values: Mapping[str, Any], depth: int) -> str:
    """A JSON array of OTLP's keys and values, in order. Raises UnfaithfulError, or TypeError for a key that is not text."""
    parts: list[str] = []
    add = parts.append
    # copied at once: the SDK's attributes take a lock and a call for each key when iterated, and may change meanwhile
    for key, value in (values.copy() if hasattr(values, "copy") else dict(values)).items():
        kind = type(value)
        if kind is str:
            add(f'{{"key":{quote(key)},"value":{{"stringValue":{quote(value)}}}}}')
        elif kind is int and INT_MIN <= value <= INT_MAX:
            add(f'{{"key":{quote(key)},"value":{{"intValue":"{value}"}}}}')
        else:
            add(f'{{"key":{quote(key)},"value":{value_text(value, depth)}}}')
    return f"[{','.join(parts)}]"


def value_text(value: Any, depth: int) -> str:
    """The JSON object of one AnyValue of at most `depth` levels. Raises as `attributes_text`."""
    kind = type(value)
    if kind is str:
        return f'{{"stringValue":{quote(value)}}}'
    if kind is int:
        if INT_MIN <= value <= INT_MAX:
            return f'{{"intValue":"{value}"}}'
        raise UnfaithfulError
    if kind is bool:
        return '{"boolValue":true}' if value else '{"boolValue":false}'
    if kind is float:
        number = double(value)
        return f'{{"doubleValue":{value!r}}}' if number is value else f'{{"doubleValue":"{number}"}}'
    if value is None:
        return "{}"
    if kind is bytes:
        return f'{{"bytesValue":"{base64.b64encode(value).decode()}"}}'
    if depth <= 1:
        raise UnfaithfulError
    if kind is tuple or kind is list:
        inside = ",".join([value_text(item, depth - 1) for item in value])
        return f'{{"arrayValue":{{"values":[{inside}]}}}}' if value else '{"arrayValue":{}}'
    if kind is dict:
        return f'{{"kvlistValue":{{"values":{attributes_text(value, depth - 1)}}}}}' if value else '{"kvlistValue":{}}'
    raise UnfaithfulError
