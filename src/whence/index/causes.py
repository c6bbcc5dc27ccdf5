"""The graph of all causes made of columns instead of events, a few numpy passes over what a million `add`s would do.

The law: pure, and node for node the graph that `causality.graph` makes of the same events in the same order.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whence.causality.graph import NOWHERE
from whence.event.ids import span_id_of

COLUMNS: Final = [
    "id",
    "_hash",
    "_causes",
    "_around",
    "time",
    "seq",
    "elapsed_ns",
    "run",
    "_process",
    "agent",
    "signal",
]
"""What the graph is made of."""
_NAMES: Final = ["caused_by", "trace_id", "span_id", "parent_span_id", "signal"]
"""What tells the names of those that others name and that are nowhere."""
TYPES: Final = {
    "seen": "B", "time": "Q", "seq": "q", "process": "i", "run": "i", "cause": "i", "effect": "i", "next_cause": "i",
    "next_effect": "i", "first_cause": "i", "first_effect": "i", "span": "i", "next_inside": "i", "first_inside": "i",
    "is_span": "B", "previous": "i", "following": "i", "row": "i", "lane_nodes": "i", "lane_ends": "q", "id_ends": "I",
    "hashes": "Q", "hash_nodes": "i", "repeats": "q",
}  # fmt: skip
"""Every array of the graph and its type code, as `array` and `memoryview` name it."""
DTYPES: Final = {"B": np.uint8, "Q": np.uint64, "q": np.int64, "i": np.int32, "I": np.uint32}
_NO_TIME: Final = (1 << 63) - 1
Numbers = Any
"""A numpy array of one dimension."""
Read = Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
"""Gives some columns of everything, in the order it is read; may be called again."""


class Causes(NamedTuple):
    """A graph in arrays of a number a node or edge, and the names that the numbers stand for."""

    arrays: dict[str, Numbers]
    """By the names of `TYPES`. `row` is each node's event in the order given; `hashes` has their hashes in order and
    `hash_nodes` whose they are; `repeats` are the rows that were left out, because their id stood there before. `id_ends` are
    of 64 bits where the ids are longer than 4 GiB."""
    ids: bytes
    """The nodes' ids in UTF-8, one behind the other; `id_ends` says where each ends, with a 0 before the first."""
    runs: list[str | None]
    processes: list[tuple[str | None, str | None]]
    """Run, and what else tells the process, as JSON."""
    lanes: list[tuple[str | None, str]]
    """Run and agent."""
    origins: list[tuple[int | None, int | None]]
    """A run: when it began as its program measured it, and its first event that does not say."""


class _Codes:
    """Numbers for texts, in the order of their first appearance, null among them."""

    def __init__(self) -> None:
        self.number: dict[str | None, int] = {}

    def of(self, texts: pa.Array) -> Numbers:
        """The numbers of some more."""
        encoded = texts.dictionary_encode(null_encoding="encode")
        own = [self.number.setdefault(text, len(self.number)) for text in encoded.dictionary.to_pylist()]
        return np.array(own, np.int32)[np.asarray(encoded.indices)] if own else np.empty(0, np.int32)


class _Rows:
    """Every row's numbers, gathered batch by batch."""

    def __init__(self, read: Read) -> None:
        runs, processes, agents = _Codes(), _Codes(), _Codes()
        gathered: dict[str, list[Numbers]] = {}
        self.ids: list[pa.Array] = []
        for batch in read(COLUMNS):
            causes = batch.column("_causes")
            found = {
                "hash": batch.column("_hash").to_numpy(),
                "causes": np.asarray(pc.list_flatten(causes)),
                "caused": np.asarray(pc.list_value_length(causes)).astype(np.int32),
                "around": np.asarray(pc.fill_null(batch.column("_around"), 0)),
                "inside": np.asarray(pc.is_valid(batch.column("_around"))),
                "span": np.asarray(pc.equal(batch.column("signal"), "span")),
                "time": batch.column("time").to_numpy(),
                "seq": np.asarray(pc.fill_null(batch.column("seq"), NOWHERE)),
                "elapsed": np.asarray(pc.fill_null(batch.column("elapsed_ns"), 0)),
                "measured": np.asarray(pc.is_valid(batch.column("elapsed_ns"))),
                "run": runs.of(batch.column("run")),
                "process": processes.of(batch.column("_process")),
                "agent": agents.of(batch.column("agent")),
            }
            for name, array in found.items():
                gathered.setdefault(name, []).append(array)
            self.ids.append(batch.column("id"))
        self.arrays = {name: np.concatenate(gathered.pop(name)) for name in list(gathered)}
        self.runs, self.processes, self.agents = (list(codes.number) for codes in (runs, processes, agents))


