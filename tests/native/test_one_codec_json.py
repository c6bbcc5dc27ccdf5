"""The native core and the pure one read one JSON: the same protobuf, lines, trees and counts, the same refusals."""

import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_examples import often
from build_mutants import text_mutant
from build_native import LIMITS, MANY, NATIVE, PURE, REFUSED, needs_native
from build_requests import SIGNALS, everything, json_of, other_spellings, requests
from whence.errors import DataError
from whence.otlp import from_json, from_native, wire
from whence.otlp.limits import Limits

pytestmark = needs_native
EACH = pytest.mark.parametrize("signal", SIGNALS)


def agree(signal: Any, data: bytes, limits: Limits) -> Any:
    """The protobuf of a body as the native core has it by itself, or that it refuses; what it takes, the pure one takes so."""
    found = NATIVE.protobuf_of_json(signal, data)
    if found == REFUSED:
        for name in (
            "protobuf_of_json",
            "tree_of_json",
        ):  # what it is unsure of it hands over, and then they agree by that
            assert getattr(NATIVE, name)(signal, data) == REFUSED
    else:
        assert found == PURE.protobuf_of_json(signal, data)
        assert NATIVE.lines_of_json(signal, data, limits) == PURE.lines_of_json(signal, data, limits)
        assert repr(NATIVE.tree_of_json(signal, data)) == repr(PURE.tree_of_json(signal, data))
    count = NATIVE.count_of_json(signal, data)
    assert count in (REFUSED, PURE.count_of_json(signal, data))
    lines = NATIVE.protobuf_of_lines(signal, [data, data])
    assert lines in (REFUSED, PURE.protobuf_of_lines(signal, [data, data]))
    return found


@EACH
@MANY
@given(data=st.data())
def test_any_request_in_json_is_taken_and_read_alike(signal: Any, data: st.DataObject) -> None:
    """Canonical, and as other clients spell it: other orders, integers as numbers, null and unknown fields."""
    tree = json_of(data.draw(requests(signal, right=False)))
    limits = data.draw(LIMITS)
    assert agree(signal, orjson.dumps(tree), limits) != REFUSED
    assert agree(signal, orjson.dumps(data.draw(other_spellings(tree)), option=orjson.OPT_INDENT_2), limits) != REFUSED


@EACH
@MANY
@given(data=st.data())
def test_broken_json_is_never_read_otherwise(signal: Any, data: st.DataObject) -> None:
    """Cut, changed, with pieces of other JSON in it: what the native core takes, the pure one takes, as the same."""
    written = orjson.dumps(json_of(data.draw(requests(signal, right=False))))
    chance = data.draw(st.randoms(use_true_random=False))
    for _ in range(often(12, 40)):
        agree(signal, text_mutant(written, chance), Limits())


@EACH
def test_every_field_of_the_schema_is_read_alike(signal: Any) -> None:
    """Each with each piece of JSON in its place, and cut off anywhere."""
    written = orjson.dumps(json_of(everything(signal)))
    assert agree(signal, written, Limits()) != REFUSED
    chance = random.Random(11)
    for _ in range(often(150, 600)):
        agree(signal, text_mutant(written, chance), Limits())
    for end in range(0, len(written), often(29, 1)):
        assert agree(signal, written[:end], Limits()) == REFUSED


@EACH
def test_lines_become_the_request_that_they_were(signal: Any) -> None:
    """What was stored is sent on as it came, over both cores."""
    lines = [line.data for line in wire.lines_of_protobuf(signal, everything(signal).SerializeToString()).lines]
    assert lines
    assert NATIVE.protobuf_of_lines(signal, lines * 3) == PURE.protobuf_of_lines(signal, lines * 3) != REFUSED


def test_a_line_of_another_signal_is_refused() -> None:
    """Also where its own name is there as well: which signal a line has is for the pure core to say."""
    for line in (b'{"resourceSpans":[]}', b'{"resourceSpans":[],"resourceLogs":[]}', b"{}", b"[]", b"{", b'{"a":1}'):
        assert NATIVE.protobuf_of_lines("metrics", [line]) == REFUSED
        with pytest.raises(DataError):
            from_native.protobuf_of_lines("metrics", [line])
    assert from_native.protobuf_of_lines("logs", [b'{"resourceLogs":null}']) == b""


@EACH
def test_a_refusal_has_the_pure_cores_words(signal: Any) -> None:
    """With the place of what no field can hold."""
    shapes = {"logs": "resourceLogs", "traces": "resourceSpans", "metrics": "resourceMetrics"}
    for body in (
        b"[",
        b"[]",
        b'{"%b":5}' % shapes[signal].encode(),
        b'{"%b":[{"resource":[]}]}' % shapes[signal].encode(),
    ):
        said = []
        for core in (from_native, from_json):
            with pytest.raises(DataError) as refused:
                core.lines_of_json(signal, body)
            said.append(str(refused.value))
        assert said[0] == said[1]


@EACH
def test_what_needs_a_second_thought_is_answered_by_the_pure_core(signal: Any) -> None:
    """An empty body is an empty request, names twice are taken by the last, numbers may have exponents."""
    name = {"logs": b"resourceLogs", "traces": b"resourceSpans", "metrics": b"resourceMetrics"}[signal]
    twice = b'{"%b":[],"%b":[{"resource":{"droppedAttributesCount":1e2}}]}' % (name, name)
    for body in (b"", twice):
        assert from_native.protobuf_of_json(signal, body) == from_json.protobuf_of_json(signal, body)
        assert from_native.count_of_json(signal, body) == 0
