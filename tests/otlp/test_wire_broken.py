"""The codec on bytes that no client meant to send: refused or read, and nothing else happens."""

import random
from typing import Any

import orjson
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from build_examples import examples, often
from build_requests import MESSAGES, SIGNALS, json_of, requests
from whence.errors import DataError
from whence.otlp.wire import (
    count_of,
    lines_of_json,
    lines_of_protobuf,
    lines_of_tree,
    protobuf_of_tree,
    tree_of_json,
    tree_of_protobuf,
)
from whence.otlp.wire_scalars import counted

EACH = pytest.mark.parametrize("signal", SIGNALS)
pytestmark = pytest.mark.timeout(1800)
MANY = examples(12)


def broken(data: bytes, chance: random.Random) -> bytes:
    """The same bytes, cut, with some changed, put in or taken out."""
    spoiled = bytearray(data)
    for _ in range(chance.randint(0, 4)):
        at = chance.randrange(len(spoiled) + 1)
        match chance.randrange(4):
            case 0:
                spoiled[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                spoiled[at:at] = chance.randbytes(chance.randint(1, 3))
            case 2:
                del spoiled[at : at + chance.randint(1, 4)]
            case _:
                other = chance.randrange(len(spoiled) + 1)
                spoiled[at:at] = spoiled[other : other + chance.randint(1, 8)]
    if chance.random() < 0.3:
        del spoiled[chance.randrange(len(spoiled) + 1) :]
    return bytes(spoiled)


CROWDS = {
    "records": (b"\x0a", b"\x12", b"\x12\x00" * 2_000_001),
    "records behind a group": (b"\x0a", b"\x12", b"\x0b\x0c" + b"\x12\x00" * 2_000_001),
    "records, broken at the end": (b"\x0a", b"\x12", b"\x12\x00" * 2_000_001 + b"\x07"),
    "scopes": (b"\x0a", b"\x12\x00" * 2_000_001),
    "resources": (b"\x0a\x00" * 2_000_001,),
}


@pytest.mark.parametrize("crowd", CROWDS.values(), ids=CROWDS.keys())
def test_more_records_than_memory_is_worth_are_refused_before_they_are_parsed(crowd: tuple[bytes, ...]) -> None:
    """Two bytes on the wire are a hundred in memory: a few megabytes of them are no request."""
    data = crowd[-1]
    for tag in reversed(crowd[:-1]):
        data = tag + counted(data)
    with pytest.raises(DataError, match="more than 2,000,000 resources, scopes, records and data points; send smaller"):
        lines_of_protobuf("logs", data)


def test_more_data_points_than_memory_is_worth_are_refused() -> None:
    """However few metrics they are of."""
    data = b"\x2a" + counted(b"\x0a\x00" * 2_000_001)
    for tag in (b"\x12", b"\x12", b"\x0a"):
        data = tag + counted(data)
    with pytest.raises(DataError, match="more than 2,000,000"):
        lines_of_protobuf("metrics", data)


def test_more_json_objects_than_memory_is_worth_are_refused() -> None:
    """Also where no schema knows them."""
    for inside in (b"[]", b"{}"):
        with pytest.raises(DataError, match="more than 10,000,000 objects and arrays; send smaller"):
            tree_of_json("logs", b'{"x":[' + (inside + b",") * 10_000_001 + b"[]]}")


@pytest.mark.parametrize(
    "data", [b"\xff" * 2_000_000, b"\x0a" + b"\xff" * 2_000_000, b"\x0b" * 2_000_000, b"\x00" * 2_000_000]
)
def test_megabytes_of_nonsense_are_refused_at_once(data: bytes) -> None:
    """The look from outside ends where the bytes make no sense."""
    with pytest.raises(DataError):
        lines_of_protobuf("logs", data)


def test_a_histogram_of_many_buckets_is_kept() -> None:
    """Its counts are made text a run at a time, and none is lost between the runs."""
    counts = [n % 7 for n in range(10_000)]
    message = MESSAGES["metrics"]()
    metric = message.resource_metrics.add().scope_metrics.add().metrics.add()
    metric.exponential_histogram.data_points.add().positive.bucket_counts.extend(counts)
    assert tree_of_protobuf("metrics", message.SerializeToString()) == json_of(message)


@EACH
@MANY
@given(data=st.data())
def test_broken_protobuf_is_refused_as_protobuf_refuses_it_or_read_as_it_reads_it(
    signal: Any, data: st.DataObject
) -> None:
    """Never another exception, never another acceptance, and what is accepted is what protobuf makes of it."""
    written = data.draw(requests(signal, right=False)).SerializeToString()
    chance = data.draw(st.randoms(use_true_random=False))
    for _ in range(often(10, 40)):
        spoiled = broken(written, chance)
        try:
            message = MESSAGES[signal].FromString(spoiled)
        except DecodeError:
            for read in (lines_of_protobuf, tree_of_protobuf):
                with pytest.raises(DataError):
                    read(signal, spoiled)
            continue
        tree = tree_of_protobuf(signal, spoiled)
        assert tree == json_of(message)
        assert lines_of_tree(signal, tree) == lines_of_protobuf(signal, spoiled)
        assert lines_of_protobuf(signal, protobuf_of_tree(signal, tree)) == lines_of_protobuf(signal, spoiled)


@EACH
@MANY
@given(data=st.data())
def test_broken_json_is_refused_or_read_and_nothing_else(signal: Any, data: st.DataObject) -> None:
    """DataError or lines, never another exception."""
    written = orjson.dumps(json_of(data.draw(requests(signal, right=False))))
    chance = data.draw(st.randoms(use_true_random=False))
    for _ in range(often(10, 40)):
        spoiled = broken(written, chance)
        try:
            tree = tree_of_json(signal, spoiled)
        except DataError:
            with pytest.raises(DataError):
                lines_of_json(signal, spoiled)
            continue
        assert lines_of_json(signal, spoiled) == lines_of_tree(signal, tree)
        json_of(MESSAGES[signal].FromString(protobuf_of_tree(signal, tree)))


NAMES = st.sampled_from([
    "resourceLogs", "scopeLogs", "logRecords", "resourceSpans", "scopeSpans", "spans", "resourceMetrics", "scopeMetrics",
    "metrics", "sum", "dataPoints", "attributes", "key", "value", "arrayValue", "values", "traceId", "resource", "scope",
])  # fmt: skip
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=20,
)


@EACH
@MANY
@given(value=ANY_JSON)
def test_json_of_any_shape_is_refused_or_read(signal: Any, value: Any) -> None:
    """OTLP's names in places where they do not belong are no way around."""
    try:
        lines_of_json(signal, orjson.dumps(value))
    except DataError:
        assert value != {}
    try:
        count_of(signal, orjson.dumps(value), "json")
    except DataError:
        assert value != {}
