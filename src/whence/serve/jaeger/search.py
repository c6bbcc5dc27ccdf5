"""What Jaeger can search for, as filters: what a span must say itself, and what it or an event on it must say.

The law: pure. Attributes are compared by the text that OpenTelemetry's `AsString` has for a value, whatever its type.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from whence.event import names
from whence.event.kinds import Severity
from whence.filter.selection import joined
from whence.filter.tree import (
    Among,
    Both,
    Compare,
    Contains,
    Either,
    Exists,
    Filter,
    Negation,
    Operator,
    Path,
)
from whence.serve.jaeger.service import NO_SERVICE

SPAN_KINDS: Final = ("", "internal", "server", "client", "producer", "consumer")
"""By their number in OTLP; the first is a span that says none."""
ERROR: Final = Severity.ERROR.value
_LONG: Final = 1 << 63
_DEEP: Final = 8
"""Levels of a list or map that are compared by its JSON."""

IS_SPAN: Final = Both((Compare(Path("signal"), "=", "span"), Exists(Path("trace_id")), Exists(Path("span_id"))))
IS_LOG_EVENT: Final = Both((Compare(Path("signal"), "=", "log"), Compare(Path("type"), "!=", "")))
"""Log records that name an event: those that are projected."""
SHOWN: Final[Filter] = Either((IS_SPAN, IS_LOG_EVENT))
"""What may be shown as a span."""
SPAN_EVENTS: Final[Filter] = Compare(Path("signal"), "=", "span_event")
ON_SPAN: Final = Both((Exists(Path("trace_id")), Exists(Path("span_id"))))
FAILED: Final = Compare(Path("severity"), ">=", ERROR)
_SERVICE: Final = Path("resource", (names.SERVICE_NAME,))
_STATUS: Final = Path("status")


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked for. Times in ns since the epoch, durations in ns; 0 is no bound, an empty text anything."""

    service: str = ""
    operation: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Each compared with the text of a value on the span, its scope, its resource, or an event or link of the same span."""
    start_min: int = 0
    start_max: int = 0
    """Of a span's start, both bounds inclusive."""
    duration_min: int = 0
    duration_max: int = 0
    """Of one span, both inclusive."""
    depth: int = 100
    """How many traces at most."""


class Said(NamedTuple):
    """One attribute that is asked for: the filter of a span that says it itself, and of an event that says it on its span."""

    key: str
    on_span: Filter
    on_event: Filter | None
    """None for what only a span can say."""
    on_link: bool = False
    """Whether a link may say it too, which only the lines know."""


def spans_of(search: Search) -> Filter:
    """The filter of spans, and of log events that are shown as spans of no duration, but for the attributes."""
    shown = joined([IS_SPAN, *bounds("duration_ns", search.duration_min, search.duration_max)])
    if search.duration_min <= 0:
        shown = Either((shown, IS_LOG_EVENT))
    parts: list[Filter] = [shown, *bounds("time", search.start_min, search.start_max)]
    if search.service:
        parts.append(of_service(search.service))
    if search.operation:
        parts.append(Compare(Path("type"), "=", search.operation))
    return joined(parts)


def events_of(search: Search, said: list[Said]) -> Filter | None:
    """The filter of events on spans that say one of the attributes; None where none of them can."""
    wanted = [one.on_event for one in said if one.on_event is not None]
    if not wanted:
        return None
    shown = Either((SPAN_EVENTS, IS_LOG_EVENT))
    return joined([shown, ON_SPAN, *bounds("time", search.start_min), _any(wanted)])


def of_service(service: str) -> Filter:
    """Everything of a service."""
    same = _text(_SERVICE, service)
    return _any([same, Negation(Exists(_SERVICE))]) if service == NO_SERVICE else same


def bounds(name: str, least: int = 0, most: int = 0) -> list[Filter]:
    """The filters that bound a field, both ends inclusive; 0 is no bound."""
    ends: tuple[tuple[Operator, int], ...] = ((">=", least), ("<=", most))
    return [Compare(Path(name), operator, min(end, _LONG - 1)) for operator, end in ends if end > 0]


def _any(parts: list[Filter]) -> Filter:
    flat: list[Filter] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, Either) else (part,))
    return flat[0] if len(flat) == 1 else Either(tuple(dict.fromkeys(flat)))


# --- attributes -----------------------------------------------------------------------------------------------------------


def said_of(key: str, value: str) -> Said:
    """One attribute of a search."""
    if key in _SPECIAL:
        return Said(key, _SPECIAL[key](value), None)
    if key.startswith("resource.") and len(key) > len("resource."):
        return Said(key, _text(Path("resource", (key.removeprefix("resource."),)), value), None)
    own = _own(key, value)
    here = [says(key, value), *own]
    around = [_text(Path("resource", (key,)), value), _text(Path("scope", ("attributes", key)), value)]
    if key == names.LINK:
        around.append(Exists(Path("caused_by")) if value == names.LINK_CAUSED_BY else NOTHING)
    elif key == names.CAUSE:
        around.append(Contains(Path("caused_by"), value))
    on_event = [*here, Compare(Path("id"), "=", value)] if key == names.EFFECT else here
    linked = key not in (names.LINK, names.CAUSE, names.EFFECT)
    return Said(key, _any([*here, *around]), _any(on_event), linked)


def says(key: str, value: str) -> Filter:
    """That the attributes of something, be it a link, have this value under this key."""
    return _text(Path("attributes", (key,)), value)


NOTHING: Final[Filter] = Compare(Path("id"), "=", "")
"""No event: every one has an id."""


