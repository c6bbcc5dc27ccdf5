"""Values: what of any Python value OTLP can hold, and AnyValue back to Python (opentelemetry-proto, common.proto).

The law: every value comes through. What AnyValue has no place for becomes text, and that is said: integers beyond 64 bits as
their exact decimal, lone surrogates escaped, unknown objects as their `str`, nesting too deep or without end as text.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from whence.otlp.limits import DEFAULT

AnyValue = dict[str, Any]

INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 63) - 1
READ_DEPTH: Final = 64
"""Levels of AnyValue that are read. No protobuf reader takes more than 48 lists inside each other."""

_PRINTABLE_BITS: Final = 10_000
_DIGITS: Final = 4_000


# --- to OTLP --------------------------------------------------------------------------------------------------------------


def faithful(value: Any, depth: int = DEFAULT.depth) -> tuple[Any, bool]:
    """The value that OTLP can hold nearest to any value whatever, and whether it is the same. Never raises.

    Gives None, bool, int of 64 bits, float, str that UTF-8 can hold, bytes, and lists and str-keyed dicts of these, at
    most `depth` levels. Sequences become lists, mappings dicts, subclasses (enums of int or str) their plain kind: that is
    the same value. Everything else becomes text.
    """
    return _faithful(value, depth, ())


def faithful_items(values: Mapping[Any, Any], depth: int = DEFAULT.depth) -> tuple[dict[str, Any], list[str]]:
    """A mapping whose values are `faithful`, and the keys whose value is not the same. Never raises on a single value."""
    return _faithful_items(values, depth, ())


def _faithful(value: Any, depth: int, above: tuple[int, ...]) -> tuple[Any, bool]:
    try:
        return _known(value, depth, above)
    except Exception:  # noqa: BLE001 - the value's own code (its __int__, __len__, __iter__) failed
        return faithful_text(as_text(value))[0], False


def _known(value: Any, depth: int, above: tuple[int, ...]) -> tuple[Any, bool]:
    if value is None or isinstance(value, bool):
        return value, True
    if isinstance(value, int):
        number = int(value)
        return (number, True) if INT_MIN <= number <= INT_MAX else (decimal(number), False)
    if isinstance(value, float):
        return float(value), True
    if isinstance(value, str):
        return faithful_text(str.__str__(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value), True
    if not isinstance(value, (Mapping, Sequence)) or depth <= 1 or id(value) in above:
        return faithful_text(as_text(value))[0], False
    above = (*above, id(value))
    if isinstance(value, Mapping):
        items, lossy = _faithful_items(value, depth - 1, above)
        return items, not lossy
    found = [_faithful(item, depth - 1, above) for item in value]
    return [item for item, _ in found], all(same for _, same in found)


def _faithful_items(values: Mapping[Any, Any], depth: int, above: tuple[int, ...]) -> tuple[dict[str, Any], list[str]]:
    items: dict[str, Any] = {}
    lossy = []
    for key, value in values.items():
        name, same_key = faithful_text(str.__str__(key) if isinstance(key, str) else as_text(key))
        items[name], same = _faithful(value, depth, above)
        if not (same and same_key and isinstance(key, str)):
            lossy.append(name)
    return items, lossy


def said_lossy(before: Any, now: Sequence[str]) -> list[str]:
    """What a record names as lossy: what it was said to be before it came here, and what is found now, each once."""
    said = [as_text(name) for name in before] if isinstance(before, list) else []
    return list(dict.fromkeys([*said, *now]))


def faithful_text(text: str) -> tuple[str, bool]:
    """Text that UTF-8 can hold, a lone surrogate written as the six characters `\\udXXX`; and whether it is as it was."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode(), False
    return text, True


def as_text(value: Any) -> str:
    """`str(value)`, or, where the value's own code fails or never ends, a word about its type."""
    try:
        return str.__str__(str(value))  # __str__ may give a subclass of str
    except Exception:  # noqa: BLE001 - the value's own code
        return f"({type(value).__name__} that cannot be printed)"


def decimal(number: int) -> str:
    """All digits of an integer of any size (Python refuses to print more than 4,300 at once)."""
    if number.bit_length() < _PRINTABLE_BITS:
        return str(number)
    sign, number = ("-", -number) if number < 0 else ("", number)
    parts = []
    while number:
        number, rest = divmod(number, 10**_DIGITS)
        parts.append(f"{rest:0{_DIGITS}d}")
    return sign + "".join(reversed(parts)).lstrip("0")


