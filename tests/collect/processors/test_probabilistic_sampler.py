"""The processor `probabilistic_sampler`: shares, consistency, and thresholds that are written down."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_processors import SPAN, a_host, a_log, a_processor, a_span, attributes, logs, process, records, spans
from whence.collect.records.randomness import (
    ALL,
    State,
    hashed,
    randomness_of,
    state_of,
    state_text,
    threshold_of,
    threshold_text,
)

CHANCE = random.Random(3)
TRACES = [f"{CHANCE.getrandbits(128):032x}" for _ in range(4000)]


def kept(settings: dict, **fields: str) -> list[dict]:
    return records(
        process("probabilistic_sampler", settings, spans(*[a_span(traceId=trace, **fields) for trace in TRACES]))
    )


@pytest.mark.parametrize("mode", ["hash_seed", "proportional", "equalizing"])
@pytest.mark.parametrize("share", [0, 1, 12.5, 50, 99, 100])
def test_the_share_that_is_asked_for_is_kept(mode: str, share: float) -> None:
    """Within what chance allows."""
    found = len(kept({"sampling_percentage": share, "mode": mode})) / len(TRACES)
    assert abs(found - share / 100) < 0.03


@pytest.mark.parametrize("mode", ["hash_seed", "proportional", "equalizing"])
def test_everybody_decides_the_same_and_a_smaller_share_is_part_of_a_larger(mode: str) -> None:
    """So collectors side by side keep whole traces."""
    small = {span["traceId"] for span in kept({"sampling_percentage": 10, "mode": mode})}
    again = {span["traceId"] for span in kept({"sampling_percentage": 10, "mode": mode})}
    large = {span["traceId"] for span in kept({"sampling_percentage": 40, "mode": mode})}
    assert small == again
    assert small < large


def test_the_threshold_is_written_into_the_trace_state() -> None:
    """A quarter is `c`; other members stay."""
    found = kept({"sampling_percentage": 25, "mode": "proportional"}, traceState="vendor=a,ot=xx:1")
    assert {span["traceState"] for span in found} == {"ot=th:c;xx:1,vendor=a"}
    assert all(int(span["traceId"][-14:], 16) >= int("c0000000000000", 16) for span in found)


def test_proportional_takes_a_share_of_what_was_sampled_and_equalizing_does_not() -> None:
    """From a half to an eighth, and from a half to a quarter."""
    found = kept({"sampling_percentage": 25, "mode": "proportional"}, traceState="ot=th:8")
    assert {span["traceState"] for span in found if int(span["traceId"][-14:], 16) >= ALL // 2} == {"ot=th:e"}
    found = kept({"sampling_percentage": 25, "mode": "equalizing"}, traceState="ot=th:8")
    assert {span["traceState"] for span in found} == {"ot=th:c"}
    found = kept({"sampling_percentage": 50, "mode": "equalizing"}, traceState="ot=th:c")
    assert "ot=th:c" in {span["traceState"] for span in found}


def test_randomness_of_its_own_goes_before_the_trace_id() -> None:
    """`rv` in the trace state."""
    assert kept({"sampling_percentage": 1, "mode": "proportional"}, traceState="ot=rv:ffffffffffffff")
    assert not kept({"sampling_percentage": 99, "mode": "proportional"}, traceState="ot=rv:00000000000000")


def test_a_priority_of_the_span_decides() -> None:
    """As OpenTracing's users write it."""
    batch = spans(a_span("a", {"sampling.priority": 1}), a_span("b", {"sampling.priority": 0}))
    for share in (0.001, 99.999):
        found = records(process("probabilistic_sampler", {"sampling_percentage": share}, batch))
        assert [span["name"] for span in found] == ["a"]


def test_logs_go_with_their_trace_or_an_attribute() -> None:
    """A record with neither goes, unless fail_closed is false."""
    sampled = {span["traceId"] for span in kept({"sampling_percentage": 30, "mode": "proportional"})}
    batch = logs(*[a_log(trace, traceId=trace, spanId=SPAN) for trace in TRACES[:200]])
    found = records(process("probabilistic_sampler", {"sampling_percentage": 30, "mode": "proportional"}, batch))
    assert {record["traceId"] for record in found} == sampled & set(TRACES[:200])
    assert {attributes(record)["sampling.threshold"] for record in found} == {threshold_text(threshold_of(0.3, 4))}
    by_user = {"sampling_percentage": 30, "attribute_source": "record", "from_attribute": "user"}
    found = records(
        process("probabilistic_sampler", by_user, logs(*[a_log("x", {"user": f"u{n % 50}"}) for n in range(500)]))
    )
    assert 0 < len({attributes(record)["user"] for record in found}) < 50
    assert len(found) == 10 * len({attributes(record)["user"] for record in found})
    assert process("probabilistic_sampler", {"sampling_percentage": 99}, logs(a_log("x"))) is None
    assert (
        process("probabilistic_sampler", {"sampling_percentage": 1, "fail_closed": False}, logs(a_log("x"))) is not None
    )


def test_decisions_are_counted() -> None:
    """By policy and outcome."""
    host = a_host("probabilistic_sampler")
    a_processor("probabilistic_sampler", {"sampling_percentage": 50}, host)(spans(*[a_span(traceId=t) for t in TRACES]))
    samples = {dict(one.labels)["sampled"]: one.value for one in host.telemetry.families()[0].samples}
    assert host.telemetry.families()[0].name == "otelcol_processor_probabilistic_sampler_count_traces_sampled"
    assert sum(samples.values()) == len(TRACES)


def test_the_hash_is_the_collector_s() -> None:
    """FNV-1a over the seed's four bytes, least first, and the id: reckoned by hand for one byte."""
    found = 0x811C9DC5
    for byte in b"\x16\x00\x00\x00a":
        found = ((found ^ byte) * 0x01000193) % 2**32
    assert hashed(b"a", 22) == found


@given(st.floats(0, 1), st.integers(1, 14))
def test_a_threshold_is_near_its_share_however_short(share: float, digits: int) -> None:
    """And fits 56 bits."""
    exact, short = threshold_of(share), threshold_of(share, digits)
    assert 0 <= short <= ALL
    assert abs((ALL - exact) / ALL - share) < 1e-9
    if share > 0.001:
        assert abs(short - exact) / (ALL - exact) <= 16.0 ** (1 - digits)


@given(st.text(max_size=60))
def test_any_trace_state_can_be_read_and_written_again(text: str) -> None:
    """What is written reads the same."""
    state = state_of(text)
    assert state_of(state_text(state)) == state or "," in "".join(state.rest)
    assert state_of("ot=th:8;rv:00000000000001;p:2,a=b") == State(ALL // 2, 1, ("p:2",), ("a=b",))


def test_only_whole_ids_have_randomness() -> None:
    """The last 14 hex digits."""
    assert randomness_of("0" * 18 + "0000000000000f") == 15
    assert randomness_of("0" * 32) is None
    assert randomness_of("xyz") is None
