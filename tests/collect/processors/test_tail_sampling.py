"""The processor `tail_sampling`: each policy, waiting, limits, stopping, and errors whose causes lie in other traces."""

import threading
import time
from typing import Any

import pytest
from pydantic import ValidationError

from build_processors import Sink, a_host, a_log, a_processor, a_span, logs, records, spans
from whence.collect.batch import Batch, Receipt
from whence.collect.outcome import Refused
from whence.collect.processors.tail_sampling import TailSamplingSettings
from whence.otlp.value import pairs

SECOND = 1_000_000_000


def trace(n: int) -> str:
    return f"{n:032x}"


def one(n: int, name: str = "x", given: dict | None = None, span: int = 1, **fields: Any) -> dict:
    return a_span(name, given, traceId=trace(n), spanId=f"{span:016x}", **fields)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def sampled(policies: list[dict], *found: dict, **settings: Any) -> list[int]:
    """The numbers of the traces that are kept when all are decided."""
    clock, sink = Clock(), Sink()
    sampler = a_processor("tail_sampling", {"policies": policies, **settings}, a_host(monotonic=clock), sink)
    sampler.consume(spans(*found))
    assert sink.batches == []
    clock.now += 31
    sampler.decide()
    assert sampler.send()
    return sorted({int(span["traceId"], 16) for batch in sink.batches for span in records(batch)})


def p(type: str, name: str = "p", **settings: Any) -> dict:
    return {"name": name, "type": type, **({type: settings} if settings else {})}


def lasting(n: int, ms: int, **fields: Any) -> dict:
    return one(n, startTimeUnixNano=str(SECOND), endTimeUnixNano=str(SECOND + ms * 1_000_000), **fields)


ERROR = {"code": 2}
TRUE = {"name": "t", "type": "ottl_condition", "ottl_condition": {"span": ['attributes["n"] == 1']}}


@pytest.mark.parametrize(
    ("policy", "found", "kept"),
    [
        (p("always_sample"), [one(1), one(2)], [1, 2]),
        (p("latency", threshold_ms=100), [lasting(1, 50), lasting(2, 100), lasting(3, 900)], [2, 3]),
        (
            p("latency", threshold_ms=100, upper_threshold_ms=500),
            [lasting(1, 50), lasting(2, 100), lasting(3, 900)],
            [2],
        ),
        (
            p("numeric_attribute", key="n", min_value=5, max_value=9),
            [one(1, given={"n": 5}), one(2, given={"n": 10}), one(3)],
            [1],
        ),
        (p("numeric_attribute", key="n", min_value=5, invert_match=True), [one(1, given={"n": 5}), one(2)], [2]),
        (p("string_attribute", key="s", values=["a", "b"]), [one(1, given={"s": "b"}), one(2, given={"s": "c"})], [1]),
        (
            p("string_attribute", key="s", values=["^a+$"], enabled_regex_matching=True),
            [one(1, given={"s": "aa"}), one(2, given={"s": "ab"})],
            [1],
        ),
        (p("string_attribute", key="service.name", values=["shop"]), [one(1), one(2)], [1, 2]),
        (p("string_attribute", key="s", values=["a"], invert_match=True), [one(1, given={"s": "a"}), one(2)], [2]),
        (
            p("boolean_attribute", key="b", value=True),
            [one(1, given={"b": True}), one(2, given={"b": False}), one(3, given={"b": 1})],
            [1],
        ),
        (p("status_code", status_codes=["ERROR"]), [one(1, status=ERROR), one(2)], [1]),
        (
            p("status_code", status_codes=["UNSET", "OK"]),
            [one(1, status=ERROR), one(2), one(3, status={"code": 1})],
            [2, 3],
        ),
        (p("trace_state", key="v", values=["3"]), [one(1, traceState="v=3,w=1"), one(2, traceState="v=4")], [1]),
        (
            p("span_count", min_spans=2, max_spans=2),
            [one(1), one(2), one(2, span=2), one(3), one(3, span=2), one(3, span=3)],
            [2],
        ),
        (p("rate_limiting", spans_per_second=2), [one(1), one(2), one(2, span=2), one(3)], [1, 3]),
        (p("trace_flags"), [one(1, flags=257), one(2, flags=256), one(3)], [1]),
        (p("bytes_limiting", bytes_per_second=400), [one(1), one(2, "x" * 400), one(3)], [1, 3]),
        (p("probabilistic", sampling_percentage=100), [one(1), one(2)], [1, 2]),
        (p("probabilistic", sampling_percentage=0), [one(1), one(2)], []),
        (p("ottl_condition", span=['attributes["n"] == 1']), [one(1, given={"n": 1}), one(2)], [1]),
        (
            p("ottl_condition", spanevent=['name == "boom"']),
            [one(1, events=[{"name": "a"}, {"name": "boom"}]), one(2)],
            [1],
        ),
        (
            {"name": "p", "type": "and", "and": {"and_sub_policy": [TRUE, p("status_code", status_codes=["ERROR"])]}},
            [one(1, given={"n": 1}), one(2, status=ERROR), one(3, given={"n": 1}, status=ERROR)],
            [3],
        ),
        ({"name": "p", "type": "not", "not": {"not_sub_policy": TRUE}}, [one(1, given={"n": 1}), one(2)], [2]),
        (
            {
                "name": "p",
                "type": "composite",
                "composite": {
                    "max_total_spans_per_second": 10,
                    "policy_order": ["t", "a"],
                    "composite_sub_policy": [TRUE, p("always_sample", "a")],
                    "rate_allocation": [{"policy": "t", "percent": 50}, {"policy": "a", "percent": 10}],
                },
            },
            [one(1), one(2), *[one(n, given={"n": 1}) for n in range(3, 10)]],
            [1, 3, 4, 5, 6, 7],
        ),
    ],
)
def test_a_policy_keeps(policy: dict, found: list[dict], kept: list[int]) -> None:
    """Whole traces, or nothing of them."""
    assert sampled([policy], *found) == kept


