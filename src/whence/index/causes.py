"""The graph of all causes made of columns instead of events, a few numpy passes over what a million `add`s would do.

The law: pure, and node for node the graph that `causality.graph` makes of the same events in the same order.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whence.causality.graph import NOWHERE
from whence.event.ids import span_id_of

COLUMNS: Final = [
    "id", "_hash", "time", "seq", "elapsed_ns", "run", "_process", "agent", "caused_by", "signal", "trace_id", "span_id",
    "parent_span_id",
]  # fmt: skip
"""What the graph is made of."""
TYPES: Final = {
    "seen": "B", "time": "Q", "seq": "q", "process": "i", "run": "i", "cause": "i", "effect": "i", "next_cause": "i",
    "next_effect": "i", "first_cause": "i", "first_effect": "i", "span": "i", "next_inside": "i", "first_inside": "i",
    "is_span": "B", "previous": "i", "following": "i", "row": "q", "by_id": "i", "lane_nodes": "i", "lane_ends": "q",
    "id_ends": "q", "hash": "Q", "hashes": "Q", "hash_nodes": "i", "repeats": "q",
}  # fmt: skip
"""Every array of the graph and its type code, as `array` and `memoryview` name it."""
_DTYPES: Final = {"B": np.uint8, "Q": np.uint64, "q": np.int64, "i": np.int32}
Numbers = Any
"""A numpy array of one dimension."""


class Causes(NamedTuple):
    """A graph in arrays of a number a node or edge, and the names that the numbers stand for."""

    arrays: dict[str, Numbers]
    """By the names of `TYPES`. `row` is each node's event in the order given, `by_id` the nodes in the order of ids, `hash` each
    seen node's `_hash`; `hashes` has those in order and `hash_nodes` whose they are; `repeats` are the rows left out."""
    ids: bytes
    """The nodes' ids in UTF-8, one behind the other; `id_ends` says where each ends, with a 0 before the first."""
    runs: list[str | None]
    processes: list[tuple[str | None, str | None]]
    """Run, and what else tells the process, as JSON."""
    lanes: list[tuple[str | None, str]]
    """Run and agent."""
    origins: list[tuple[int | None, int | None]]
    """A run: when it began as its program measured it, and its first event that does not say."""


def causes_of(table: pa.Table) -> Causes:
    """The graph of events given as `COLUMNS`. An id that comes again is left out: the first one counts."""
    hashes, first = np.unique(table["_hash"].to_numpy(), return_index=True)
    repeated = np.ones(len(table), bool)
    repeated[first] = False
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    first = first[order]
    if len(first) < len(table):
        table = table.take(pa.array(first))
    count = len(table)
    span = (pc.equal(table["signal"], "span")).to_numpy().astype(bool)
    inner = pc.if_else(pa.array(span), _texts(table, "parent_span_id"), _texts(table, "span_id"))
    named_span = pc.binary_join_element_wise(_texts(table, "trace_id"), inner, pa.scalar("-", pa.large_string()))
    start, nothing = pa.scalar(span_id_of("", "")[:-1], pa.large_string()), pa.scalar("", pa.large_string())
    around = pc.binary_join_element_wise(start, named_span, nothing)
    caused_by = _one(table["caused_by"])
    effect_rows = np.asarray(pc.list_parent_indices(caused_by))
    span_rows = np.flatnonzero(np.asarray(pc.is_valid(around)))

    # Nodes are numbered in the order they are first named: by an event its own id, then its causes, then the span it is in.
    named = pa.concat_arrays(
        [
            _texts(table, "id"),
            pc.list_flatten(caused_by).cast(pa.large_string()),
            around.drop_null().cast(pa.large_string()),
        ]
    )
    rows = np.concatenate([np.arange(count), effect_rows, span_rows])
    kinds = np.repeat(np.array([0, 1, 2], np.int8), [count, len(effect_rows), len(span_rows)])
    order = np.lexsort((kinds, rows))
    encoded = named.take(pa.array(order)).dictionary_encode()
    numbers = np.empty(len(order), np.int32)
    numbers[order] = np.asarray(encoded.indices)
    ids = encoded.dictionary
    node, causes, outer = np.split(numbers, [count, count + len(effect_rows)])

    by_id = np.asarray(pc.array_sort_indices(ids)).astype(np.int32)
    arrays = {
        name: np.full(len(ids), NOWHERE, _DTYPES[code]) for name, code in TYPES.items() if code != "B" and code != "Q"
    }
    arrays |= {name: np.zeros(len(ids), _DTYPES[code]) for name, code in TYPES.items() if code in ("B", "Q")}
    arrays["by_id"] = by_id
    arrays["seen"][node] = 1
    arrays["is_span"][node] = span
    arrays["row"][node] = first
    arrays["repeats"] = np.flatnonzero(repeated)
    arrays["hashes"], arrays["hash_nodes"] = hashes, node[place]
    arrays["hash"][arrays["hash_nodes"]] = hashes
    arrays["time"][node] = np.maximum(table["time"].to_numpy(), 0)
    runs, processes = _processes(table, node, arrays)
    _edges(arrays, causes, node[effect_rows])
    _spans(arrays, node[span_rows], outer)
    lanes = _lanes(table, node, arrays, runs)
    offsets = (
        np.frombuffer(ids.buffers()[1], np.int64, len(ids) + 1, ids.offset * 8) if len(ids) else np.zeros(1, np.int64)
    )
    arrays["id_ends"] = offsets - offsets[0]
    data = bytes(ids.buffers()[2])[offsets[0] : offsets[-1]] if len(ids) and ids.buffers()[2] else b""
    return Causes(arrays, data, runs, processes, lanes, _origins(table, arrays["run"][node], len(runs)))