def _error(value: str) -> Filter:
    if value.lower() == "true":
        return _any([FAILED, _text(Path("attributes", ("error",)), "true")])
    if value.lower() == "false":
        return Either((Negation(Exists(Path("severity"))), Compare(Path("severity"), "<", ERROR)))
    return _text(Path("attributes", ("error",)), value)


def _span_status(value: str) -> Filter:
    match value.lower():
        case "error":
            return FAILED
        case "ok":
            return Both((IS_SPAN, Compare(_STATUS, "=", "ok"), _error("false")))
        case "unset":
            unset = Either((Negation(Exists(_STATUS)), Negation(Compare(_STATUS, "=", "ok"))))
            return Both((unset, _error("false")))
    return NOTHING


def of_kind(kind: str) -> Filter:
    """Spans of a kind, by its name in lower case; the empty text is a span that says none."""
    path = Path("attributes", (names.SPAN_KIND,))
    return Compare(path, "=", kind) if kind else Negation(Exists(path))


def _scope(name: str) -> Callable[[str], Filter]:
    return lambda value: Compare(Path("scope", (name,)), "=", value)


def _description(value: str) -> Filter:
    return Compare(Path("attributes", (names.SPAN_STATUS_MESSAGE,)), "=", value)


_SPECIAL: Final[dict[str, Callable[[str], Filter]]] = {
    "error": _error,
    "span.status": _span_status,
    "otel.status_code": _span_status,
    "otel.status_description": _description,
    names.SPAN_KIND: lambda value: of_kind(value.lower()),
    "scope.name": _scope("name"),
    "scope.version": _scope("version"),
    "otel.scope.name": _scope("name"),
    "otel.scope.version": _scope("version"),
}
"""Keys that Jaeger knows, or shows where OTLP has a field."""
_TEXTS: Final = {
    names.ID: "id", names.KIND: "kind", names.RUN: "run", names.AGENT: "agent", names.TASK: "task", names.STAGE: "stage",
    names.STATUS: "status", names.SOURCE: "source", names.CORRELATION: "correlation", names.SCHEMA: "schema",
    names.PROJECTED_DESCRIPTION: "description",
}  # fmt: skip
_WHOLES: Final = {names.SEQ: "seq", names.ELAPSED: "elapsed_ns", names.TURN: "turn"}


def own_field(key: str) -> Path | None:
    """The event's field in which whence keeps what a span says under this key."""
    name = _TEXTS.get(key) or _WHOLES.get(key)
    return Path(name) if name else None


def _own(key: str, value: str) -> list[Filter]:
    """What whence has a field for is no attribute in the index; nor is what stands in a payload."""
    if key in _TEXTS:
        return [Compare(Path(_TEXTS[key]), "=", value)]
    if key in _WHOLES:
        number = _whole(value)
        return [] if number is None else [Compare(Path(_WHOLES[key]), "=", number)]
    if key == names.CAUSED_BY:
        return [Contains(Path("caused_by"), value)]
    if key == names.PROJECTED_SEVERITY and value in Severity.__members__:
        return [Compare(Path("severity"), "=", Severity[value].value)]
    if key.startswith("payload.") and len(key) > len("payload."):
        return [_text(Path("payload", tuple(key.split(".")[1:])), value)]
    return []


def _text(path: Path, value: str, deep: int = _DEEP) -> Filter:
    """The value at a path is one whose text is this: a text, a number, true or false, or a list or map as its JSON."""
    found: list[Filter] = [Compare(path, "=", value)]
    if value in ("true", "false"):
        found.append(Compare(path, "=", value == "true"))
    elif (number := _number(value)) is not None:
        found.append(Compare(path, "=", number))
    elif value[:1] in ("[", "{") and deep:
        try:
            found += _nested(path, orjson.loads(value), deep)
        except orjson.JSONDecodeError:
            pass
    return _any(found)


def _nested(path: Path, value: Any, deep: int) -> list[Filter]:
    """A list or map that has just these items. What a map has besides cannot be asked for."""
    if isinstance(value, dict):
        items = [(str(key), item) for key, item in value.items()]
        more: list[Filter] = []
    else:
        items = [(str(place), item) for place, item in enumerate(value)]
        more = [Negation(Exists(Path(path.field, (*path.keys, str(len(value))))))]
    if not items:
        return []
    inner = [_text(Path(path.field, (*path.keys, key)), _text_of(item), deep - 1) for key, item in items]
    return [joined([*inner, *more])]


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _whole(text: str) -> int | None:
    """The 64-bit integer that is written so, and not otherwise."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19 or (digits[0] == "0" and text != "0"):
        return None
    number = int(text)
    return number if -_LONG <= number < _LONG else None


def _number(text: str) -> int | float | None:
    whole = _whole(text)
    return _fraction(text) if whole is None else whole


def _fraction(text: str) -> float | None:
    """The number that is written so, in Python's, JSON's or Go's way."""
    if not text or text[0] not in "-0123456789":
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    forms = {repr(number), orjson.dumps(number).decode(), repr(number).replace("e-0", "e-").replace("e+0", "e+")}
    return number if text in forms else None


def kinds_of(kind: str) -> Filter | None:
    """The filter of spans of a kind, for lists of operations; None where every kind is wanted."""
    return None if not kind else of_kind(kind.lower())


def of_traces(traces: list[str]) -> Filter:
    """Everything in these traces."""
    return Compare(Path("trace_id"), "=", traces[0]) if len(traces) == 1 else Among(Path("trace_id"), tuple(traces))


def of_runs_own(run: str | None) -> Filter:
    """The log events of a run that are in no trace: together they are shown as one."""
    path = Path("run")
    same: Filter = Negation(Exists(path)) if run is None else Compare(path, "=", run)
    return Both((IS_LOG_EVENT, same, Negation(Exists(Path("trace_id")))))