def causes_of(read: Read) -> Causes:
    """The graph of the events whose `COLUMNS` and `_NAMES` can be read. Where an id comes again, the first event counts."""
    rows = _Rows(read)
    if not rows.ids:
        empty: dict[str, Numbers] = {name: np.zeros(0, DTYPES[code]) for name, code in TYPES.items()}
        return Causes({**empty, "id_ends": np.zeros(1, np.int64)}, b"", [], [], [], [])
    of = rows.arrays
    first = np.sort(np.unique(of["hash"], return_index=True)[1])
    counts = np.zeros(len(of["hash"]), bool)
    counts[first] = True
    of["causes"] = of["causes"][np.repeat(counts, of["caused"])]
    if len(first) < len(counts):
        of |= {name: array[first] for name, array in of.items() if name != "causes"}

    # Nodes are numbered in the order they are first named: by an event its own id, then its causes, then the span it is in.
    size = 1 + of["caused"].astype(np.int64) + of["inside"]
    own = np.cumsum(size) - size
    effect_rows = np.repeat(np.arange(len(own)), of["caused"])
    within = np.arange(len(effect_rows)) - np.repeat(np.cumsum(of["caused"]) - of["caused"], of["caused"])
    span_rows = np.flatnonzero(of["inside"])
    named = np.empty(int(size.sum()), np.uint64)
    named[own] = of["hash"]
    named[own[effect_rows] + 1 + within] = of["causes"]
    named[(own + size - 1)[span_rows]] = of["around"][span_rows]
    hashes, appears, inverse = np.unique(named, return_index=True, return_inverse=True)
    number = np.empty(len(hashes), np.int32)
    number[np.argsort(appears)] = np.arange(len(hashes), dtype=np.int32)
    numbers = number[inverse]
    node, cause, outer = numbers[own], numbers[own[effect_rows] + 1 + within], numbers[(own + size - 1)[span_rows]]
    del named, inverse, numbers

    arrays: dict[str, Numbers] = {
        name: np.zeros(len(hashes), DTYPES[code]) if code in "BQI" else np.full(len(hashes), NOWHERE, DTYPES[code])
        for name, code in TYPES.items()
    }
    arrays["hashes"], arrays["hash_nodes"] = hashes, number
    arrays["seen"][node] = 1
    arrays["is_span"][node] = of["span"]
    arrays["row"][node] = first
    arrays["repeats"] = np.flatnonzero(~counts)
    arrays["time"][node] = np.maximum(of["time"], 0)
    processes = _processes(rows, node, arrays)
    _edges(arrays, cause, node[effect_rows])
    _spans(arrays, node[span_rows], outer)
    ids, arrays["id_ends"] = _ids(rows.ids, counts, node, arrays, read)
    lanes = _lanes(rows, node, arrays, ids)
    return Causes(arrays, ids, rows.runs, processes, lanes, _origins(of, len(rows.runs)))


def among(hashes: Numbers, ordered: Numbers) -> Numbers:
    """Which of some hashes are among others, which are in ascending order: a mask."""
    if not len(ordered):
        return np.zeros(len(hashes), bool)
    at = np.minimum(np.searchsorted(ordered, hashes), len(ordered) - 1)
    return ordered[at] == hashes


def _ids(
    texts: list[pa.Array], counts: Numbers, node: Numbers, arrays: dict[str, Numbers], read: Read
) -> tuple[bytes, Numbers]:
    """The ids of all nodes, and where each ends. Those that are nowhere are read from whoever names them."""
    own = pa.chunked_array([ids.cast(pa.large_string()) for ids in texts])
    own = own if counts.all() else own.filter(pa.array(counts))
    hidden = arrays["seen"][arrays["hash_nodes"]] == 0
    names = _names(read, arrays["hashes"][hidden])
    everything = pa.concat_arrays([*own.chunks, pa.array(names, pa.large_string())])
    place = np.empty(len(arrays["seen"]), np.int64)
    place[node], place[arrays["hash_nodes"][hidden]] = np.arange(len(node)), np.arange(len(node), len(place))
    ids = everything.take(pa.array(place))
    ends = np.frombuffer(ids.buffers()[1], np.int64, len(ids) + 1, ids.offset * 8)
    data = bytes(ids.buffers()[2] or b"")[ends[0] : ends[-1]]
    return data, (ends - ends[0]).astype(np.uint32 if len(data) < 1 << 32 else np.int64)


