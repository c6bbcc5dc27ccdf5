"""Columns filled while a request becomes lines are those that the lines themselves give, byte for byte; the same are refused."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_columns import STEM, a_line
from build_mutants import mutant, other_orders
from build_native import MANY, REFUSED, needs_native
from build_requests import MESSAGES, everything, requests
from whence.errors import DataError
from whence.index.lines import NATIVE
from whence.otlp import from_native, wire
from whence.otlp.limits import DEFAULT, Limits

pytestmark = needs_native
EACH = pytest.mark.parametrize("signal", ["logs", "traces"])
LIMITS = (DEFAULT, Limits(records_per_line=1), Limits(line_bytes=500, depth=4), Limits(records_per_line=2, depth=70))


def agree(signal: Any, data: bytes, limits: Limits) -> Any:
    """How many rows a request gives and how many lines are refused, or that it is refused itself; by both ways the same."""
    assert NATIVE is not None
    given = (limits.line_bytes, limits.records_per_line, limits.depth)
    try:
        (lines, _), found = NATIVE.of_request(from_native.CODEC, signal, data, False, given, STEM, 4711)
    except from_native.REFUSED:
        return REFUSED
    offsets, at = [], 4711
    for line, *_ in lines:
        offsets.append(at)
        at += len(line)
    expected = NATIVE.of_lines(STEM, offsets, [line for line, *_ in lines], 1 << 60)
    assert found[1:] == expected[1:]
    assert {name for name in expected[0] if found[0][name] != expected[0][name]} == set()
    return found[1], len(found[3])


def _without_nulls(of: Any) -> Any:
    """JSON without the nulls that only JSON has."""
    if isinstance(of, dict):
        return {key: _without_nulls(value) for key, value in of.items() if value is not None}
    return [_without_nulls(item) for item in of if item is not None] if isinstance(of, list) else of


@EACH
@MANY
@given(data=st.data())
def test_any_layout_of_any_request_gives_the_same_rows(signal: Any, data: st.DataObject) -> None:
    """Of the whole schema, fields by their numbers and in any order, in parts, twice, unknown ones between; cut and changed."""
    message = data.draw(requests(signal, right=False))
    chance = data.draw(st.randoms(use_true_random=False))
    limits = data.draw(st.sampled_from(LIMITS))
    assert agree(signal, message.SerializeToString(), limits) != REFUSED
    for _ in range(5):
        written = other_orders(message, chance)
        assert agree(signal, written, limits) != REFUSED
        for _ in range(5):
            agree(signal, mutant(written, chance), limits)


@EACH
def test_every_name_with_every_value_gives_the_same_rows(signal: Any) -> None:
    """What means something and what does not, as far as protobuf can say it; in order, in none, and changed."""
    chance, rows, refused = random.Random(f"pass {signal}"), 0, 0
    for _ in range(150):
        line = json.dumps(_without_nulls(json.loads(a_line(chance, signal, 0.0))))
        try:
            data = wire.protobuf_of_json(signal, line.encode())
        except DataError:
            continue
        for each in (data, other_orders(MESSAGES[signal].FromString(data), chance), mutant(data, chance)):
            found = agree(signal, each, chance.choice(LIMITS))
            if found != REFUSED:
                rows, refused = rows + found[0], refused + found[1]
    assert rows > 50 and refused > 10


@EACH
def test_every_field_of_the_schema_and_every_end_of_it(signal: Any) -> None:
    """Also one that a newer schema brings; and the same where the request is cut anywhere."""
    data = everything(signal).SerializeToString()
    assert agree(signal, data, DEFAULT) != REFUSED
    for end in range(0, len(data), 3):
        agree(signal, data[:end], DEFAULT)


@pytest.mark.parametrize("kind", ["array_value", "kvlist_value"])
def test_lists_and_maps_inside_each_other_are_read_alike(kind: str) -> None:
    """As deep as protobuf has them, and deeper."""
    for levels in (1, 2, 20, 30, 31, 32, 47, 48, 49):
        request = MESSAGES["logs"]()
        record = request.resource_logs.add().scope_logs.add().log_records.add()
        value = record.attributes.add(key="deep").value
        for _ in range(levels):
            inside = getattr(value, kind).values.add()
            value = inside if kind == "array_value" else inside.value
            if kind == "kvlist_value":
                inside.key = "k"
        found = agree("logs", request.SerializeToString(), Limits(depth=100))
        assert found == (1, 0) or levels > 30
