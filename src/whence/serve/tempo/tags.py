"""Which attributes spans have, and their values: what Grafana offers while a query is written, of the newest spans.

The law: only what the caller may see, and nothing that is hidden from them; the newest `ROWS` rows are looked at, no more.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from whence.event import names
from whence.filter.selection import joined
from whence.filter.tree import Either, Exists, Filter, Negation, Path
from whence.index.scan import matching
from whence.index.store import open_scanner
from whence.serve.access.caller import Caller, visible_to
from whence.serve.jaeger.limit import in_time
from whence.serve.jaeger.search import IS_LOG_EVENT, IS_SPAN, SPAN_KINDS
from whence.serve.jaeger.traces import TraceStore
from whence.serve.tempo.on_trace import ROOT_NAMES, ROOT_SERVICES
from whence.serve.tempo.traceql import INTRINSICS, STATUS_WORDS, paths_of

_BLOCKS: Final = 24
ROWS: Final = _BLOCKS << 12
"""Rows that are looked at: some tenths of a second."""
_SCOPES: Final = {"resource": "resource", "span": "attributes", "instrumentation": "scope"}
"""Tempo's scopes, and the column in which each stands."""
_FIELDS: Final = {names.SPAN_KIND, names.SPAN_STATUS_MESSAGE}
"""What stands among a span's attributes in the index, but is a field of its own in OTLP and in TraceQL."""
_UNLISTED: Final = ("event", "link", "parent", "trace", "span")
"""Scopes of which no values are offered, and those before a colon that have too many to choose from."""


class Value(NamedTuple):
    """A value that is offered, with the type that TraceQL has for it."""

    type: str
    value: str


def tags(store: TraceStore, caller: Caller, within: Filter) -> dict[str, list[str]]:
    """The names of attributes by scope, in alphabetical order, of the spans that match a filter."""
    found: dict[str, set[str]] = {scope: set() for scope in _SCOPES}
    for row in _rows(store, caller, joined([Either((IS_SPAN, IS_LOG_EVENT)), within]), tuple(_SCOPES.values())):
        for scope, column in _SCOPES.items():
            found[scope].update(_attributes(row, column).keys() - _FIELDS)
    hidden = (lambda key: False) if caller.mask is None else caller.mask.hides
    named = {scope: sorted(key for key in keys if not hidden(key)) for scope, keys in found.items()}
    return {**named, "intrinsic": list(INTRINSICS)}


def values(store: TraceStore, caller: Caller, tag: str, within: Filter) -> list[Value]:
    """The values of a tag, in order, among the spans that match a filter. Raises BadQuery for a tag that is none."""
    match tag:
        case "status" | "span:status":
            return [Value("keyword", word) for word in STATUS_WORDS]
        case "kind" | "span:kind":
            return [Value("keyword", word) for word in ("unspecified", *SPAN_KINDS[1:])]
        case "duration" | "statusMessage" | "traceDuration":
            return []
    if tag in ("resource.service.name", ".service.name", *ROOT_SERVICES):
        return [Value("string", name) for name in store.lists.services(caller)]
    if tag in ROOT_NAMES:
        within = joined([within, Negation(Exists(Path("parent_span_id")))])
    elif tag not in ("name", "span:name") and (
        tag.partition(":")[0] in _UNLISTED or tag.partition(".")[0] in _UNLISTED[:3]
    ):
        return []
    paths = [Path("type")] if tag in ("name", "span:name", *ROOT_NAMES) else paths_of(tag)
    columns = tuple(dict.fromkeys(path.field for path in paths))
    tree = joined([Either((IS_SPAN, IS_LOG_EVENT)), within])
    found = {value for row in _rows(store, caller, tree, columns) for value in _values(row, paths, caller)}
    return sorted(found)


def _values(row: Mapping[str, Any], paths: Iterable[Path], caller: Caller) -> Iterator[Value]:
    for path in paths:
        value = row[path.field] if not path.keys else _attributes(row, path.field).get(path.keys[-1])
        if caller.mask is not None and value is not None:
            value = caller.mask.under(path.keys[-1], value) if path.keys else caller.mask.value(value)
        match value:
            case bool():
                yield Value("bool", "true" if value else "false")
            case int():
                yield Value("int", str(value))
            case float():
                yield Value("float", repr(value))
            case str():
                yield Value("string", value)


def _attributes(row: Mapping[str, Any], column: str) -> Mapping[str, Any]:
    """The attributes in a column, whose values are JSON."""
    found = row[column] or {}
    return found.get("attributes") or {} if column == "scope" else found


def _rows(store: TraceStore, caller: Caller, tree: Filter, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """These columns of the newest spans, each combination once."""
    blocks = store.engine.blocks()
    where = store.engine.where(visible_to(caller, tree))
    left = blocks.left_by(where.need)
    left = left[np.argsort(-blocks.high[left], kind="stable")][:_BLOCKS]
    in_time()
    table = matching(blocks, where, left, open_scanner().cursor(), columns)
    texts = [table[name].to_pylist() for name in columns]
    for row in dict.fromkeys(zip(*texts, strict=True)):
        in_time()
        yield {
            name: orjson.loads(text) if name in _SCOPES.values() and text else text
            for name, text in zip(columns, row, strict=True)
        }
