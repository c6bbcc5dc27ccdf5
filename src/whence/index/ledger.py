"""The graph of causes as one file beside the archive, mapped into memory, and grown by what came since it was made.

The law: a cache, of the archive's segments as far as they were there; a file that is damaged, or of which a segment is gone,
is made anew.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from whence.archive import names
from whence.causality.graph import Graph
from whence.event.model import Event
from whence.index.arrays import Stamp, checked, read_arrays, replace_arrays, replace_file, stamp_of
from whence.index.causes import DTYPES, TYPES, Causes, causes_of
from whence.index.columns import GROWTH, clean, events_of_columns, hash_of
from whence.index.parts import Identity, Parts

VERSION: Final = 4
_GROW: Final = 20_000
_SHARE: Final = 10
"""A graph grows by up to `_GROW` rows (a fifth of a second) and an `_SHARE`th of the archive's; beyond that it is made anew."""
Numbers = Any
"""A numpy array of one dimension."""
_ALIKE: Final = {
    "time": "time", "seq": "seq", "process": "process", "_run": "run", "_cause": "cause", "_effect": "effect",
    "_next_cause": "next_cause", "_next_effect": "next_effect", "_first_cause": "first_cause",
    "_first_effect": "first_effect", "_span": "span", "_next_inside": "next_inside", "_first_inside": "first_inside",
    "_previous": "previous", "_following": "following",
}  # fmt: skip
"""The graph's own lists of numbers, and the arrays they are."""


class _Ids(Sequence[str]):
    """The nodes' ids, decoded when asked for; new ones are kept beside them."""

    def __init__(self, data: Any, ends: Any) -> None:
        self._data, self._ends = data, ends
        self._count = len(ends) - 1
        self._more: list[str] = []

    def __len__(self) -> int:
        return self._count + len(self._more)

    def __getitem__(self, node: Any) -> Any:
        if node >= self._count:
            return self._more[node - self._count]
        return str(self._data[self._ends[node] : self._ends[node + 1]], "utf-8")

    def __iter__(self) -> Iterator[str]:
        at = 0
        for end in self._ends[1:]:
            yield str(self._data[at:end], "utf-8")
            at = end
        yield from self._more

    def append(self, event_id: str) -> None:
        """One more."""
        self._more.append(event_id)


class _Numbers:
    """The node of each id, by the hashes in their order; new ones are kept beside them."""

    def __init__(self, hashes: Any, nodes: Any) -> None:
        self._hashes, self._nodes = np.asarray(hashes), nodes
        self._more: dict[str, int] = {}

    def get(self, event_id: str, default: int | None = None) -> int | None:
        """The node of an id."""
        wanted = hash_of(event_id if event_id.isascii() else clean(event_id))
        at = int(np.searchsorted(self._hashes, np.uint64(wanted)))
        if at < len(self._hashes) and self._hashes[at] == wanted:
            return int(self._nodes[at])
        return self._more.get(event_id, default)

    def __setitem__(self, event_id: str, node: int) -> None:
        self._more[event_id] = node


