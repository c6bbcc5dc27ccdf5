"""The native core and the pure one are one codec: the same bytes, the same counts, the same refusals."""

import itertools
import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_examples import often
from build_mutants import mutant, other_orders
from build_native import LIMITS, MANY, NATIVE, PURE, REFUSED, needs_native
from build_requests import MESSAGES, SIGNALS, everything, json_of, requests
from whence.errors import DataError
from whence.native import CORE, choose
from whence.otlp import from_native, from_protobuf
from whence.otlp.limits import Limits
from whence.otlp.wire_scalars import counted

EACH = pytest.mark.parametrize("signal", SIGNALS)


def agree(signal: Any, data: bytes, limits: Limits) -> Any:
    """The lines of a request, or that it is refused, by either core; and that tree and count agree too."""
    lines = NATIVE.lines_of_protobuf(signal, data, limits)
    assert lines == PURE.lines_of_protobuf(signal, data, limits)
    assert repr(NATIVE.tree_of_protobuf(signal, data)) == repr(PURE.tree_of_protobuf(signal, data))
    assert NATIVE.count_of_protobuf(signal, data) == PURE.count_of_protobuf(signal, data)
    return lines


@needs_native
@EACH
@MANY
@given(data=st.data())
def test_any_request_becomes_the_same_lines(signal: Any, data: st.DataObject) -> None:
    """Every field of the schema, ids right and wrong, at any limits: the same lines, rejections and reasons."""
    message = data.draw(requests(signal, right=False))
    assert agree(signal, message.SerializeToString(), data.draw(LIMITS)) != REFUSED


@needs_native
@EACH
@MANY
@given(data=st.data())
def test_any_layout_of_a_request_becomes_the_same_lines(signal: Any, data: st.DataObject) -> None:
    """Fields in any order, messages in parts, values twice, numbers packed or not, unknown fields between."""
    message = data.draw(requests(signal, right=False))
    chance = data.draw(st.randoms(use_true_random=False))
    for _ in range(5):
        written = other_orders(message, chance)
        assert agree(signal, written, data.draw(LIMITS)) != REFUSED
        assert from_native.tree_of_protobuf(signal, written) == json_of(MESSAGES[signal].FromString(written))


@needs_native
@EACH
@MANY
@given(data=st.data())
def test_broken_bytes_are_taken_or_refused_alike(signal: Any, data: st.DataObject) -> None:
    """Cut, changed, shifted: never another acceptance, never another reading."""
    message = data.draw(requests(signal, right=False))
    chance = data.draw(st.randoms(use_true_random=False))
    limits = data.draw(LIMITS)
    for _ in range(often(8, 20)):
        agree(signal, mutant(other_orders(message, chance), chance), limits)


@needs_native
def test_what_stands_in_an_unknown_group_is_passed_over_alike() -> None:
    """Every request of up to six of these bytes: groups in groups, their ends, the number 0, which is no field elsewhere."""
    for size in range(7):
        for some in itertools.product(b"\x00\x03\x04\x0b\x0c\x80", repeat=size):
            data = bytes(some)
            taken = NATIVE.count_of_protobuf("logs", data)
            assert taken == PURE.count_of_protobuf("logs", data), data


@needs_native
@EACH
def test_every_field_of_the_schema_is_written_alike(signal: Any) -> None:
    """Also a field that a newer schema brings: the native core reads the schema that is installed."""
    data = everything(signal).SerializeToString()
    assert agree(signal, data, Limits()) != REFUSED
    for end in range(len(data)):
        agree(signal, data[:end], Limits())


@needs_native
@EACH
def test_a_refusal_has_the_pure_cores_words(signal: Any) -> None:
    """A client is told the same, whichever core is in use."""
    for data in (b"\x0a", b"\xff", b"\x0a\x05\x1a\x03\xff\xff\xff", b"\x0a\x02\x0a\x09"):
        said = []
        for core in (from_native, from_protobuf):
            with pytest.raises(DataError) as refused:
                core.lines_of_protobuf(signal, data)
            said.append(str(refused.value))
        assert said[0] == said[1]