def _one(column: pa.ChunkedArray) -> pa.Array:
    """The column as one array."""
    found = column.combine_chunks()
    return pa.concat_arrays(found.chunks) if isinstance(found, pa.ChunkedArray) else found


def _texts(table: pa.Table, name: str) -> pa.Array:
    return _one(table[name].cast(pa.large_string()))


def _codes(values: pa.Array) -> tuple[Numbers, list[Any]]:
    """Each value's number, in the order of their first appearance, null among them; and the values."""
    encoded = values.dictionary_encode(null_encoding="encode")
    return np.asarray(encoded.indices), encoded.dictionary.to_pylist()


def _linked(keys: Numbers, size: int) -> tuple[Numbers, Numbers]:
    """Linked lists of the positions that share a key, the last one first: the next of each position, the first of each key."""
    following = np.full(len(keys), NOWHERE, np.int32)
    first = np.full(size, NOWHERE, np.int32)
    order = np.argsort(keys, kind="stable").astype(np.int32)
    same = keys[order[1:]] == keys[order[:-1]]
    following[order[1:][same]] = order[:-1][same]
    first[keys[order]] = order  # of several for one key the last one stays
    return following, first


def _processes(
    table: pa.Table, node: Numbers, arrays: dict[str, Numbers]
) -> tuple[list[str | None], list[tuple[str | None, str | None]]]:
    run, runs = _codes(_texts(table, "run"))
    named, names = _codes(_texts(table, "_process"))
    pairs, code = np.unique(run.astype(np.int64) * (len(names) + 1) + named, return_inverse=True)
    processes = [(runs[pair // (len(names) + 1)], names[pair % (len(names) + 1)]) for pair in pairs.tolist()]
    known = np.asarray(pc.is_valid(_one(table["_process"])))
    seq = pc.fill_null(_one(table["seq"]), NOWHERE).to_numpy(zero_copy_only=False)
    ordered = seq >= 0
    arrays["run"][node] = run
    arrays["seq"][node] = np.where(ordered, seq, NOWHERE)
    arrays["process"][node] = np.where(ordered, np.where(known, code, -2 - code), NOWHERE)
    return runs, processes


def _edges(arrays: dict[str, Numbers], cause: Numbers, effect: Numbers) -> None:
    """The recorded edges, each once."""
    size = len(arrays["seen"])
    once = np.sort(np.unique(effect.astype(np.int64) * max(size, 1) + cause, return_index=True)[1])
    arrays["cause"], arrays["effect"] = cause[once], effect[once]
    arrays["next_cause"], arrays["first_cause"] = _linked(arrays["effect"], size)
    arrays["next_effect"], arrays["first_effect"] = _linked(arrays["cause"], size)


def _spans(arrays: dict[str, Numbers], inside: Numbers, outer: Numbers) -> None:
    """What each node is in, and lists of what is inside."""
    inside, outer = inside[inside != outer], outer[inside != outer]
    arrays["span"][inside] = outer
    following, first = _linked(outer, len(arrays["seen"]))
    arrays["next_inside"][inside[following >= 0]] = inside[following[following >= 0]]
    arrays["first_inside"][first >= 0] = inside[first[first >= 0]]


def _lanes(
    table: pa.Table, node: Numbers, arrays: dict[str, Numbers], runs: list[str | None]
) -> list[tuple[str | None, str]]:
    """The order of each agent's events: by `seq` where all are of one known process, else by time."""
    agent, agents = _codes(_texts(table, "agent"))
    given = np.asarray(pc.is_valid(_one(table["agent"])))
    node, agent = node[given], agent[given]
    key, lane = np.unique(arrays["run"][node].astype(np.int64) * (len(agents) + 1) + agent, return_inverse=True)
    process = arrays["process"][node].astype(np.int64)
    least, most = np.full(len(key), 1 << 40), np.full(len(key), -(1 << 40))
    np.minimum.at(least, lane, process)
    np.maximum.at(most, lane, process)
    by_seq = ((least == most) & (least >= 0))[lane]
    rank = np.empty(len(arrays["seen"]), np.int64)
    rank[arrays["by_id"]] = np.arange(len(rank))
    time, seq = arrays["time"][node].astype(np.int64), arrays["seq"][node]
    order = np.lexsort((rank[node], np.where(by_seq, 0, seq), np.where(by_seq, seq, time), lane))
    ordered, of = node[order], lane[order]
    same = of[1:] == of[:-1]
    arrays["previous"][ordered[1:][same]] = ordered[:-1][same]
    arrays["following"][ordered[:-1][same]] = ordered[1:][same]
    arrays["lane_nodes"] = ordered.astype(np.int32)
    arrays["lane_ends"] = np.cumsum(np.bincount(of, minlength=len(key))).astype(np.int64)
    return [(runs[each // (len(agents) + 1)], agents[each % (len(agents) + 1)]) for each in key.tolist()]


def _origins(table: pa.Table, run: Numbers, runs: int) -> list[tuple[int | None, int | None]]:
    time = table["time"].to_numpy()
    measured = np.asarray(pc.is_valid(_one(table["elapsed_ns"])))
    start = time - pc.fill_null(_one(table["elapsed_ns"]), 0).to_numpy(zero_copy_only=False)
    none = (1 << 63) - 1
    said, least = np.full(runs, none, np.int64), np.full(runs, none, np.int64)
    np.minimum.at(said, run[measured], start[measured])
    np.minimum.at(least, run[~measured], time[~measured])
    return [
        (None if a == none else a, None if b == none else b) for a, b in zip(said.tolist(), least.tolist(), strict=True)
    ]