class Ledger(Graph):
    """A graph that was made of columns. What `Graph` can be asked it can be asked as well, and it grows by more columns."""

    def __init__(self, header: dict[str, Any], arrays: dict[str, Any], ids: Any) -> None:
        """`arrays`: by the names of `causes.TYPES`, as memoryviews."""
        self.header = header
        self._arrays = arrays
        own: dict[str, Any] = self.__dict__
        own["ids"] = _Ids(ids, arrays["id_ends"])
        own["_number"] = _Numbers(arrays["hashes"], arrays["hash_nodes"])
        own["seen"], own["_is_span"] = arrays["seen"], arrays["is_span"]
        own |= {name: arrays[of] for name, of in _ALIKE.items()}
        self._runs = {run: number for number, run in enumerate(header["runs"])}
        self._processes = {}
        self._lanes = {}
        self._unsorted = set()
        self._origins: dict[str | None, tuple[int | None, int | None]]
        self._origins = {run: tuple(header["origins"][number]) for run, number in self._runs.items()}
        self._parts = [_identity(part) for part in header["parts"]]
        self._ends = list(accumulate(part[-1] for part in header["parts"]))
        self.rows: dict[Identity, int] = dict(zip(self._parts, (part[-1] for part in header["parts"]), strict=True))
        """Of each segment that is in the graph, how many of its rows are."""
        self.repeats: dict[Identity, Numbers] = {}
        """Of each segment that has some, the rows whose id stands at an earlier place, in ascending order."""
        for row in np.asarray(arrays["repeats"]).tolist():
            part, within = self._place(row)
            self.repeats.setdefault(part, []).append(within)
        self.repeats = {part: np.array(rows) for part, rows in self.repeats.items()}
        self._by_node: Numbers = None
        self._grown: dict[int, tuple[Identity, int]] = {}
        self._grown_hashes: dict[int, int] = {}

    def __len__(self) -> int:
        return bytes(self.seen).count(1)

    def origins(self) -> dict[str | None, tuple[int | None, int | None]]:
        """A run: when it began as its program measured it, and the time of its first event that does not say."""
        return self._origins

    def find(self, event_id: str) -> int | None:
        """The node of an id, seen or only named; None where it is neither."""
        return self._number.get(event_id)

    def row_of(self, node: int) -> tuple[Identity, int]:
        """Where the event of a node is: its segment, and the row in that."""
        return self._grown.get(node) or self._place(self._arrays["row"][node])

    def hashes_of(self, nodes: Numbers) -> Numbers:
        """The `_hash` of the ids of nodes that were seen, in ascending order."""
        base = self._hashes()
        found = np.zeros(len(nodes), np.uint64)
        stored = nodes < len(base)
        found[stored] = base[nodes[stored]]
        if self._grown:
            late = np.isin(nodes, np.fromiter(self._grown_hashes, np.int64))
            found[late] = [self._grown_hashes[node] for node in nodes[late].tolist()]
        return np.sort(found)

    def _hashes(self) -> Numbers:
        """The hash of each node of the file's, made when it is first asked for."""
        if self._by_node is None:
            self._by_node = np.empty(len(self._arrays["hashes"]), np.uint64)
            self._by_node[np.asarray(self._arrays["hash_nodes"])] = self._arrays["hashes"]
        return self._by_node

    def nodes_of(self, hashes: Numbers) -> Numbers:
        """The nodes that were seen and whose ids have these hashes."""
        stored, nodes = np.asarray(self._arrays["hashes"]), np.asarray(self._arrays["hash_nodes"])
        at: Numbers = np.searchsorted(stored, hashes)
        there = at < len(stored)
        there[there] = stored[at[there]] == hashes[there]
        known = nodes[at[there]]
        known = known[np.asarray(self._arrays["seen"])[known] != 0]
        if not self._grown:
            return known
        grown = {hash: node for node, hash in self._grown_hashes.items()}
        late = [grown[hash] for hash in hashes.tolist() if hash in grown]
        return np.concatenate([known, np.array(late, np.int32)])

    def grow(self, part: Identity, batches: Iterable[pa.RecordBatch]) -> None:
        """Add the rows of a segment that follow on those which are in the graph, as batches of `GROWTH`."""
        first = row = self.rows.get(part, 0)
        repeated = []
        for batch in batches:
            for event, hash in zip(events_of_columns(batch), batch.column("_hash").to_pylist(), strict=True):
                if event.id in self:
                    repeated.append(row)
                else:
                    self._add_grown(event, part, row, hash)
                row += 1
        self.rows[part] = row
        if repeated:
            before = self.repeats.get(part, np.empty(0, np.int64))
            self.repeats[part] = np.concatenate([before, np.array(repeated)])
        assert row >= first

    def _add_grown(self, event: Event, part: Identity, row: int, hash: int) -> None:
        if not isinstance(self.seen, bytearray):
            self._thaw()
        self.add(event)
        node = self.number(event.id)
        self._grown[node], self._grown_hashes[node] = (part, row), hash
        said, least = self._origins.get(event.run, (None, None))
        if event.elapsed_ns is not None:
            start = event.time - event.elapsed_ns
            said = start if said is None else min(said, start)
        else:
            least = event.time if least is None else min(least, event.time)
        self._origins[event.run] = (said, least)

    def _place(self, row: int) -> tuple[Identity, int]:
        at = bisect_right(self._ends, row)
        return self._parts[at], row - (self._ends[at - 1] if at else 0)

    def _thaw(self) -> None:
        """Copy everything into arrays that can grow."""
        own: dict[str, Any] = self.__dict__
        for name, of in _ALIKE.items():
            own[name] = array(TYPES[of])
            own[name].frombytes(memoryview(self._arrays[of]).cast("B"))
        self.seen, self._is_span = bytearray(self.seen), bytearray(self._is_span)
        self._processes = {
            (run, *(orjson.loads(named) if named else ())): number
            for number, (run, named) in enumerate(self.header["processes"])
        }
        at = 0
        for (run, agent), end in zip(self.header["lanes"], self._arrays["lane_ends"], strict=True):
            self._lanes[(run, agent)] = array("i", self._arrays["lane_nodes"][at:end])
            at = end


