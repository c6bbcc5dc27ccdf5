"""OTLP JSON requests to protobuf bytes, from which on they are what a protobuf client would have sent; and to a count.

The law: JSON is read as strictly as the OTLP specification asks; what was accepted is the same record in either encoding.
"""

from typing import Any

import orjson

from whence.errors import DataError
from whence.otlp import from_protobuf
from whence.otlp.crowd import check_json
from whence.otlp.from_tree import count_of_tree
from whence.otlp.limits import DEFAULT, Limits
from whence.otlp.schema import Signal
from whence.otlp.sheet import Lines
from whence.otlp.to_protobuf import protobuf_of_object
from whence.otlp.wire_scalars import name_of


def protobuf_of_json(signal: Signal, data: bytes) -> bytes:
    """The Export*ServiceRequest that a JSON body is; of an empty body, the empty one. Raises DataError with the place."""
    return protobuf_of_object(signal, object_of_json(signal, data)) if data else b""


def lines_of_json(signal: Signal, data: bytes, limits: Limits = DEFAULT) -> Lines:
    """The lines of a JSON body: the same bytes as of the same request in protobuf. Raises DataError with the place."""
    return from_protobuf.lines_of_protobuf(signal, protobuf_of_json(signal, data), limits)


def tree_of_json(signal: Signal, data: bytes) -> dict[str, Any]:
    """A JSON body as canonical OTLP JSON. Raises DataError with the place."""
    return from_protobuf.tree_of_protobuf(signal, protobuf_of_json(signal, data))


def count_of_json(signal: Signal, data: bytes) -> int:
    """How many log records, spans or data points a JSON body holds. Raises DataError, sees less than the others."""
    return count_of_tree(signal, object_of_json(signal, data)) if data else 0


def object_of_json(signal: Signal, data: bytes) -> dict[str, Any]:
    """The JSON object that a body is, not looked into. Of two fields of the same name the last counts.

    Raises DataError for what is no JSON, begins with a byte order mark, is no object, is nested beyond all reason, or holds
    more than ten million objects.
    """
    check_json(signal, data)
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as cause:
        raise DataError(
            f"cannot read {len(data)} bytes as OTLP {signal} in JSON: {cause}; send a JSON object"
        ) from None
    if type(found) is dict:
        return found
    raise DataError(
        f"cannot read {len(data)} bytes as OTLP {signal} in JSON: it is {name_of(found)}; send a JSON object"
    )