def any_value(value: Any, depth: int = DEFAULT.depth) -> AnyValue:
    """The AnyValue of any value, as a JSON object: of the value itself, or of the text that stands for it. Never raises."""
    return _any_value(faithful(value, depth)[0])


def _any_value(value: Any) -> AnyValue:
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": double(value)}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": pairs(value)} if value else {}}
    return {"arrayValue": {"values": [_any_value(item) for item in value]} if value else {}}


def pairs(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """OTLP's list of keys and values, of values that are `faithful`."""
    return [{"key": key, "value": _any_value(value)} for key, value in values.items()]


def double(value: float) -> float | str:
    """A number as JSON can hold it: what is not finite as the text that protobuf's JSON mapping has for it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


# --- back -----------------------------------------------------------------------------------------------------------------


def plain_value(written: Any, depth: int = READ_DEPTH) -> Any:
    """The Python value of an AnyValue; of one without any known field, None.

    Liberal in what it takes, as receivers must be: 64-bit integers as text or number, non-finite doubles as text, any
    base64. An integer beyond 64 bits, which the official JSON exporter writes as one, becomes the text we would have
    written. Raises ValueError, TypeError, AttributeError or OverflowError for what no AnyValue can be.
    """
    for name, value in written.items():
        if value is None:  # protobuf's JSON mapping: a null field is an absent one
            continue
        if name == "stringValue":
            return value if type(value) is str else _text(value)
        if name == "intValue":
            return _whole_or_digits(value)
        if name == "boolValue":
            return _truth(value)
        if name == "doubleValue":
            return float(value)
        if name == "bytesValue":
            return bytes_of_base64(value)
        if name in ("arrayValue", "kvlistValue"):
            if depth <= 1:
                raise ValueError(f"a value nested deeper than {READ_DEPTH} levels")
            inside = value.get("values") or []
            if type(inside) is not list:
                raise TypeError(f"the values of a list or map must be a JSON array, not {type(inside).__name__}")
            if name == "kvlistValue":
                return plain_attributes(inside, depth - 1)
            return [None if item is None else plain_value(item, depth - 1) for item in inside]
    return None


def plain_attributes(written: Any, depth: int = READ_DEPTH) -> dict[str, Any]:
    """A dict of a list of key-value pairs, or of None; of two with the same key, the last. Raises as `plain_value`."""
    found: dict[str, Any] = {}
    if not written:
        return found
    if type(written) is not list:
        raise TypeError(f"attributes must be a JSON array, not {type(written).__name__}")
    for pair in written:
        key, value = pair.get("key", ""), pair.get("value")
        if type(key) is not str:
            key = _text(key)
        if value is None:
            found[key] = None
        elif "stringValue" in value and type(text := value["stringValue"]) is str:
            found[key] = text
        elif "intValue" in value and type(digits := value["intValue"]) is str:
            found[key] = number if INT_MIN <= (number := int(digits)) <= INT_MAX else decimal(number)
        else:
            found[key] = plain_value(value, depth)
    return found


def whole(value: Any) -> int:
    """An integer written as a number or as text. Raises ValueError, TypeError or OverflowError for any other value."""
    kind = type(value)
    if kind is int:
        return int(value)
    if kind is str:
        return int(value)
    if kind is float and value.is_integer():
        return int(value)
    raise TypeError(f"expected a whole number, not {value!r:.40}")


def _whole_or_digits(value: Any) -> int | str:
    number = whole(value)
    return number if INT_MIN <= number <= INT_MAX else decimal(number)


def _truth(value: Any) -> bool:
    if type(value) is bool:
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise TypeError(f"expected true or false, not {value!r:.40}")


def _text(value: Any) -> str:
    if isinstance(value, (str, int, float)):
        return str(value)
    raise TypeError(f"expected text, not a JSON {'array' if isinstance(value, list) else 'object'}")


def bytes_of_base64(value: Any) -> bytes:
    """Base64 of either alphabet, with or without padding, as protobuf's JSON mapping asks of readers.

    Raises TypeError or ValueError for anything else.
    """
    if type(value) is not str:
        raise TypeError("expected base64 text")
    standard = value.translate(_STANDARD).rstrip("=")
    return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)


_STANDARD: Final = str.maketrans("-_", "+/")
