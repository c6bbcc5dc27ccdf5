"""Causes while the program runs: what `caused_by` accepts, what is ambient, and how both cross processes.

Ambient causes live in the OpenTelemetry Context, so they follow whatever the context follows (asyncio tasks, copied
contexts, instrumented thread pools), and in baggage, so they cross processes through any instrumented client that uses
the standard propagators. Nothing is monkey-patched.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

from opentelemetry import baggage, context, propagate
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN_ID, Span, SpanContext, TraceFlags, get_current_span

from whence.errors import EventError
from whence.event import names
from whence.event.ids import parse_span_id, span_id_of
from whence.event.model import Event

_CAUSES: Final = context.create_key("whence-causes")
_CORRELATION: Final = context.create_key("whence-correlation")

MAX_IN_BAGGAGE: Final = 16
"""Causes carried across processes; more would crowd the 8,192 bytes that all baggage shares (W3C Baggage, 3.3.2)."""
MAX_KNOWN_SPANS: Final = 65_536
"""Event ids whose span this process remembers, so that a cause given by id alone still becomes a span link."""


class EventRef:
    """What `emit` gives back: enough to name the event as a cause, here or in another process.

    `id`; `type`; `run`; `seq` (None until a batch is committed); `span_context` of the span it happened in, or None.
    """

    __slots__ = ("id", "run", "seq", "span_context", "type")

    def __init__(
        self,
        id: str,
        type: str,
        run: str | None = None,
        seq: int | None = None,
        span_context: SpanContext | None = None,
    ) -> None:
        self.id = id
        self.type = type
        self.run = run
        self.seq = seq
        self.span_context = span_context

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EventRef) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"EventRef({self.id!r}, type={self.type!r}, run={self.run!r}, seq={self.seq})"

    def __reduce__(self) -> tuple[Any, ...]:
        # A reference goes to pool workers as a cause; a SpanContext pickles, so the link survives the trip.
        return (EventRef, (self.id, self.type, self.run, self.seq, self.span_context))


class Unrecorded(EventRef):
    """Stands for an event that verbosity suppressed. As a cause it is its own causes, so that no chain is cut."""

    __slots__ = ("causes",)

    def __init__(self, causes: "Causes") -> None:
        super().__init__("", "")
        self.causes = causes

    def __bool__(self) -> bool:
        return False


def through(caused_by: "Causes") -> EventRef | None:
    """What emit gives back for a suppressed event: the one cause it has, itself; several, in one piece; none, None."""
    if caused_by is None or isinstance(caused_by, EventRef):
        return caused_by
    return Unrecorded(caused_by)


class Cause(NamedTuple):
    """One cause: its event id, and the span it happened in where that is known."""

    id: str
    span: SpanContext | None = None


class Ambient(NamedTuple):
    """What `because` put into a context: the causes, and the span that was active then.

    Only spans started directly under that span are linked to the causes; deeper ones are caused by their parents.
    """

    causes: tuple[Cause, ...]
    anchor: int


OneCause = EventRef | Event | str | Span | SpanContext | None
Causes = OneCause | Iterable[OneCause]

_known_spans: dict[str, SpanContext] = {}


def remember_span(event_id: str, span: SpanContext) -> None:
    """Note in which span an event happened, forgetting the oldest beyond `MAX_KNOWN_SPANS`."""
    _known_spans[event_id] = span
    if len(_known_spans) > MAX_KNOWN_SPANS:
        try:
            del _known_spans[next(iter(_known_spans))]
        except (KeyError, StopIteration, RuntimeError):
            pass  # another thread has just forgotten one: the map is back within its bound


def causes_of(caused_by: Causes) -> tuple[Cause, ...]:
    """Everything `caused_by` accepts, as causes in the order given, each once; None stands for no cause.

    Raises EventError for anything that is not an event, an id, a span, a span context or an iterable of these.
    """
    if caused_by is None:
        return ()
    if isinstance(caused_by, Unrecorded):
        return causes_of(caused_by.causes)
    if isinstance(caused_by, (EventRef, str, Event, Span, SpanContext)):
        return (_cause(caused_by),)
    if not isinstance(caused_by, Iterable):
        raise EventError(
            f"cannot take {type(caused_by).__name__} as a cause: "
            "caused_by takes what emit returned, an event, an event id, a span, a span context, or a list of them"
        )
    found: dict[str, Cause] = {}
    for one in caused_by:
        if one is not None:
            for cause in causes_of(one.causes) if isinstance(one, Unrecorded) else (_cause(one),):
                found.setdefault(cause.id, cause)
    return tuple(found.values())


def _cause(one: Any) -> Cause:
    if isinstance(one, EventRef):
        return Cause(one.id, one.span_context)
    if isinstance(one, str):
        return Cause(one, _known_spans.get(one) or _span_named(one))
    if isinstance(one, Event):
        span = _span_context(one.trace_id, one.span_id) if one.trace_id and one.span_id else None
        return Cause(one.id, span)
    if isinstance(one, Span):
        one = one.get_span_context()
    if isinstance(one, SpanContext):
        return Cause(span_id_of(f"{one.trace_id:032x}", f"{one.span_id:016x}"), one if one.is_valid else None)
    raise EventError(
        f"cannot take {type(one).__name__} as a cause: "
        "caused_by takes what emit returned, an event, an event id, a span, a span context, or a list of them"
    )


def _span_named(event_id: str) -> SpanContext | None:
    named = parse_span_id(event_id)
    return _span_context(*named) if named else None


def _span_context(trace_id: str, span_id: str) -> SpanContext | None:
    try:
        found = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(1))
    except ValueError:
        return None
    return found if found.is_valid else None


# --- ambient ----------------------------------------------------------------------------------------------------------


def ambient(ctx: Context) -> Ambient | None:
    """The causes in force in a context: of the innermost `because` here, else those that arrived in baggage."""
    if not ctx:
        return None  # most programs emit most events in an empty context
    here = ctx.get(_CAUSES)
    if here is not None:
        return here  # type: ignore[return-value]
    arrived = baggage.get_baggage(names.BAGGAGE_CAUSED_BY, ctx)
    if not isinstance(arrived, str) or not arrived:
        return None
    return Ambient(_from_baggage(arrived), INVALID_SPAN_ID)


def ambient_correlation(ctx: Context) -> str | None:
    """The correlation id in force in a context, set here or arrived in baggage."""
    if not ctx:
        return None
    here = ctx.get(_CORRELATION) or baggage.get_baggage(names.BAGGAGE_CORRELATION, ctx)
    return here if isinstance(here, str) else None


@contextmanager
def because(cause: Causes) -> Iterator[None]:
    """Everything emitted inside, and every span started directly inside, is caused by `cause`.

    The innermost `because` counts, and `caused_by=` on an event counts before it. `because(None)` clears.
    """
    causes = causes_of(cause)
    ctx = context.get_current()
    anchor = get_current_span(ctx).get_span_context().span_id
    ctx = context.set_value(_CAUSES, Ambient(causes, anchor), ctx)
    ctx = baggage.set_baggage(names.BAGGAGE_CAUSED_BY, _to_baggage(causes), ctx)
    token = context.attach(ctx)
    try:
        yield
    finally:
        context.detach(token)


@contextmanager
def correlation(correlation_id: str) -> Iterator[None]:
    """Everything emitted inside carries this correlation id, in this process and in those it calls."""
    ctx = context.set_value(_CORRELATION, correlation_id)
    token = context.attach(baggage.set_baggage(names.BAGGAGE_CORRELATION, correlation_id, ctx))
    try:
        yield
    finally:
        context.detach(token)


def carry() -> dict[str, str]:
    """The current trace, causes and correlation as a plain dict, to hand to a process pool, a queue or a child process."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


@contextmanager
def carried(carrier: Mapping[str, str]) -> Iterator[None]:
    """Go on, in another process, thread or later message, where `carry` was called."""
    token = context.attach(propagate.extract(carrier))
    try:
        yield
    finally:
        context.detach(token)


def _to_baggage(causes: tuple[Cause, ...]) -> str:
    return " ".join(
        quote(cause.id, safe=":#") + (f"@{cause.span.trace_id:032x}-{cause.span.span_id:016x}" if cause.span else "")
        for cause in causes[-MAX_IN_BAGGAGE:]
    )


def _from_baggage(text: str) -> tuple[Cause, ...]:
    """Causes from another process. What is not in the expected form is taken as an id: it came from outside."""
    found = []
    for item in text.split()[:MAX_IN_BAGGAGE]:
        quoted, _, where = item.partition("@")
        event_id = unquote(quoted)
        trace, _, span = where.partition("-")
        found.append(Cause(event_id, _span_context(trace, span) if span else _known_spans.get(event_id)))
    return tuple(found)
