"""Flat events as JSON Lines and as one JSON array: the form that HTTP and `whence log --json` give, and `from_flat` reads."""

import json
from typing import Any, BinaryIO

import orjson

from whence.event.flat import to_flat
from whence.export.source import Source


def json_bytes(value: Any) -> bytes:
    """JSON without spaces, also of integers beyond 64 bits and of lone surrogates."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), default=str).encode()


def write_lines(source: Source, out: BinaryIO) -> None:
    """One event a line."""
    for event in source.events():
        out.write(json_bytes(to_flat(event)) + b"\n")


def write_array(source: Source, out: BinaryIO) -> None:
    """One array, an event a line, so that it can be read by eye and by `grep` too."""
    between = b"[\n"
    for event in source.events():
        out.write(between + json_bytes(to_flat(event)))
        between = b",\n"
    out.write(b"[]\n" if between == b"[\n" else b"\n]\n")