@needs_native
@pytest.mark.parametrize("levels", [31, 32, 33, 48, 49, 50, 51, 5000])
@pytest.mark.parametrize("depth", [3, 32, 60])
def test_depth_is_counted_alike(levels: int, depth: int) -> None:
    """At protobuf's own end as at the archive's, in a body and in an attribute, and in unknown groups."""
    body = b"\x18\x01"
    for _ in range(levels - 1):
        body = b"\x2a" + counted(b"\x0a" + counted(body))
    groups = b"\x0b" * levels + b"\x0c" * levels
    for record in (b"\x2a" + counted(body), b"\x32" + counted(b"\x12" + counted(body)), groups):
        data = b"\x0a" + counted(b"\x12" + counted(b"\x12" + counted(record)))
        agree("logs", data, Limits(depth=depth))


@needs_native
@EACH
def test_doubles_have_the_digits_that_the_pure_core_writes(signal: Any) -> None:
    """Shortest digits, exponents as JSON's writer has them, over the whole range of doubles."""
    chance = random.Random(7)
    numbers = [*(10.0**n for n in range(-30, 30)), *(5e-324 * 2**n for n in range(60)), 9007199254740993.0, 1.5e300]
    numbers += [chance.uniform(-1, 1) * 10.0 ** chance.randint(-320, 300) for _ in range(2000)]
    message = MESSAGES["metrics"]()
    metric = message.resource_metrics.add().scope_metrics.add().metrics.add()
    metric.histogram.data_points.add().explicit_bounds.extend(numbers)
    metric.histogram.data_points.add().explicit_bounds.extend(-number for number in numbers)
    assert agree("metrics", message.SerializeToString(), Limits()) != REFUSED


@needs_native
def test_strings_are_escaped_alike() -> None:
    """Every character that JSON escapes, and those that it does not, at every place in a text."""
    message = MESSAGES["logs"]()
    records = message.resource_logs.add().scope_logs.add().log_records
    for number in [*range(0x100), 0x2028, 0xFFFF, 0x10FFFF, 0xD7FF, 0xE000]:
        for before in (0, 1, 7, 8, 9, 15):
            records.add().body.string_value = "x" * before + chr(number) + "y" * (before // 2)
    assert agree("logs", message.SerializeToString(), Limits()) != REFUSED


@needs_native
def test_more_records_than_memory_is_worth_are_refused_alike() -> None:
    """The native core has no limit of its own."""
    for signal, data in (
        ("logs", b"\x0a" + counted(b"\x12" + counted(b"\x12\x00" * 2_000_001))),
        (
            "metrics",
            b"\x0a" + counted(b"\x12" + counted(b"\x12" + counted(b"\x2a" + counted(b"\x0a\x00" * 2_000_001)))),
        ),
    ):
        assert NATIVE.count_of_protobuf(signal, data) == PURE.count_of_protobuf(signal, data) == REFUSED


@needs_native
def test_a_core_that_was_built_before_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a source tree that was brought up to date and not installed again: pure Python does the work, and says why."""
    monkeypatch.setattr(CORE.module, "EDITION", 1)
    assert choose("").module is None
    assert "install whence again" in choose("").why


def test_the_environment_chooses_the_core() -> None:
    """`WHENCE_NATIVE=0` switches the native core off, and says so; everything else works as it did."""
    assert choose("0").module is None
    assert "WHENCE_NATIVE=0" in choose("0").why
    assert (choose("").module is None) == (choose("1").module is None)
    code = (
        "from whence.native import CORE; from whence.otlp import wire; print(CORE.module, len(wire.lines_of_protobuf("
        "'logs', bytes.fromhex('0a061204120208 01'.replace(' ', ''))).lines))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"WHENCE_NATIVE": "0"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[0] == "None"
