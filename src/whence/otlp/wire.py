"""The codec's front: OTLP requests in protobuf or JSON, lines of the archive, and trees, each from the other.

The law: bytes in, bytes or trees out, and no object of a protobuf library between. Whatever stands behind it gives the same
bytes for the same input and refuses the same input. Needs the extra `collect`.
"""

from collections.abc import Iterable
from typing import Any, Final, Literal

from whence.native import CORE
from whence.otlp import from_json, from_native, from_protobuf, from_tree, to_protobuf
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.schema import Signal
from whence.otlp.sheet import Lines

__all__ = [
    "Encoding", "Lines", "Signal", "count_of", "lines_of_json", "lines_of_protobuf", "lines_of_tree",
    "protobuf_of_json", "protobuf_of_lines", "protobuf_of_tree", "tree_of_json", "tree_of_protobuf",
]  # fmt: skip

Encoding = Literal["protobuf", "json"]
Tree = dict[str, Any]

# Which core stands behind the front is chosen here and nowhere else.
_NATIVE: Final = CORE.module is not None
_lines_of_protobuf: Final = from_native.lines_of_protobuf if _NATIVE else from_protobuf.lines_of_protobuf
_tree_of_protobuf: Final = from_native.tree_of_protobuf if _NATIVE else from_protobuf.tree_of_protobuf
_count_of_protobuf: Final = from_native.count_of_protobuf if _NATIVE else from_protobuf.count_of_protobuf
_lines_of_json: Final = from_native.lines_of_json if _NATIVE else from_json.lines_of_json
_tree_of_json: Final = from_native.tree_of_json if _NATIVE else from_json.tree_of_json
_protobuf_of_json: Final = from_native.protobuf_of_json if _NATIVE else from_json.protobuf_of_json
_count_of_json: Final = from_native.count_of_json if _NATIVE else from_json.count_of_json
_lines_of_tree: Final = from_native.lines_of_tree if _NATIVE else from_tree.lines_of_tree
_protobuf_of_tree: Final = from_native.protobuf_of_tree if _NATIVE else to_protobuf.protobuf_of_tree
_protobuf_of_lines: Final = from_native.protobuf_of_lines if _NATIVE else to_protobuf.protobuf_of_lines


def lines_of_protobuf(signal: Signal, data: bytes, limits: Limits = DEFAULT) -> Lines:
    """Lines of an Export*ServiceRequest. Raises DataError for bytes that are none.

    Rejected are records whose ids have a wrong length, spans without ids, and what is nested deeper than `limits.depth`.
    """
    return _lines_of_protobuf(signal, data, limits)


def lines_of_json(signal: Signal, data: bytes, limits: Limits = DEFAULT) -> Lines:
    """Lines of an OTLP JSON body: the same bytes as of the same request in protobuf. Raises DataError with the place."""
    return _lines_of_json(signal, data, limits)


def lines_of_tree(signal: Signal, tree: Tree, limits: Limits = DEFAULT) -> Lines:
    """Lines of a canonical tree: the same bytes as of the protobuf that it is of, each record's fields in the tree's order.

    Raises DataError where the tree is not of OTLP's form.
    """
    return _lines_of_tree(signal, tree, limits)


def tree_of_protobuf(signal: Signal, data: bytes) -> Tree:
    """An Export*ServiceRequest as canonical OTLP JSON, nothing left out. Raises DataError for bytes that are none."""
    return _tree_of_protobuf(signal, data)


def tree_of_json(signal: Signal, data: bytes) -> Tree:
    """An OTLP JSON body as canonical OTLP JSON. Raises DataError with the place."""
    return _tree_of_json(signal, data)


def protobuf_of_tree(signal: Signal, tree: Tree) -> bytes:
    """An Export*ServiceRequest of a tree. Raises DataError with the place of what no field can hold."""
    return _protobuf_of_tree(signal, tree)


def protobuf_of_json(signal: Signal, data: bytes) -> bytes:
    """An Export*ServiceRequest of an OTLP JSON body. Raises DataError with the place."""
    return _protobuf_of_json(signal, data)


def protobuf_of_lines(signal: Signal, lines: Iterable[bytes]) -> bytes:
    """One Export*ServiceRequest of lines of an archive. Raises DataError for what is no line of this signal."""
    return _protobuf_of_lines(signal, lines)


def count_of(signal: Signal, data: bytes, encoding: Encoding) -> int:
    """Log records, spans or data points in a request, those that would be rejected too. Raises DataError where it sees none."""
    return _count_of_protobuf(signal, data) if encoding == "protobuf" else _count_of_json(signal, data)
