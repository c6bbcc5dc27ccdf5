"""Log records and spans as the SDK, a program or a mischief may make them, for tests that hold the two encoders together."""

import enum
import math
from collections import OrderedDict, UserDict
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from build_otlp import EXACT, KEYS, LOSSY, RESOURCE, SCOPE, TEXT, TIME, a_log, nested
from whence.event import names
from whence.record.otel import ReadableLogRecord, SeverityNumber


class Text(str):
    """Text that is not quite text."""

    def __str__(self) -> str:
        return "something else"


class Number(int):
    """A number that is not quite one."""

    def __int__(self) -> int:
        return 7


class Fraction(float):
    """The same of a float."""


class Map(dict[Any, Any]):
    """A dict that says what it likes."""

    def items(self) -> Any:
        return [("said", 1)]


class Color(enum.Enum):
    RED = "red"
    TWO = 2


class Level(enum.IntEnum):
    HIGH = 9


class Raising:
    """Raises at whatever a program may ask it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # hypothesis asks for such
            raise AttributeError(name)
        raise RuntimeError(f"no {name}")

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __bool__(self) -> bool:
        raise RuntimeError("neither")


class Foreign(Mapping[str, Any]):
    """A mapping from outside, with no `copy`."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values_ = values

    def __getitem__(self, key: str) -> Any:
        return self.values_[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def _circle() -> list[Any]:
    circle: list[Any] = [1]
    circle.append(circle)
    return circle


def _deep(levels: int) -> Any:
    value: Any = "leaf"
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


_ODD: Final[list[Any]] = (
    [
        Text("x"), Number(5), Fraction(0.5), Map(a=1), Color.RED, Color.TWO, Level.HIGH, Raising(), object, _circle(),
        _deep(30), _deep(31), _deep(32), _deep(70), Decimal("1.5"), bytearray(b"ba"), memoryview(b"mv"), {1, 2}, {1: 2},
        {"a": {Text("k"): 1}}, {None: 1}, {"\ud800": 1}, range(3), OrderedDict(a=1), Foreign({"a": 1}), "\ud83d\ude00",
        10**4000, -(1 << 63), (1 << 63) - 1, 1 << 63, math.nan, -math.inf, -0.0, 5e-324, 1e-5, 1e16, 1.7e308, "", b"", [],
        (), {}, ((),), [None], "\x00\x1f\x7f\"\\/\u2028\U0010ffff", "e\u0301", True, False, None,
    ]
)  # fmt: skip
ODD: st.SearchStrategy[Any] = st.integers(0, len(_ODD) - 1).map(_ODD.__getitem__)
"""Values at the edges of what is usual, and beyond."""


class Field(NamedTuple):
    """What a field usually holds, and what else it may."""

    usual: st.SearchStrategy[Any]
    odd: st.SearchStrategy[Any] = ODD


def _made(make: Callable[..., Any], **fields: Field) -> st.SearchStrategy[Any]:
    """Objects all of whose fields are usual, or all but one or two: of many oddities only the first would show."""

    @st.composite
    def made(draw: st.DrawFn) -> Any:
        odd = draw(st.sets(st.sampled_from(sorted(fields)), max_size=2)) if draw(st.booleans()) else ()
        return make(**{name: draw(field.odd if name in odd else field.usual) for name, field in fields.items()})

    return made()


VALUE = Field(EXACT, nested(ODD | LOSSY | EXACT))
_DICTS = st.dictionaries(KEYS, VALUE.usual, max_size=4)


def _attributes(keys: st.SearchStrategy[str]) -> Field:
    """Attributes in what may hold them."""
    usual = st.dictionaries(keys, EXACT, max_size=4)
    odd = st.dictionaries(keys | st.just(names.LOSSY), VALUE.odd, max_size=3)
    odd_text = st.dictionaries(keys, TEXT, max_size=3)
    return Field(
        st.none() | usual | usual.map(_bounded),
        odd
        | usual.map(MappingProxyType)
        | usual.map(_bounded).map(MappingProxyType)
        | odd_text.map(lambda values: _bounded(values, 1))
        | odd.map(MappingProxyType)
        | odd.map(Foreign)
        | odd.map(UserDict)
        | odd.map(Map)
        | st.sampled_from([(), 0, "text", [("a", 1)], Raising(), {1: 2}, {Text("k"): 1}, MappingProxyType({})]),
    )


def _bounded(values: Mapping[str, Any], most: int | None = None) -> BoundedAttributes:
    return BoundedAttributes(most, values, immutable=False)


def _one_of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


ATTRIBUTES = _attributes(KEYS)
TIMES = Field(_one_of(TIME, TIME + 5, 0, None, (1 << 64) - 1), ODD | _one_of(1 << 64, -1, 1.7e18, 0.0))
TEXTS = Field(st.none() | TEXT, ODD | LOSSY)
NAMES = Field(TEXT, ODD | LOSSY)
SPAN_IDS = Field(st.integers(0, (1 << 64) - 1), ODD | _one_of(1 << 64, -1))
TRACE_IDS = Field(st.integers(0, (1 << 128) - 1) | _one_of(5, 5), ODD | _one_of(1 << 128, -1))
FLAGS = Field(_one_of(TraceFlags(0), TraceFlags(1), TraceFlags(0x1FF), 3), ODD | _one_of(-1, 0x101, "1"))
NUMBERS = _one_of(13, SimpleNamespace(value=4), SimpleNamespace(value=-3), SimpleNamespace(value=True), *SpanKind)
SEVERITIES = Field(_one_of(None, *SeverityNumber), ODD | NUMBERS)
COUNTS = Field(_one_of(0, 0, 3), ODD | _one_of(-1, 1 << 70))
RESOURCES = Field(_one_of(RESOURCE, RESOURCE, Resource({"pad": "p" * 50}), None))
SCOPES = Field(_one_of(SCOPE, SCOPE, InstrumentationScope("s" * 30), None))
STATES = Field(_one_of(TraceState(), TraceState([("a", "1"), ("b", "2")]), None), ODD | _one_of({"a": "1"}))
TRUTHS = Field(st.booleans())

_RECORDS: st.SearchStrategy[Any] = _made(
    SimpleNamespace,
    timestamp=TIMES, observed_timestamp=TIMES, severity_number=SEVERITIES, severity_text=TEXTS, event_name=TEXTS, body=VALUE,
    attributes=ATTRIBUTES, trace_id=TRACE_IDS, span_id=SPAN_IDS, trace_flags=FLAGS,
)  # fmt: skip
_PLACE = {"resource": RESOURCES, "instrumentation_scope": SCOPES}
LOGS: st.SearchStrategy[Any] = (
    _made(ReadableLogRecord, log_record=Field(_RECORDS), **_PLACE)
    | _made(SimpleNamespace, log_record=Field(_RECORDS), dropped_attributes=COUNTS, **_PLACE)
    | _made(a_log, attributes=Field(_DICTS, _DICTS), body=VALUE, time=TIMES)
    | ODD
)

_CONTEXTS: st.SearchStrategy[Any] = _made(
    SpanContext,
    trace_id=TRACE_IDS._replace(odd=st.just(1 << 128)), span_id=SPAN_IDS._replace(odd=st.just(1 << 64)), is_remote=TRUTHS,
    trace_flags=FLAGS, trace_state=STATES,
) | _made(
    SimpleNamespace, trace_id=TRACE_IDS, span_id=SPAN_IDS, is_remote=TRUTHS, trace_flags=FLAGS, trace_state=STATES
)  # fmt: skip
_STATUSES = _one_of(Status(), Status(StatusCode.OK), Status(StatusCode.ERROR, "broken")) | _made(
    SimpleNamespace, status_code=Field(_one_of(*StatusCode), ODD | NUMBERS), description=TEXTS
)
_EVENT_ATTRIBUTES = _attributes(KEYS | st.just(names.PROJECTION))
_EVENTS = _made(Event, name=NAMES, attributes=_EVENT_ATTRIBUTES, timestamp=TIMES) | _made(
    SimpleNamespace, name=NAMES, attributes=_EVENT_ATTRIBUTES, timestamp=TIMES, dropped_attributes=COUNTS
)
_LINKS = _made(Link, context=Field(_CONTEXTS), attributes=ATTRIBUTES)
SPANS: st.SearchStrategy[Any] = (
    _made(
        ReadableSpan,
        name=NAMES,
        context=Field(_CONTEXTS),
        parent=Field(st.none() | _CONTEXTS),
        attributes=ATTRIBUTES,
        events=Field(st.lists(_EVENTS, max_size=3)),
        links=Field(st.lists(_LINKS, max_size=2)),
        kind=Field(_one_of(*SpanKind), ODD | NUMBERS),
        status=Field(_STATUSES),
        start_time=TIMES,
        end_time=TIMES,
        **_PLACE,
    )
    | ODD
)