def test_any_policy_keeps_unless_one_drops_or_an_inverted_one_matches() -> None:
    """As the Collector puts verdicts together."""
    errors = p("status_code", "errors", status_codes=["ERROR"])
    drop = {"name": "health", "type": "drop", "drop": {"drop_sub_policy": [TRUE]}}
    found = [one(1, status=ERROR), one(2, given={"n": 1}, status=ERROR), one(3)]
    assert sampled([errors, p("latency", "slow", threshold_ms=10**6)], *found) == [1, 2]
    assert sampled([errors, drop], *found) == [1]
    assert sampled(
        [p("always_sample"), p("numeric_attribute", "inverted", key="n", min_value=1, invert_match=True)], *found
    ) == [1, 3]


def test_what_led_to_an_error_is_kept_across_traces() -> None:
    """By links, by `caused_by`, and by parents; what the error did not need is not."""
    link = [{"traceId": trace(2), "spanId": f"{5:016x}"}]
    found = [
        one(1, "root"),  # names nobody, and nobody names it: goes
        one(2, "first", span=4),
        one(2, "cause", span=5, parentSpanId=f"{4:016x}"),
        one(3, "middle", span=6, links=link),
        one(4, "failed", {"whence.caused_by": [f"span:{trace(3)}-{6:016x}"]}, span=7, status=ERROR),
        one(5, "effect of the error", span=8, links=[{"traceId": trace(4), "spanId": f"{7:016x}"}]),
        one(6, "brother", span=9, links=link),
    ]  # fmt: skip
    assert sampled([p("caused_error")], *found) == [2, 3, 4]


def test_an_event_in_a_span_can_be_the_cause() -> None:
    """A projected event is named by its own id."""
    event = {"name": "decided", "timeUnixNano": "5", "attributes": pairs(
        {"whence.projection": "span_event", "log.record.uid": "01KDVT0000000000000000000A"})}  # fmt: skip
    found = [
        one(1, "agent", events=[event]),
        one(2, "failed", {"whence.caused_by": ["01KDVT0000000000000000000A"]}, status=ERROR),
        one(3, "other"),
    ]
    assert sampled([p("caused_error")], *found) == [1, 2]


def test_a_cause_that_comes_after_the_error_was_decided_is_kept() -> None:
    """What an error names is remembered."""
    clock, sink = Clock(), Sink()
    sampler = a_processor("tail_sampling", {"policies": [p("caused_error")]}, a_host(monotonic=clock), sink)
    sampler.consume(spans(one(2, status=ERROR, links=[{"traceId": trace(1), "spanId": f"{1:016x}"}])))
    clock.now += 31
    sampler.decide()
    sampler.consume(spans(one(1), one(3)))
    clock.now += 31
    sampler.decide()
    sampler.send()
    assert [int(span["traceId"], 16) for batch in sink.batches for span in records(batch)] == [2, 1]


def test_late_spans_follow_the_decision_on_their_trace() -> None:
    """At once, or nowhere; a refusal of them is the sender's to hear, and holds nothing of the batch."""
    clock, sink = Clock(), Sink()
    sampler = a_processor("tail_sampling", {"policies": [TRUE]}, a_host(monotonic=clock), sink)
    sampler.consume(spans(one(1, given={"n": 1}), one(2)))
    clock.now += 31
    sampler.decide()
    sampler.send()
    sampler.consume(spans(one(1, "late", span=2), one(2, "late", span=3), one(3)))
    assert [[span["name"] for span in records(batch)] for batch in sink.batches] == [["x"], ["late"]]

    def refuse(batch: Batch) -> Receipt:
        raise Refused("no")

    sampler._next = type("Next", (), {"consume": staticmethod(refuse)})()
    with pytest.raises(Refused):
        sampler.consume(spans(one(1, "late", span=4), one(4)))
    assert trace(4) not in sampler._held


