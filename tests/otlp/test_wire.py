"""The codec: protobuf, JSON, trees and lines say the same, and what none of them can say is refused."""

import subprocess
import sys
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_examples import examples
from build_requests import (
    MESSAGES,
    SIGNALS,
    everything,
    json_of,
    other_spellings,
    records_of,
    records_of_lines,
    requests,
)
from whence.otlp.decode import Place, decode
from whence.otlp.limits import Limits
from whence.otlp.schema import MESSAGES as SCHEMA
from whence.otlp.wire import (
    count_of,
    lines_of_json,
    lines_of_protobuf,
    lines_of_tree,
    protobuf_of_lines,
    protobuf_of_tree,
    tree_of_json,
    tree_of_protobuf,
)

EACH = pytest.mark.parametrize("signal", SIGNALS)
FEW = examples(10)


def said(value: Any) -> str:
    """A value with its types and signs of zero, fields in any order."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


@EACH
@FEW
@given(data=st.data())
def test_a_tree_is_what_protobufs_own_json_says(signal: Any, data: st.DataObject) -> None:
    """Every field of every message is where OTLP JSON has it, and none is that was not sent."""
    message = data.draw(requests(signal, right=False))
    tree = tree_of_protobuf(signal, message.SerializeToString())
    assert tree == json_of(message)


@EACH
@FEW
@given(data=st.data())
def test_a_tree_goes_back_to_the_same_protobuf(signal: Any, data: st.DataObject) -> None:
    """What was opened is sent on as the bytes it came in, ids of any length, -0.0 and empty texts included."""
    written = data.draw(requests(signal, right=False)).SerializeToString()
    assert protobuf_of_tree(signal, tree_of_protobuf(signal, written)) == written


@EACH
@FEW
@given(data=st.data())
def test_lines_hold_every_record_with_its_surroundings(signal: Any, data: st.DataObject) -> None:
    """Lines parsed are the tree, envelopes without records aside; they count right, and readers find nothing bad in them."""
    written = data.draw(requests(signal)).SerializeToString()
    limits = Limits(records_per_line=data.draw(st.integers(1, 4)), line_bytes=data.draw(st.integers(1, 4000)))
    lines, rejected, message = lines_of_protobuf(signal, written, limits)
    expected = records_of(signal, tree_of_protobuf(signal, written))
    assert (rejected, message) == (0, "")
    assert said(records_of_lines(signal, lines)) == said(expected)
    assert sum(line.records for line in lines) == len(expected) == count_of(signal, written, "protobuf")
    for line in lines:
        assert line.data.endswith(b"\n")
        assert line.data.count(b"\n") == 1
        assert not decode(line.data, Place("logs-1", 0)).bad


@EACH
@FEW
@given(data=st.data())
def test_json_becomes_the_same_lines_byte_for_byte(signal: Any, data: st.DataObject) -> None:
    """However a client spells its JSON, what is stored is what its protobuf would be."""
    message = data.draw(requests(signal, right=False))
    written = orjson.dumps(data.draw(other_spellings(json_of(message))))
    assert lines_of_json(signal, written) == lines_of_protobuf(signal, message.SerializeToString())
    assert tree_of_json(signal, written) == tree_of_protobuf(signal, message.SerializeToString())
    assert count_of(signal, written, "json") == count_of(signal, message.SerializeToString(), "protobuf")


@EACH
@FEW
@given(data=st.data())
def test_a_tree_becomes_the_same_lines_as_its_protobuf(signal: Any, data: st.DataObject) -> None:
    """A component that looked inside changes nothing by looking: same lines, same rejections, same reasons."""
    written = data.draw(requests(signal, right=False)).SerializeToString()
    limits = Limits(records_per_line=3, depth=data.draw(st.integers(1, 5)))
    assert lines_of_tree(signal, tree_of_protobuf(signal, written), limits) == lines_of_protobuf(
        signal, written, limits
    )


@EACH
@FEW
@given(data=st.data())
def test_lines_go_back_to_the_same_records_in_protobuf(signal: Any, data: st.DataObject) -> None:
    """What is sent on from the archive is what came."""
    written = data.draw(requests(signal)).SerializeToString()
    lines = lines_of_protobuf(signal, written, Limits(records_per_line=2)).lines
    again = protobuf_of_lines(signal, [line.data for line in lines])
    MESSAGES[signal].FromString(again)
    expected = records_of(signal, tree_of_protobuf(signal, written))
    assert said(records_of(signal, tree_of_protobuf(signal, again))) == said(expected)


def test_every_field_of_the_schema_is_taken_and_given() -> None:
    """Also a field that a newer schema brings; whatever way a request takes, all of it is there."""
    reached: set[tuple[str, str]] = set()
    for signal in SIGNALS:
        message = everything(signal)
        _fields_in(message, reached)
        written = message.SerializeToString()
        tree = tree_of_protobuf(signal, written)
        assert tree == json_of(message)
        assert protobuf_of_tree(signal, tree) == written
        lines = lines_of_protobuf(signal, written)
        assert lines_of_tree(signal, tree) == lines == lines_of_json(signal, orjson.dumps(json_of(message)))
        assert lines.rejected == 0
        assert said(records_of_lines(signal, lines.lines)) == said(records_of(signal, tree))
    assert reached == {(message.name, field.name) for message in SCHEMA.values() for field in message.fields}


def _fields_in(message: Any, found: set[tuple[str, str]]) -> None:
    name = message.DESCRIPTOR.full_name.removeprefix("opentelemetry.proto.").replace(".", "_")
    for field, value in message.ListFields():
        found.add((name, field.name))
        if field.message_type:
            for inner in value if field.is_repeated else [value]:
                _fields_in(inner, found)


def test_a_program_that_records_does_without_protobuf() -> None:
    """The codec of requests needs an extra; recording, reading and the command line do not load it."""
    code = "import sys, whence, whence.cli, whence.otlp.metrics; print('google.protobuf' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
