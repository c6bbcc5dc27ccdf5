"""The native encoder of the SDK's objects and the pure one are one encoder: the same lines, the same failures."""

import gc
import resource as system
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import Link, SpanContext, TraceFlags, TraceState

from build_examples import examples
from build_native import LIMITS, needs_native
from build_objects import LOGS, SPANS, Raising
from build_otlp import SCOPE, SPAN, TIME, a_log, an_ended_span
from whence.event import names
from whence.otlp import encode, from_objects, from_objects_native
from whence.otlp.limits import Limits

pytestmark = needs_native

MORE = examples(25)
VALUES = {"s": "text", "i": -5, "f": 0.1, "b": True, "l": [1, "a", None, 2.5, b"x"], "m": {"k": {"deep": ()}}, "e": {}}


@MORE
@given(st.lists(LOGS, max_size=6), LIMITS)
def test_any_log_records_become_the_same_lines(records: list[Any], limits: Limits) -> None:
    """Of any type in any field, at any limits: lines, counts, times, failures and the last one's words."""
    assert from_objects_native.encode_logs(records, limits) == from_objects.encode_logs(records, limits)


@MORE
@given(st.lists(SPANS, max_size=4), LIMITS)
def test_any_spans_become_the_same_lines(spans: list[Any], limits: Limits) -> None:
    """With their events, links, contexts, statuses and counts."""
    assert from_objects_native.encode_spans(spans, limits) == from_objects.encode_spans(spans, limits)


@given(st.lists(st.floats() | st.floats(-1e-3, 1e-3)), st.lists(st.text(max_size=40)), st.lists(st.integers()))
def test_numbers_and_texts_are_written_alike(floats: list[float], texts: list[str], numbers: list[int]) -> None:
    """The digits of every float as Python prints them, the escapes of every text."""
    records = [a_log({"t": texts}, body=floats), a_log({"n": numbers}, body=dict.fromkeys(texts, 1))]
    assert from_objects_native.encode_logs(records) == from_objects.encode_logs(records)


def test_long_texts_are_written_alike_and_not_kept_twice() -> None:
    """What Python keeps beside a text that it was asked to encode is not for the encoder to ask of large ones."""
    text = "\u00e9\n" * 5000
    size = sys.getsizeof(text)
    for body in (text, "x" * 5000, text + "\ud800", {text: [text]}):
        assert from_objects_native.encode_logs([a_log(body=body)]) == from_objects.encode_logs([a_log(body=body)])
    assert sys.getsizeof(text) == size


def test_a_large_batch_of_many_programs_is_written_alike() -> None:
    """Resources and scopes by the hundred, in one line and in many, other threads let in between."""
    logs = [a_log({"n": n}, resource=Resource({"n": n % 300}), scope=None if n % 7 else SCOPE) for n in range(900)]
    for limits in (Limits(), Limits(records_per_line=10_000), Limits(line_bytes=3000)):
        assert from_objects_native.encode_logs(logs, limits) == from_objects.encode_logs(logs, limits)


def _refuse(*_: Any) -> Any:
    raise RuntimeError("the pure core was asked")


def test_what_is_usual_is_written_without_the_pure_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """The speed is not lost unseen: records as the SDK makes them never take the way around."""
    parent = SpanContext(SPAN.trace_id, 5, True, TraceFlags(1), TraceState([("a", "1")]))
    events = [("own", VALUES), ("projected", {names.PROJECTION: "span_event"})]
    span = an_ended_span(VALUES, events=events, links=[Link(parent, {"a": 1}), Link(SPAN)], parent=parent)
    logs = [a_log(VALUES, body=VALUES, span=SPAN), a_log(), a_log(name=None, severity=None, time=None)]
    plain = from_objects.encode_logs(logs), from_objects.encode_spans([span])
    for module in ("_logs", "_spans"):
        way = from_objects.LOG_WAY if module == "_logs" else from_objects.SPAN_WAY
        monkeypatch.setattr(from_objects_native, "record_bytes", _refuse)
        monkeypatch.setattr(from_objects_native, module, from_objects_native._encoder(way))
    assert (
        from_objects_native.encode_logs([a_log(body=object)]).error
        == "cannot encode a ReadWriteLogRecord: the pure core was asked"
    )
    assert (from_objects_native.encode_logs(logs), from_objects_native.encode_spans([span])) == plain


def test_the_front_is_the_core_that_was_chosen() -> None:
    """And neither changes under its users."""
    assert encode.encode_logs([a_log(VALUES)]) == from_objects.encode_logs([a_log(VALUES)])


class Interrupted:
    """Ctrl-C hits while it is asked."""

    @property
    def log_record(self) -> Any:
        raise KeyboardInterrupt


@pytest.mark.parametrize("core", [from_objects, from_objects_native])
def test_an_interrupt_goes_through(core: Any) -> None:
    """It is no fault of the record that was being read."""
    with pytest.raises(KeyboardInterrupt):
        core.encode_logs([a_log(), Interrupted()])


class Changing:
    """A record whose attributes change while the record is asked for other things."""

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {"a": 1, "b": 2}
        self.log_record = SimpleNamespace(**vars(a_log().log_record) | {"attributes": self.attributes})
        self.resource = self.instrumentation_scope = None

    @property
    def dropped_attributes(self) -> int:
        self.attributes["c"] = len(self.attributes)
        self.attributes.pop("a", None)
        return 0


def test_a_record_may_change_while_it_is_read() -> None:
    """Other threads, and the record's own code, do what they like: the line is whole."""
    assert from_objects_native.encode_logs([Changing()]) == from_objects.encode_logs([Changing()])


def test_many_records_leave_nothing_behind() -> None:
    """No object is held and no memory kept: of records that are usual, odd, or cannot be written."""
    parent = SpanContext(SPAN.trace_id, 5, True, TraceFlags(1), TraceState([("a", "1")]))
    span = an_ended_span(VALUES, events=[("own", VALUES)], links=[Link(parent, {"a": 1})], parent=parent)
    held = [VALUES, VALUES["l"], VALUES["m"], span, span.context, parent.trace_state, span.resource]
    logs: list[Any] = [a_log(VALUES, body="b" * 500, span=SPAN)] * 60 + [a_log({"odd": object}), Raising()]

    def work() -> None:
        """In other lines each time, and of a resource that is new."""
        own = a_log(resource=Resource({"n": TIME}))
        from_objects_native.encode_logs([*logs, own], Limits(records_per_line=50))
        from_objects_native.encode_spans([span] * 20)

    for _ in range(100):
        work()
    gc.collect()
    before, memory = [sys.getrefcount(each) for each in held], system.getrusage(system.RUSAGE_SELF).ru_maxrss
    for _ in range(500):
        work()
    gc.collect()
    assert [sys.getrefcount(each) for each in held] == before
    assert system.getrusage(system.RUSAGE_SELF).ru_maxrss - memory < 8 << 10  # KiB; the lines were 40 MiB
