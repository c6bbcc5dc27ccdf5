"""What log events look like to trace viewers, which show spans and span events only: projections, and the way back.

A log event with a recording span is projected to a span event on it; one without, to a span of no duration, linked to the
spans of its causes. A projection carries the event's id and the mark `whence.projection`; it is sent or served, never
stored, and read back as the event it came from.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

import orjson

from whence.event import names
from whence.event.flat import plain

AS_SPAN_EVENT: Final = "span_event"
AS_SPAN: Final = "span"
_OWN: Final = frozenset({names.PROJECTION, names.PROJECTED_SEVERITY, names.PROJECTED_DESCRIPTION, names.PROJECTED_JSON})
Flat = str | bool | int | float | list[str] | list[bool] | list[int] | list[float]


def projected(attributes: Mapping[str, Any], severity: str | None, description: Any, mark: str) -> dict[str, Flat]:
    """A log event's attributes as viewers can show them: nested values as JSON text, and what is no attribute on a log."""
    flat: dict[str, Flat] = {}
    nested = []
    for key, value in attributes.items():
        if _is_flat(value):
            flat[key] = list(value) if isinstance(value, tuple) else value
        else:
            flat[key] = _json(value)
            nested.append(key)
    flat[names.PROJECTION] = mark
    if nested:
        flat[names.PROJECTED_JSON] = nested
    if severity is not None:
        flat[names.PROJECTED_SEVERITY] = severity
    if isinstance(description, str):
        flat[names.PROJECTED_DESCRIPTION] = description
    return flat


def original_of_span_event(found: dict[str, Any]) -> dict[str, Any]:
    """The log event's own attributes, from those of its projection; the id is taken out."""
    nested = found.get(names.PROJECTED_JSON) or ()
    original = {key: value for key, value in found.items() if key not in _OWN and key != names.ID}
    for key in nested if isinstance(nested, list) else ():
        if isinstance(original.get(key), str):
            original[key] = orjson.loads(original[key])
    return original


original_of_span = original_of_span_event
"""The same for a projection to a span."""


def projected_trace_id(run: str) -> int:
    """The trace in which a run's events without a span of their own appear: one trace a run."""
    return int.from_bytes(
        blake2b(run.encode("utf-8", "surrogatepass"), digest_size=16, person=b"whence-trace").digest()
    )


def projected_span_id(event_id: str) -> int:
    """The span that an event without a span of its own appears as: always the same for the same event."""
    return int.from_bytes(
        blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=8, person=b"whence-span").digest()
    )


def _is_flat(value: Any) -> bool:
    """Whether every trace viewer shows the value: a scalar, or a list of one kind of scalars."""
    if isinstance(value, (str, bool, int, float)):
        return True
    if not isinstance(value, (tuple, list)):
        return False
    kinds = {type(item) for item in value}
    return len(kinds) <= 1 and kinds <= {str, bool, int, float}


def _json(value: Any) -> str:
    try:
        return orjson.dumps(plain(value)).decode()
    except TypeError:
        return orjson.dumps(str(value).encode("utf-8", "backslashreplace").decode()).decode()
