"""Values: Python's to OTLP JSON's AnyValue and back (opentelemetry-proto, common.proto; JSON mapping of the OTLP specification).

Every value comes through. What AnyValue has no place for is written as text, and said: integers beyond 64 bits as their exact
decimal, lone surrogates escaped, unknown objects as their `str`, nesting beyond the limit as text.
"""

import base64
import math
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final

from whence.otlp.limits import DEFAULT

AnyValue = dict[str, Any]

INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 63) - 1


class UnfaithfulError(Exception):
    """The fast path met a value that it cannot write exactly as it is."""


def any_value(value: Any, depth: int = DEFAULT.depth) -> AnyValue:
    """The AnyValue of a value that AnyValue can hold exactly. Raises UnfaithfulError for any other.

    A lone surrogate passes unseen, for speed: serializing it fails, and the caller turns to `careful_value`.
    """
    kind = type(value)
    if kind is str:
        return {"stringValue": value}
    if kind is int:
        if INT_MIN <= value <= INT_MAX:
            return {"intValue": str(value)}
        raise UnfaithfulError
    if kind is bool:
        return {"boolValue": value}
    if kind is float:
        return {"doubleValue": value if math.isfinite(value) else _not_finite(value)}
    if value is None:
        return {}
    if kind is tuple or kind is list:
        if depth <= 0:
            raise UnfaithfulError
        return {"arrayValue": {"values": [any_value(item, depth - 1) for item in value]} if value else {}}
    if kind is dict:
        if depth <= 0:
            raise UnfaithfulError
        return {"kvlistValue": {"values": attributes(value, depth - 1)} if value else {}}
    if kind is bytes:
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return any_value(dict(value), depth)
    raise UnfaithfulError


def attributes(values: Mapping[str, Any], depth: int = DEFAULT.depth) -> list[dict[str, Any]]:
    """Key-value pairs, in order. Raises UnfaithfulError as `any_value`."""
    found = []
    for key, value in values.items():
        if type(key) is not str:
            raise UnfaithfulError
        found.append({"key": key, "value": {"stringValue": value} if type(value) is str else any_value(value, depth)})
    return found


def careful_value(value: Any, depth: int = DEFAULT.depth) -> tuple[AnyValue, bool]:
    """The AnyValue nearest to any value whatever, and whether it is exact. Never raises."""
    try:
        return _careful(value, depth)
    except Exception:  # noqa: BLE001 - the value's own code (its __str__, __len__, __iter__) failed
        return {"stringValue": f"({type(value).__name__} that cannot be read)"}, False


def careful_attributes(values: Mapping[Any, Any], depth: int = DEFAULT.depth) -> tuple[list[dict[str, Any]], list[str]]:
    """Key-value pairs of any mapping, and the keys whose value is not exact. Never raises."""
    pairs, lossy = [], []
    for key, value in values.items():
        name, exact_key = careful_text(key if isinstance(key, str) else as_text(key))
        written, exact = careful_value(value, depth)
        pairs.append({"key": name, "value": written})
        if not (exact and exact_key and isinstance(key, str)):
            lossy.append(name)
    return pairs, lossy


def _careful(value: Any, depth: int) -> tuple[AnyValue, bool]:
    if value is None:
        return {}, True
    if isinstance(value, bool):
        return {"boolValue": bool(value)}, True
    if isinstance(value, int):
        number = int(value)
        if INT_MIN <= number <= INT_MAX:
            return {"intValue": str(number)}, True
        return {"stringValue": decimal(number)}, False
    if isinstance(value, float):
        return any_value(float(value)), True
    if isinstance(value, str):
        text, exact = careful_text(str.__str__(value))
        return {"stringValue": text}, exact
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"bytesValue": base64.b64encode(bytes(value)).decode()}, True
    if isinstance(value, (Mapping, Sequence, Set)):
        if depth <= 0:
            return {"stringValue": careful_text(as_text(value))[0]}, False
        if isinstance(value, Mapping):
            pairs, lossy = careful_attributes(value, depth - 1)
            return {"kvlistValue": {"values": pairs} if pairs else {}}, not lossy
        items = [careful_value(item, depth - 1) for item in value]
        written = {"arrayValue": {"values": [item for item, _ in items]} if items else {}}
        return written, all(exact for _, exact in items) and not isinstance(value, Set)
    return {"stringValue": careful_text(as_text(value))[0]}, False


def careful_text(text: str) -> tuple[str, bool]:
    """Text that UTF-8 can hold, a lone surrogate written as the six characters `\\udXXX`; and whether it is as it was."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode(), False
    return text, True


def as_text(value: Any) -> str:
    """`str(value)`, or, where the value's own code fails or never ends, a word about its type."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - the value's own code
        return f"({type(value).__name__} that cannot be printed)"


def decimal(number: int) -> str:
    """All digits of an integer of any size (Python refuses to print more than 4,300 at once)."""
    if number.bit_length() < 10_000:
        return str(number)
    sign, number = ("-", -number) if number < 0 else ("", number)
    parts = []
    while number:
        number, rest = divmod(number, 10**4000)
        parts.append(f"{rest:04000d}")
    return sign + "".join(reversed(parts)).lstrip("0")


def _not_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


# --- back -----------------------------------------------------------------------------------------------------------------


def plain_value(written: Any) -> Any:
    """The Python value of an AnyValue; of one without any known field, None.

    Liberal in what it takes, as receivers must be: 64-bit integers as text or number, non-finite doubles as text.
    Raises ValueError, TypeError or RecursionError for what no AnyValue can be.
    """
    if not isinstance(written, Mapping):
        raise TypeError(f"a value must be a JSON object, not {type(written).__name__}")
    for name, value in written.items():
        if name == "stringValue":
            return value if isinstance(value, str) else str(value)
        if name == "intValue":
            return int(value)
        if name == "boolValue":
            return bool(value)
        if name == "doubleValue":
            return float(value)
        if name == "arrayValue":
            return [plain_value(item) for item in (value or {}).get("values") or ()]
        if name == "kvlistValue":
            return plain_attributes((value or {}).get("values"))
        if name == "bytesValue":
            return base64.b64decode(value, validate=True)
    return None


def plain_attributes(written: Any) -> dict[str, Any]:
    """A dict of a list of key-value pairs; of two with the same key, the last. Raises as `plain_value`."""
    found: dict[str, Any] = {}
    for pair in written or ():
        value = pair.get("value")
        if type(value) is dict and len(value) == 1 and "stringValue" in value:
            text = value["stringValue"]
            found[str(pair["key"])] = text if type(text) is str else str(text)
        else:
            found[str(pair.get("key", ""))] = plain_value(value) if value is not None else None
    return found
