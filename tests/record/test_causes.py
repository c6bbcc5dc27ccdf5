"""What `caused_by` accepts, and how ambient causes nest, clear, and cross contexts and processes."""

import asyncio
import contextvars
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from whence.errors import EventError
from whence.event.model import Event
from whence.record import causes
from whence.record.causes import (
    Cause,
    EventRef,
    ambient,
    ambient_correlation,
    because,
    carried,
    carry,
    causes_of,
    correlation,
)

SPAN = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))
SPAN_ID = f"span:{0xABC:032x}-{0xDEF:016x}"


def here() -> tuple[Cause, ...]:
    found = ambient(context.get_current())
    return found.causes if found else ()


def test_everything_that_names_an_event_is_a_cause() -> None:
    """A reference, an event, an id, a span, a span context and lists of them all become causes, each once, in order."""
    event = Event(id="e2", type="x", time=0, trace_id=f"{0xABC:032x}", span_id=f"{0xDEF:016x}")
    found = causes_of([EventRef("e1", "x"), event, "e3", NonRecordingSpan(SPAN), SPAN, None, "e1"])
    assert [cause.id for cause in found] == ["e1", "e2", "e3", SPAN_ID]
    assert found[1].span is not None
    assert found[1].span.span_id == 0xDEF


def test_an_id_of_a_span_names_its_span() -> None:
    """`span:<trace>-<span>` given as text becomes a linkable cause."""
    (found,) = causes_of(SPAN_ID)
    assert found.span is not None
    assert (found.span.trace_id, found.span.span_id) == (0xABC, 0xDEF)


@pytest.mark.parametrize("wrong", [7, 1.5, [object()], {"a": 1}.items()])
def test_what_names_no_event_is_refused_with_what_is_accepted(wrong: object) -> None:
    """A wrong cause is the caller's error, and the message lists what may be given."""
    with pytest.raises(EventError, match="caused_by takes what emit returned"):
        causes_of(wrong)  # type: ignore[arg-type]


def test_because_nests_and_clears() -> None:
    """The innermost because counts, None clears, and leaving restores the outer one."""
    with because("a"):
        with because(["b", "c"]):
            assert [cause.id for cause in here()] == ["b", "c"]
            with because(None):
                assert here() == ()
        assert [cause.id for cause in here()] == ["a"]
    assert here() == ()


def test_because_follows_asyncio_tasks() -> None:
    """Tasks started inside because see its causes; tasks started elsewhere do not."""

    async def seen() -> tuple[Cause, ...]:
        await asyncio.sleep(0)
        return here()

    async def main() -> tuple[tuple[Cause, ...], tuple[Cause, ...]]:
        with because("a"):
            inside = asyncio.create_task(seen())
        outside = asyncio.create_task(seen())
        return await inside, await outside

    inside, outside = asyncio.run(main())
    assert [cause.id for cause in inside] == ["a"]
    assert outside == ()


def test_because_goes_to_a_thread_with_a_copied_context() -> None:
    """A copied context carries the causes into a thread pool, as it carries every OpenTelemetry value."""
    with ThreadPoolExecutor(1) as pool:
        with because("a"):
            copied = contextvars.copy_context()
        assert [cause.id for cause in pool.submit(copied.run, here).result()] == ["a"]
        assert pool.submit(here).result() == ()


def test_causes_and_correlation_survive_the_trip_to_another_process() -> None:
    """What `carry` gives is plain text, and `carried` restores causes with their spans, and the correlation."""
    with because([EventRef("e1", "x", span_context=SPAN), "e 2;=,%"]), correlation("order-7"):
        carrier = carry()
    assert all(isinstance(value, str) and value.isascii() for value in carrier.values())
    with context_cleared(), carried(carrier):
        assert here() == (Cause("e1", here()[0].span), Cause("e 2;=,%", None))
        assert here()[0].span is not None
        assert (here()[0].span.trace_id, here()[0].span.span_id) == (0xABC, 0xDEF)  # type: ignore[union-attr]
        assert ambient_correlation(context.get_current()) == "order-7"
    assert here() == ()


@given(st.text(max_size=200))
def test_no_baggage_from_outside_can_break_anything(text: str) -> None:
    """Baggage is written by others: whatever stands in it gives causes or none, and never an error."""
    found = causes._from_baggage(text)
    assert len(found) <= causes.MAX_IN_BAGGAGE


def test_baggage_is_bounded_and_keeps_the_latest() -> None:
    """A turn with 300 causes does not fill the 8 KiB that all baggage shares."""
    with because([f"e{n}" for n in range(300)]):
        carrier = carry()
        assert len(here()) == 300
    with carried(carrier):
        assert [cause.id for cause in here()] == [f"e{n}" for n in range(300 - causes.MAX_IN_BAGGAGE, 300)]


def test_the_memory_of_spans_is_bounded() -> None:
    """However many events name a span, only the latest are remembered."""
    for n in range(causes.MAX_KNOWN_SPANS + 10):
        causes.remember_span(f"bounded-{n}", SPAN)
    assert len(causes._known_spans) <= causes.MAX_KNOWN_SPANS
    assert causes_of("bounded-0")[0].span is None
    assert causes_of(f"bounded-{causes.MAX_KNOWN_SPANS + 9}")[0].span is SPAN


def test_a_reference_can_be_pickled_with_its_span() -> None:
    """References go to pool workers as arguments, and still become links there."""
    ref = EventRef("e1", "x", "run", 3, SPAN)
    again = pickle.loads(pickle.dumps(ref))
    assert (again, again.seq, again.span_context) == (ref, 3, SPAN)


class context_cleared:
    """An empty OpenTelemetry context, as in another process."""

    def __enter__(self) -> None:
        self.token = context.attach(context.Context())

    def __exit__(self, *exception: object) -> None:
        context.detach(self.token)


def test_the_span_active_at_because_is_the_anchor() -> None:
    """Spans directly under it are first effects; the context remembers which span that is."""
    token = context.attach(set_span_in_context(NonRecordingSpan(SPAN)))
    try:
        with because("a"):
            found = ambient(context.get_current())
            assert found is not None
            assert found.anchor == 0xDEF
    finally:
        context.detach(token)