def test_more_traces_than_may_be_held_are_decided_early() -> None:
    """The oldest first; nothing is dropped undecided."""
    clock, sink = Clock(), Sink()
    host = a_host(monotonic=clock)
    sampler = a_processor("tail_sampling", {"policies": [p("always_sample")], "num_traces": 10}, host, sink)
    sampler.consume(spans(*[one(n) for n in range(1, 31)]))
    sampler.send()
    assert sum(batch.count() for batch in sink.batches) == 20
    assert {family.name: family.samples[0].value for family in host.telemetry.families()}[
        "otelcol_processor_tail_sampling_sampling_trace_decided_early"
    ] == 20


def test_what_nobody_takes_stays_and_then_senders_wait() -> None:
    """Memory is bounded by refusing; afterwards everything arrives once."""
    clock, sink = Clock(), Sink()
    closed = True

    class Gate:
        def consume(self, batch: Batch) -> Receipt:
            if closed:
                raise Refused("not now", 1)
            return sink.consume(batch)

    settings = {"policies": [p("always_sample")], "num_spans": 20}
    sampler = a_processor("tail_sampling", settings, a_host(monotonic=clock), Gate())
    for n in range(30):
        try:
            sampler.consume(spans(one(n + 1)))
        except Refused:
            break
        clock.now += 31
        sampler.decide()
        sampler.send()
    assert n == 20
    assert not sampler.health().ok
    closed = False
    assert sampler.send()
    assert [int(span["traceId"], 16) for batch in sink.batches for span in records(batch)] == list(range(1, 21))
    assert sampler.health().ok
    sampler.consume(spans(one(99)))


def test_stopping_decides_and_sends_what_is_held() -> None:
    """With its thread running; a second later nothing runs any more."""
    sink = Sink()
    host = a_host()
    sampler = a_processor("tail_sampling", {"policies": [TRUE], "decision_wait": "10m"}, host, sink)
    sampler.start(host)
    sampler.consume(spans(one(1, given={"n": 1}), one(2)))
    sampler.stop(time.monotonic() + 30)
    assert [int(span["traceId"], 16) for batch in sink.batches for span in records(batch)] == [1]
    assert not any(thread.name == host.id for thread in threading.enumerate())


def test_its_thread_decides_by_itself() -> None:
    """When the wait is over."""
    arrived = threading.Event()

    class Next:
        def consume(self, batch: Batch) -> Receipt:
            arrived.set()
            return Receipt()

    host = a_host()
    sampler = a_processor("tail_sampling", {"policies": [p("always_sample")], "decision_wait": "10ms"}, host, Next())
    sampler.start(host)
    sampler.consume(spans(one(1)))
    assert arrived.wait(90)
    sampler.stop(time.monotonic() + 30)


def test_threads_that_send_while_others_decide_lose_and_double_nothing() -> None:
    """Traces begun, decided early, decided in time, and late; downstream refuses now and then."""
    lock, seen, turns = threading.Lock(), [], iter(range(10**9))

    class Next:
        def consume(self, batch: Batch) -> Receipt:
            with lock:
                if next(turns) % 5 == 0:
                    raise Refused("not now", 1)
                seen.extend((span["traceId"], span["spanId"]) for span in records(batch))
            return Receipt()

    host = a_host()
    settings = {"policies": [p("always_sample"), p("caused_error", "c")], "decision_wait": "5ms", "num_traces": 40}
    sampler = a_processor("tail_sampling", settings, host, Next())
    sampler.start(host)

    def send(sender: int) -> None:
        for n in range(150):
            batch = spans(*[one(1 + (n * 7 + k) % 90, span=1 + sender * 10_000 + n * 10 + k) for k in range(5)])
            while True:
                try:
                    sampler.consume(batch)
                    break
                except Refused:
                    continue

    senders = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(60)
    sampler.stop(time.monotonic() + 60)
    assert len(seen) == len(set(seen)) == 4 * 150 * 5


def test_a_policy_that_fails_keeps_the_trace() -> None:
    """Loss is never the answer to a mistake."""
    clock, sink = Clock(), Sink()
    sampler = a_processor("tail_sampling", {"policies": [p("latency", threshold_ms=1)]}, a_host(monotonic=clock), sink)
    sampler.consume(spans(one(1, startTimeUnixNano="not a number")))
    clock.now += 31
    sampler.decide()
    sampler.send()
    assert len(sink.batches) == 1


def test_other_signals_pass() -> None:
    """There is nothing to wait for."""
    sink = Sink()
    a_processor("tail_sampling", {"policies": [p("always_sample")]}, sink=sink).consume(logs(a_log("x")))
    assert len(sink.batches) == 1


@pytest.mark.parametrize(
    ("policies", "said"),
    [
        ([p("status")], "did you mean 'status_code'"),
        ([p("latency")], "under latency"),
        ([p("latency", threshold=1)], "threshold"),
        ([p("always_sample"), p("always_sample")], "twice there is p"),
        ([p("ottl_condition", span=["nme == 1"])], "did you mean name"),
        ([], "at least one"),
    ],
)
def test_wrong_policies_are_refused_with_the_reason(policies: list, said: str) -> None:
    """Before anything starts."""
    with pytest.raises(ValidationError, match=said):
        TailSamplingSettings.model_validate({"policies": policies})
