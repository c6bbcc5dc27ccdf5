"""Span links as causes: of the span, unless they name an event in it as their effect."""

from build import TRACE, a_span, an_event
from whence.causality.checks import check
from whence.causality.graph import Graph
from whence.event import names
from whence.otlp.decode import Place, events_of


def test_a_link_made_for_an_event_in_a_span_is_no_cause_of_the_whole_span() -> None:
    """The span began before that cause happened; the event itself has its cause recorded."""
    span = a_span(span="a" * 16, time=1_000_000_000, took=60_000_000_000)
    cause = an_event("cause", span="b" * 16, time=30_000_000_000)
    effect = an_event("effect", cause, span="a" * 16, time=31_000_000_000)
    attributes = [
        {"key": key, "value": {"stringValue": id}} for key, id in ((names.CAUSE, cause.id), (names.EFFECT, effect.id))
    ]
    link = {"traceId": TRACE, "spanId": "b" * 16, "attributes": attributes}
    span.data["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["links"] = [link]
    events = [event for built in (span, cause, effect) for event in events_of(built.data, Place("logs", 0))]
    assert events[0].caused_by == ()
    assert [finding.names for finding in check(Graph(events))] == [f"span:{TRACE}-{'b' * 16}"]


def test_any_other_link_is_a_cause_of_its_span() -> None:
    """Stock instrumentation links spans without a word of events."""
    span = a_span(span="a" * 16)
    span.data["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["links"] = [{"traceId": TRACE, "spanId": "b" * 16}]
    (event,) = events_of(span.data, Place("traces", 0))
    assert event.caused_by == (f"span:{TRACE}-{'b' * 16}",)
