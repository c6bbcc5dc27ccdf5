"""Golden requests: what clients send in OTLP JSON becomes these lines for ever, whichever way it takes."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from build_otlp import strictly
from build_requests import MESSAGES
from whence.otlp.decode import Place, decode, signal_of
from whence.otlp.wire import (
    lines_of_json,
    lines_of_protobuf,
    lines_of_tree,
    protobuf_of_json,
    protobuf_of_lines,
    tree_of_json,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "requests"
FILES = sorted(GOLDEN.glob("*.json"))
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def expected(file: Path) -> tuple[Any, bytes]:
    """The signal of a request, and its lines."""
    lines = file.with_suffix(".jsonl").read_bytes()
    return signal_of(orjson.loads(lines)), lines


@EACH
def test_a_golden_request_becomes_its_lines(file: Path) -> None:
    """From JSON, from the protobuf that it is, and from the tree of it; they say what protobuf's own reader understands."""
    signal, lines = expected(file)
    data = file.read_bytes()
    as_protobuf = protobuf_of_json(signal, data)
    for found in (
        lines_of_json(signal, data),
        lines_of_protobuf(signal, as_protobuf),
        lines_of_tree(signal, tree_of_json(signal, data)),
    ):
        assert (b"".join(line.data for line in found.lines), found.rejected) == (lines, 0)
    assert strictly(lines) == MESSAGES[signal].FromString(as_protobuf)


@EACH
def test_golden_lines_go_back_to_the_request(file: Path) -> None:
    """A request of one line is, sent on, the bytes it would have come in; and its line is read without trouble."""
    signal, lines = expected(file)
    assert protobuf_of_lines(signal, [lines]) == protobuf_of_json(signal, file.read_bytes())
    assert decode(lines, Place(file.stem, 0)).bad == []