def _names(read: Read, ordered: Numbers) -> list[str]:
    """The texts that have these hashes, which are in ascending order: of causes, and of spans that events are in."""
    wanted = dict.fromkeys(ordered.tolist(), "")
    for batch in read([*_NAMES, "_causes", "_around"]) if wanted else ():
        flat = pc.list_flatten(batch.column("_causes"))
        told = among(np.asarray(flat), ordered)
        texts = pc.list_flatten(batch.column("caused_by")).filter(pa.array(told)).to_pylist()
        wanted.update(zip(flat.filter(pa.array(told)).to_pylist(), texts, strict=True))
        around = pc.fill_null(batch.column("_around"), 0)
        within = among(np.asarray(around), ordered) & np.asarray(pc.is_valid(batch.column("_around")))
        if within.any():
            some = batch.filter(pa.array(within))
            inner = pc.if_else(pc.equal(some["signal"], "span"), some["parent_span_id"], some["span_id"])
            spans = map(span_id_of, some["trace_id"].to_pylist(), inner.to_pylist())
            wanted.update(zip(some["_around"].to_pylist(), spans, strict=True))
    return list(wanted.values())


def _linked(keys: Numbers, size: int) -> tuple[Numbers, Numbers]:
    """Linked lists of the positions that share a key, the last one first: the next of each position, the first of each key."""
    following = np.full(len(keys), NOWHERE, np.int32)
    first = np.full(size, NOWHERE, np.int32)
    order = np.argsort(keys, kind="stable").astype(np.int32)
    same = keys[order[1:]] == keys[order[:-1]]
    following[order[1:][same]] = order[:-1][same]
    first[keys[order]] = order  # of several for one key the last one stays
    return following, first


def _processes(rows: _Rows, node: Numbers, arrays: dict[str, Numbers]) -> list[tuple[str | None, str | None]]:
    of, names = rows.arrays, rows.processes
    pairs, code = np.unique(of["run"].astype(np.int64) * (len(names) + 1) + of["process"], return_inverse=True)
    known = np.array([name is not None for name in names])[of["process"]]
    ordered = of["seq"] >= 0
    arrays["run"][node] = of["run"]
    arrays["seq"][node] = np.where(ordered, of["seq"], NOWHERE)
    arrays["process"][node] = np.where(ordered, np.where(known, code, -2 - code), NOWHERE)
    return [(rows.runs[pair // (len(names) + 1)], names[pair % (len(names) + 1)]) for pair in pairs.tolist()]


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


def _lanes(rows: _Rows, node: Numbers, arrays: dict[str, Numbers], ids: bytes) -> list[tuple[str | None, str]]:
    """The order of each agent's events: by `seq` where all are of one known process, else by time."""
    runs, agents, agent = rows.runs, rows.agents, rows.arrays["agent"]
    given = np.array([name is not None for name in agents], bool)[agent]
    node, agent = node[given], agent[given]
    key, lane = np.unique(arrays["run"][node].astype(np.int64) * (len(agents) + 1) + agent, return_inverse=True)
    process = arrays["process"][node].astype(np.int64)
    least, most = np.full(len(key), 1 << 40), np.full(len(key), -(1 << 40))
    np.minimum.at(least, lane, process)
    np.maximum.at(most, lane, process)
    by_seq = ((least == most) & (least >= 0))[lane]
    time, seq = arrays["time"][node].astype(np.int64), arrays["seq"][node]
    keys = (np.where(by_seq, 0, seq), np.where(by_seq, seq, time), lane)
    order = np.lexsort(keys)
    ordered = node[order]
    _settle_ties(ordered, [each[order] for each in keys], ids, arrays["id_ends"])
    of = lane[order]
    same = of[1:] == of[:-1]
    arrays["previous"][ordered[1:][same]] = ordered[:-1][same]
    arrays["following"][ordered[:-1][same]] = ordered[1:][same]
    arrays["lane_nodes"] = ordered.astype(np.int32)
    arrays["lane_ends"] = np.cumsum(np.bincount(of, minlength=len(key))).astype(np.int64)
    return [(runs[each // (len(agents) + 1)], agents[each % (len(agents) + 1)] or "") for each in key.tolist()]


def _settle_ties(ordered: Numbers, keys: list[Numbers], ids: bytes, ends: Numbers) -> None:
    """Put what stands at the same place in the order of ids."""
    tied = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], tied, [False]]).astype(np.int8)))
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        some = ordered[first : last + 1].tolist()
        ordered[first : last + 1] = sorted(some, key=lambda node: ids[ends[node] : ends[node + 1]])


def _origins(of: dict[str, Numbers], runs: int) -> list[tuple[int | None, int | None]]:
    time, run, measured = of["time"], of["run"], of["measured"]
    start = time - of["elapsed"]
    said, least = np.full(runs, _NO_TIME, np.int64), np.full(runs, _NO_TIME, np.int64)
    np.minimum.at(said, run[measured], start[measured])
    np.minimum.at(least, run[~measured], time[~measured])
    return [
        (None if a == _NO_TIME else a, None if b == _NO_TIME else b)
        for a, b in zip(said.tolist(), least.tolist(), strict=True)
    ]