def _identity(part: Sequence[Any]) -> Identity:
    stem, source, _ = part
    return Identity(stem, tuple(source) if source else None)


def _made(parts: Parts) -> tuple[dict[str, Any], Causes]:
    """The graph of everything as it is now, and the header of its file."""
    causes = causes_of(parts.columns)
    said = {name: getattr(causes, name) for name in ("runs", "processes", "lanes", "origins")}
    of = [(part.segment.stem, part.source, part.rows) for part in parts.parts]
    return {"version": VERSION, "parts": of, **said}, causes


def _ledger(header: dict[str, Any], arrays: dict[str, Any]) -> Ledger:
    views: dict[str, Any] = {name: memoryview(_typed(name, arrays[name])) for name in TYPES}
    return Ledger(orjson.loads(orjson.dumps(header)), views, memoryview(arrays["ids"]))


def _save(root: Path, header: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Put the graph's file in place, and the note that says its bytes are those. Raises OSError."""
    path, note = root / names.CAUSES, root / names.CAUSES_NOTE
    replace_arrays(path, header, arrays)
    stamp = stamp_of(path)
    replace_file(note, orjson.dumps(list(stamp)))


def _load(root: Path) -> Ledger | None:
    """The graph in the file, where that is whole and of this version; else None."""
    try:
        stamp = Stamp(*orjson.loads((root / names.CAUSES_NOTE).read_bytes()))
        if checked(root / names.CAUSES, stamp) is None:
            return None
        found = read_arrays(root / names.CAUSES)
        if found is None or found[0]["version"] != VERSION:
            return None
        return _ledger(*found)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def bring_up_to_date(ledger: Ledger | None, parts: Parts) -> Ledger:
    """The graph of these parts as they are now: the one given grown, else the file's, else made anew and put on disk.

    A graph stays good while its segments are there: what was recorded never changes. It is made anew where one is gone, and
    where so much came since that growing would take longer.
    """
    ledger = ledger if ledger is not None and _fits(ledger, parts) else None
    if ledger is None and parts.keep:
        ledger = _load(parts.archive.directory)
        ledger = ledger if ledger is not None and _fits(ledger, parts) else None
    more = 0 if ledger is None else parts.rows() - sum(ledger.rows.values())
    if ledger is None or more > _GROW + parts.rows() // _SHARE:
        header, causes = _made(parts)
        arrays = {**causes.arrays, "ids": causes.ids}
        if parts.keep and any(part.note for part in parts.parts):
            with suppress(OSError):
                _save(parts.archive.directory, header, {name: _typed(name, array) for name, array in arrays.items()})
        return _ledger(header, arrays)
    if more:
        for part in parts.parts:
            known = ledger.rows.get(part.identity, 0)
            if part.rows > known:
                ledger.grow(part.identity, part.columns(GROWTH, known))
    return ledger


def _typed(name: str, array: Any) -> Any:
    return array if isinstance(array, bytes) or name == "id_ends" else np.asarray(array, DTYPES[TYPES[name]])


def _fits(ledger: Ledger, parts: Parts) -> bool:
    """Whether every row in the graph is there still."""
    there = {part.identity: part.rows for part in parts.parts}
    return all(there.get(part, -1) >= rows for part, rows in ledger.rows.items() if rows)
