"""The native core and the pure one write one tree: the same lines, the same protobuf, the same refusals."""

import math
import random
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_native import LIMITS, MANY, NATIVE, PURE, REFUSED, needs_native
from build_requests import SIGNALS, everything, json_of, requests
from whence.errors import DataError
from whence.otlp import from_native, from_tree, to_protobuf
from whence.otlp.limits import Limits

pytestmark = needs_native
EACH = pytest.mark.parametrize("signal", SIGNALS)
TRACE, SPAN = "0a" * 16, "0b" * 8


def agree(signal: Any, tree: Any, limits: Limits = Limits()) -> Any:  # noqa: B008 - a constant
    """The lines of a tree as the native core has them by itself, or that it refuses; what it takes, the pure one takes so."""
    lines = NATIVE.lines_of_tree(signal, tree, limits)
    assert lines in (REFUSED, PURE.lines_of_tree(signal, tree, limits))
    assert NATIVE.protobuf_of_tree(signal, tree) in (REFUSED, PURE.protobuf_of_tree(signal, tree))
    return lines


def logs(*records: Any) -> dict[str, Any]:
    """A tree of log records."""
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}


@EACH
@MANY
@given(data=st.data())
def test_any_tree_becomes_the_same_lines(signal: Any, data: st.DataObject) -> None:
    """Every field of the schema, ids right and wrong, at any limits; the native core needs the pure one for depth only."""
    tree = json_of(data.draw(requests(signal, right=False)))
    limits = data.draw(LIMITS)
    assert (agree(signal, tree, limits) != REFUSED) or limits.depth < 32
    assert NATIVE.protobuf_of_tree(signal, tree) != REFUSED


PIECES: list[Any] = [
    None, True, 0, 7, -1, 1 << 63, 1 << 70, 0.5, 1e300, math.nan, math.inf, "", "0", "12", "-3", "x", "\ud800", "a\"\\\n\u00e9",
    TRACE, SPAN, "00" * 16, [], {}, [None], (1, "2"), {"stringValue": "s"}, {"arrayValue": {"values": [{}, {"intValue": "1"}]}},
    {"kvlistValue": {"values": [{"key": "k", "value": {"arrayValue": {}}}]}}, b"bytes", object(), UUID(int=5),
]  # fmt: skip


def spoiled(tree: Any, chance: random.Random) -> Any:
    """A tree with a piece of something else somewhere in it, or something left out, added, or in another order."""
    if isinstance(tree, dict) and tree and chance.random() < 0.9:
        name = chance.choice(list(tree))
        kind = chance.randrange(12)
        if kind == 0:
            return {key: value for key, value in tree.items() if key != name}
        if kind == 1:
            return dict(reversed(tree.items()))
        if kind == 2:
            return {
                **tree,
                chance.choice(["traceId", "gauge", "sum", "metadata", "schemaUrl", "scope", "other"]): chance.choice(
                    PIECES
                ),
            }
        return {**tree, name: spoiled(tree[name], chance)}
    if isinstance(tree, list) and tree and chance.random() < 0.9:
        at = chance.randrange(len(tree))
        return [*tree[:at], spoiled(tree[at], chance), *tree[at + 1 :]]
    return chance.choice(PIECES)


@EACH
def test_what_a_component_spoiled_is_taken_or_refused_alike(signal: Any) -> None:
    """Anything anywhere: what the native core takes by itself, the pure one takes, as the same bytes."""
    chance = random.Random(5)
    whole = json_of(everything(signal))
    taken = 0
    for _ in range(200):
        tree = spoiled(whole, chance)
        if chance.random() < 0.5:
            tree = spoiled(tree, chance)
        limits = chance.choice([Limits(), Limits(depth=3), Limits(line_bytes=700, records_per_line=1, depth=2)])
        taken += agree(signal, tree, limits) != REFUSED
    assert taken > 20


@pytest.mark.parametrize("depth", [1, 2, 3, 32])
def test_depth_is_counted_alike(depth: int) -> None:
    """In a body, an attribute, a resource and a scope, up to the level that is too much and one beyond."""
    for levels in range(depth + 2):
        value: Any = {"intValue": "1"}
        for level in range(levels):
            value = (
                {"arrayValue": {"values": [value]}}
                if level % 2
                else {"kvlistValue": {"values": [{"key": "k", "value": value}]}}
            )
        pairs = [{"key": "a", "value": value}]
        for tree in (
            logs({"body": value}, {"attributes": pairs}, {"body": {}}),
            {"resourceLogs": [{"resource": {"attributes": pairs}, "scopeLogs": [{"logRecords": [{}]}]}]},
            {"resourceLogs": [{"scopeLogs": [{"scope": {"attributes": pairs}, "logRecords": [{}]}]}]},
        ):
            agree("logs", tree, Limits(depth=depth))


def test_a_time_is_the_one_that_says_something() -> None:
    """As text or number; zero as a number says nothing, and the time of observing stands for it."""
    for said in ("5", 5, "", 0, "0", "007", " 5", 5.5, True, None, "18446744073709551615", "18446744073709551616"):
        for other in ({}, {"observedTimeUnixNano": "9"}):
            agree("logs", logs({"timeUnixNano": said, **other}))
    found = NATIVE.lines_of_tree("logs", logs({"timeUnixNano": 0, "observedTimeUnixNano": "9"}), Limits())
    assert found.lines[0].first_time == 9


def test_what_json_has_a_form_for_is_taken_as_that() -> None:
    """A function may leave a tuple, an Enum or a UUID; not a number that is none, which JSON would make null of."""

    class Place(Enum):
        HERE = "here"

    tree = logs({"body": {"arrayValue": {"values": ({"stringValue": Place.HERE}, {"stringValue": UUID(int=5)})}}})
    for core in (from_native, to_protobuf):
        written = core.protobuf_of_tree("logs", tree)
        assert b"here" in written
        assert str(UUID(int=5)).encode() in written
        assert core.protobuf_of_tree("logs", logs({"body": {"doubleValue": math.nan}})).endswith(b"\xf8\x7f")
        with pytest.raises(DataError, match="expected an array"):
            core.protobuf_of_tree("logs", logs({"body": {"doubleValue": math.nan}, "attributes": ()}))


@EACH
def test_a_refusal_has_the_pure_cores_words(signal: Any) -> None:
    """With the place of what no field can hold."""
    name = {"logs": "resourceLogs", "traces": "resourceSpans", "metrics": "resourceMetrics"}[signal]
    for tree in (
        {name: 7},
        {name: [7]},
        {name: [{"resource": []}]},
        {name: [{"resource": {"droppedAttributesCount": "x"}}]},
    ):
        for native, pure in (
            (from_native.protobuf_of_tree, to_protobuf.protobuf_of_tree),
            (from_native.lines_of_tree, from_tree.lines_of_tree),
        ):
            said = []
            for work in (native, pure):
                try:
                    said.append(str(work(signal, tree)))
                except DataError as refusal:
                    said.append(str(refusal))
            assert said[0] == said[1]
