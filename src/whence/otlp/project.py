"""What log events look like to trace viewers, which show spans and span events only: projections, and the way back.

A log event with a recording span is projected to a span event on it; one without, to a span of no duration, linked to the
spans of its causes. A projection carries the event's id and the mark `whence.projection`; it is sent or served, never
stored, and read back as the event it came from.

The law: pure, and nothing is lost but when the event was observed, if that was not when it happened, and how many of its
attributes the SDK had dropped.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from whence.event import names
from whence.event.ids import parse_span_id
from whence.event.kinds import Severity
from whence.otlp.value import any_value, double, faithful, faithful_items, plain_value, said_lossy

AS_SPAN_EVENT: Final = "span_event"
AS_SPAN: Final = "span"
_MARKS: Final = frozenset({AS_SPAN_EVENT, AS_SPAN})
_OWN: Final = frozenset({names.PROJECTION, names.PROJECTED_SEVERITY, names.PROJECTED_DESCRIPTION, names.PROJECTED_JSON})
_ANY_VALUE: Final = frozenset(
    {"stringValue", "intValue", "boolValue", "doubleValue", "bytesValue", "arrayValue", "kvlistValue"}
)
_SCALARS: Final = frozenset({str, bool, int, float})
Flat = str | bool | int | float | list[str] | list[bool] | list[int] | list[float]


# --- there ----------------------------------------------------------------------------------------------------------------


def projected(
    attributes: Mapping[str, Any],
    severity: int | str | None,
    body: Any,
    mark: str,
    *,
    source: str | None = None,
) -> dict[str, Flat]:
    """A log event's attributes as viewers can show them: nested values as JSON text, and what is no attribute on a log.

    `severity`: its number, or the short name of one. `source`: the name of the log's instrumentation scope, where the
    span's is another. Values are kept or lost exactly as in the archive.
    """
    kept, same = faithful(body)
    lossy = [] if same else [names.BODY]
    values = dict(attributes)
    description = described(values, kept)
    if source is not None:
        values.setdefault(names.SOURCE, source)
    items, more = faithful_items(values)
    lossy += more
    nested = [key for key, value in items.items() if not _is_flat(value)]
    flat: dict[str, Flat] = {**items, **{key: json_text(items[key]) for key in nested}, names.PROJECTION: mark}
    if nested:
        flat[names.PROJECTED_JSON] = nested
    if lossy:
        flat[names.LOSSY] = said_lossy(items.get(names.LOSSY), lossy)
    if description is not None:
        flat[names.PROJECTED_DESCRIPTION] = description
    if (name := _severity_name(severity)) is not None:
        flat[names.PROJECTED_SEVERITY] = name
    return flat


def described(attributes: dict[str, Any], body: Any) -> str | None:
    """A log record's faithful body as its description, or, where it is not text, put among the attributes.

    Where an attribute has that name already, the description is the body's JSON text.
    """
    if body is None or isinstance(body, str):
        return body
    if names.BODY in attributes:
        return json_text(body)
    attributes[names.BODY] = body
    return None


class ProjectedLink(NamedTuple):
    """A link from an event's span to a cause's: the ids of the target as numbers, and what the link says."""

    trace_id: int
    span_id: int
    attributes: dict[str, str]


def projected_link(cause: str, effect: str, span: tuple[int, int] | None, trace_id: int) -> ProjectedLink:
    """The link to one cause. `span`: where the cause happened, if that is known.

    Else a `span:` id says so itself, and any other cause is taken to be shown as a span of its own in the effect's trace.
    """
    if span is None and (named := parse_span_id(cause)):
        span = int(named[0], 16), int(named[1], 16)
    target = span or (trace_id, projected_span_id(cause))
    return ProjectedLink(*target, {names.LINK: names.LINK_CAUSED_BY, names.CAUSE: cause, names.EFFECT: effect})


def projected_trace_id(run: str) -> int:
    """The trace in which a run's events without a span of their own appear: one trace a run."""
    return _number(run, 16, b"whence-trace")


def projected_span_id(event_id: str) -> int:
    """The span that an event without a span of its own appears as: always the same for the same event."""
    return _number(event_id, 8, b"whence-span")


def _number(text: str, size: int, person: bytes) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size, person=person).digest())


def _severity_name(severity: int | str | None) -> str | None:
    if isinstance(severity, int):
        return Severity(severity).name if 1 <= severity <= len(Severity) else None
    return severity if severity in Severity.__members__ else None


def _is_flat(value: Any) -> bool:
    """Whether every trace viewer shows the value: a scalar, or a list of one kind of scalars."""
    if type(value) is not list:
        return type(value) in _SCALARS
    kinds = {type(item) for item in value}
    return len(kinds) <= 1 and kinds <= _SCALARS


def json_text(value: Any) -> str:
    """A faithful value as JSON text for people, which `json_value` reads back as it was.

    What JSON has no form for is written as the AnyValue it is in OTLP: bytes, numbers that are not finite, and a map that
    would look like one.
    """
    return orjson.dumps(_shown(value)).decode()


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and not _ANY_VALUE.isdisjoint(value):
            return any_value(value)
        return {key: _shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, bytes) or (isinstance(value, float) and isinstance(double(value), str)):
        return any_value(value)
    return value


# --- and back -------------------------------------------------------------------------------------------------------------


class Original(NamedTuple):
    """A log event as its projection tells it."""

    id: str
    attributes: dict[str, Any]
    severity: Severity | None
    description: str | None


def original(found: dict[str, Any]) -> Original | None:
    """The log event that the attributes of a span event or span project, or None where they project none.

    Raises ValueError or TypeError where what should be JSON text is none.
    """
    event_id = found.get(names.ID)
    if found.get(names.PROJECTION) not in _MARKS or not isinstance(event_id, str) or not event_id:
        return None
    attributes = {key: value for key, value in found.items() if key not in _OWN and key != names.ID}
    nested = found.get(names.PROJECTED_JSON)
    for key in nested if isinstance(nested, list) else ():
        if key in attributes:
            attributes[key] = json_value(attributes[key])
    description = found.get(names.PROJECTED_DESCRIPTION)
    return Original(
        event_id,
        attributes,
        Severity.__members__.get(str(found.get(names.PROJECTED_SEVERITY))),
        description if isinstance(description, str) else None,
    )


def json_value(text: str) -> Any:
    """The value that `json_text` wrote. Raises ValueError or TypeError for what is no JSON text."""
    return _meant(orjson.loads(text))


def _meant(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and not _ANY_VALUE.isdisjoint(value):
            return plain_value(value)
        return {key: _meant(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_meant(item) for item in value]
    return value
