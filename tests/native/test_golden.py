"""Requests that are kept as files, those that fuzzing found among them: both cores make the same of each."""

from pathlib import Path
from typing import Any

import pytest

import build_columns
from build_native import NATIVE, PURE, REFUSED, needs_native
from whence.index.lines import names_text
from whence.otlp.from_native import schema_text
from whence.otlp.limits import Limits

pytestmark = needs_native
GOLDEN = Path(__file__).parents[1] / "golden"
SIGNALS = ("logs", "traces", "metrics")
FILES = sorted(
    file for folder in ("native", "requests") for file in (GOLDEN / folder).iterdir()
    if file.name.startswith(SIGNALS) and file.suffix in (".pb", ".json")
)  # fmt: skip
LIMITS = (
    Limits(),
    Limits(line_bytes=700, records_per_line=2, depth=3),
    Limits(line_bytes=1, records_per_line=1, depth=1),
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_request_of_a_file_is_read_alike(file: Path) -> None:
    """Lines, tree and count, the tree's lines and protobuf; of JSON its protobuf too. What is handed over is no difference.
    And of a line, and of those that are made of a request, the rows of an index."""
    signal: Any = next(name for name in SIGNALS if file.name.startswith(name))
    data = file.read_bytes()
    if file.suffix == ".json":
        build_columns.agree([data])
        request = NATIVE.protobuf_of_json(signal, data)
        assert request in (REFUSED, PURE.protobuf_of_json(signal, data))
        assert NATIVE.count_of_json(signal, data) in (REFUSED, PURE.count_of_json(signal, data))
        assert NATIVE.protobuf_of_lines(signal, [data]) in (REFUSED, PURE.protobuf_of_lines(signal, [data]))
        if request == REFUSED:
            return
        data = request
    for limits in LIMITS:
        lines = PURE.lines_of_protobuf(signal, data, limits)
        assert NATIVE.lines_of_protobuf(signal, data, limits) == lines
        if lines != REFUSED:
            build_columns.agree([line.data for line in lines.lines])
    tree = PURE.tree_of_protobuf(signal, data)
    if tree != REFUSED:
        for limits in LIMITS:
            assert NATIVE.lines_of_tree(signal, tree, limits) in (REFUSED, PURE.lines_of_tree(signal, tree, limits))
        assert NATIVE.protobuf_of_tree(signal, tree) in (REFUSED, PURE.protobuf_of_tree(signal, tree))
    assert repr(NATIVE.tree_of_protobuf(signal, data)) == repr(tree)
    assert NATIVE.count_of_protobuf(signal, data) == PURE.count_of_protobuf(signal, data)


def test_what_fuzzing_asks_with_is_what_is_in_use() -> None:
    """`make fuzz` and `cargo test` read the messages and names of files; a newer schema may have more."""
    for name, text in (("schema.txt", schema_text()), ("names.txt", names_text())):
        kept = (GOLDEN / "native" / name).read_text(encoding="utf-8")
        assert set(kept.splitlines()) <= set(text.splitlines()), f"write {name} anew"
