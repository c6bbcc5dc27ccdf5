"""What stands in a span of OTLP JSON, whoever wrote it: ids, times, values, and the warnings that Jaeger has among attributes.

The law: pure, and never raises: a field that is not there, or is no use, is empty, 0 or None.
"""

from collections.abc import Iterable
from typing import Any, Final

from whence.otlp.shown import Json
from whence.otlp.value import plain_value

WARNINGS: Final = "@jaeger@warnings"
"""The attribute of a span in which Jaeger keeps its warnings."""


def span_of(span: Json) -> str:
    """The id of a span, or of the one that a link leads to."""
    return str(span.get("spanId") or "").lower()


def parent_of(span: Json) -> str:
    """The id of a span's parent; empty where it has none."""
    return str(span.get("parentSpanId") or "").lower()


def ns_of(written: Any) -> int:
    """A time as it is written."""
    try:
        return int(written or 0)
    except (ValueError, TypeError, OverflowError):
        return 0


def times_of(span: Json) -> tuple[int, int]:
    """When a span began and when it ended."""
    return ns_of(span.get("startTimeUnixNano")), ns_of(span.get("endTimeUnixNano"))


def number_of(written: Any) -> int:
    """A kind or a status code as it is written."""
    return written if isinstance(written, int) else 0


def plain_of(pair: Json) -> Any:
    """The value of an attribute; None where there is none."""
    try:
        return plain_value(pair.get("value")) if pair.get("value") else None
    except (ValueError, TypeError, AttributeError, OverflowError):
        return None


def warnings_in(attributes: Iterable[Json]) -> list[str]:
    """The warnings among the attributes of a span."""
    found: list[str] = []
    for pair in [pair for pair in attributes if pair.get("key") == WARNINGS]:
        if (value := plain_of(pair)) is not None:
            found += map(str, value) if isinstance(value, list) else [str(value)]
    return found
