"""Converters for values of any kind: what they are, what is in them, and another kind made of them."""

import ipaddress
import math
import uuid
from typing import Any

from whence.collect.ottl.calculate import equal, kind_name
from whence.collect.ottl.errors import Failure
from whence.collect.ottl.functions import Number, converter
from whence.collect.ottl.moments import Duration, Time
from whence.collect.records.luhn import is_card_number
from whence.collect.records.plain import as_double, as_int, as_string
from whence.collect.records.walk import Place


@converter("Int")
def int_(value: Any) -> int | None:
    """A whole number; nil of what is none."""
    return as_int(value)


@converter("Double")
def double(value: Any) -> float | None:
    """A floating-point number; nil of what is none."""
    return as_double(value)


@converter("String")
def string(value: Any) -> str | None:
    """Text; nil of nil."""
    if isinstance(value, (Time, Duration)):
        raise Failure(f"String: expected no {kind_name(value)}; use FormatTime")
    return None if value is None else as_string(value)


@converter("Bool")
def bool_(value: Any) -> bool | None:
    """A truth: of a number, whether it is not zero; of text, `true`, `false`, `1`, `0` and their like."""
    if isinstance(value, str):
        return {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}.get(value.lower())
    return bool(value) if isinstance(value, (bool, int, float)) else None


@converter("ParseInt")
def parse_int(target: str, base: int) -> int:
    """The whole number that the text says in a base from 2 to 36; 0: as it is written (0x, 0o, 0b)."""
    try:
        found = int(target, base)
    except ValueError:
        raise Failure("ParseInt: not a whole number in that base, which must be 0 or 2 to 36") from None
    if as_int(found) is None:
        raise Failure("ParseInt: the number has more than 64 bits")
    return found


@converter("IsString")
def is_string(value: Any) -> bool:
    """Whether it is text."""
    return isinstance(value, str)


@converter("IsInt")
def is_int(value: Any) -> bool:
    """Whether it is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


@converter("IsDouble")
def is_double(value: Any) -> bool:
    """Whether it is a floating-point number."""
    return isinstance(value, float)


@converter("IsBool")
def is_bool(value: Any) -> bool:
    """Whether it is a truth."""
    return isinstance(value, bool)


@converter("IsMap")
def is_map(value: Any) -> bool:
    """Whether it is a map."""
    return isinstance(value, dict)


@converter("IsList")
def is_list(value: Any) -> bool:
    """Whether it is a list."""
    return isinstance(value, list)


@converter("IsRootSpan")
def is_root_span(place: Place) -> bool:
    """Whether the span has no parent."""
    return place.record is not None and not place.record.get("parentSpanId")


@converter("IsInCIDR")
def is_in_cidr(target: str, networks: list[Any]) -> bool:
    """Whether an address is in one of the networks."""
    try:
        address = ipaddress.ip_address(target)
        return any(address in ipaddress.ip_network(network, strict=False) for network in networks)
    except (ValueError, TypeError):
        raise Failure("IsInCIDR: not an address, or not a network") from None


@converter("IsValidLuhn")
def is_valid_luhn(value: Any) -> bool:
    """Whether the digits have a right check digit."""
    return is_card_number(as_string(value), shortest=2)


@converter("Len")
def len_(target: Any) -> int:
    """Characters of text, items of a list, keys of a map, bytes."""
    if isinstance(target, (str, bytes, list, dict)):
        return len(target)
    raise Failure(f"Len: expected a text, a list or a map, not {kind_name(target)}")


@converter("Index")
def index(target: Any, value: Any) -> int:
    """Where the value is in a list, or a text in a text; -1 where it is not."""
    if isinstance(target, str) and isinstance(value, str):
        return target.find(value)
    if isinstance(target, list):
        return next((n for n, item in enumerate(target) if equal(item, value)), -1)
    raise Failure(f"Index: expected a list or a text, not {kind_name(target)}")


@converter("ContainsValue")
def contains_value(target: list[Any], item: Any) -> bool:
    """Whether a list has the item."""
    return any(equal(one, item) for one in target)


@converter("Keys")
def keys(target: dict[str, Any]) -> list[str]:
    """The keys of a map."""
    return list(target)


@converter("Values")
def values(target: dict[str, Any]) -> list[Any]:
    """The values of a map."""
    return list(target.values())


@converter("Sort")
def sort(target: list[Any], order: str = "asc") -> list[Any]:
    """In order, `asc` or `desc`; numbers by value, all else as text."""
    if order not in ("asc", "desc"):
        raise Failure('Sort: expected "asc" or "desc" for order')
    numbers = all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in target)
    return sorted(target, key=None if numbers else as_string, reverse=order == "desc")


@converter("Coalesce")
def coalesce(values: list[Any]) -> Any:
    """The first that is not nil."""
    return next((value for value in values if value is not None), None)


@converter("Log")
def log(value: Number) -> float:
    """The natural logarithm."""
    if value <= 0:
        raise Failure("Log: expected a number above zero")
    return math.log(value)


@converter("Hex")
def hex_(value: Any) -> str:
    """Bytes, a text's UTF-8, or a whole number in hex."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int) and not isinstance(value, bool):
        return (value & ((1 << 64) - 1)).to_bytes(8, "big").hex()
    raise Failure(f"Hex: expected bytes, a text or an int, not {kind_name(value)}")


@converter("TraceID")
def trace_id(value: Any) -> bytes:
    """A trace id of 16 bytes or 32 hex digits."""
    return _identity("TraceID", value, 16)


@converter("SpanID")
def span_id(value: Any) -> bytes:
    """A span id of 8 bytes or 16 hex digits."""
    return _identity("SpanID", value, 8)


def _identity(function: str, value: Any, size: int) -> bytes:
    try:
        data = bytes.fromhex(value) if isinstance(value, str) else value
    except ValueError:
        data = None
    if not isinstance(data, bytes) or len(data) != size:
        raise Failure(f"{function}: expected {size} bytes, or {2 * size} hex digits")
    return data


@converter("UUID")
def uuid_() -> str:
    """A random UUID, version 4."""
    return str(uuid.uuid4())
