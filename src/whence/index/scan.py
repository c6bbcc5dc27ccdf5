"""The walk through an archive's blocks in the order of time: which rows a condition holds for, and their events.

The law: only blocks in which the condition can hold are read, as few at a time as the answer needs, each row that stands
twice counts once, and rows come in the order of time, id and place.
"""

import re
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whence.filter.needs import ANYTHING, Need
from whence.filter.sql import Sql
from whence.index.causes import among
from whence.index.columns import NAMES, READ, SCHEMA
from whence.index.parts import Identity, Parts
from whence.index.store import table_of
from whence.index.terms import Keys

Numbers = Any
"""A numpy array of one dimension."""

FEW: Final = 2
"""Blocks that are read whole at once, since the events of most of them will be wanted."""
_FIRST: Final = 2
_MOST: Final = 256
"""Blocks that are looked at together: few first, when the first rows may be enough, then more and more."""
_KEPT: Final = 32
_KEPT_MOST: Final = 192
"""Blocks kept in memory as they were read whole, 2 to 4 MB each: more where many writers' events alternate."""
_KEY: Final = ("time", "id")
_PLACE: Final = ("_part", "_row")
_NAME: Final = re.compile(r"\w+")
_FOUND: Final = pa.schema([SCHEMA.field("time"), SCHEMA.field("id"), ("_part", pa.int32()), ("_row", pa.int64())])
_ORDER: Final = [(name, "ascending") for name in _FOUND.names]


@dataclass(frozen=True, slots=True)
class Where(Sql):
    """A condition over the relation of all events, and what the walk makes of it.

    `need` is what must stand in a block; `walked` the condition with the columns `_mark1`, `_mark2`, ... in the place of
    causal questions; `marks` the hashes of the ids that those columns are true of, each in ascending order.
    """

    need: Need = ANYTHING
    walked: Sql | None = None
    marks: tuple[Numbers, ...] = ()


class Blocks:
    """The blocks of all parts as they are now, and when the events in them happened."""

    def __init__(self, parts: Parts, repeats: Mapping[Identity, Numbers], former: "Blocks | None" = None) -> None:
        """`repeats`: of each segment the rows that stand at an earlier place already, in ascending order.

        `former`: the blocks as they were before, whose memory of what was read is taken over.
        """
        self.parts = [part for part in parts.parts if part.rows]
        self.repeats = [repeats.get(part.identity) for part in self.parts]
        self.firsts = [part.firsts() for part in self.parts]
        counts = [len(firsts) - 1 for firsts in self.firsts]
        self.part = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        self.number = np.concatenate([np.empty(0, np.int64), *(np.arange(count) for count in counts)])
        times = np.concatenate([np.empty((0, 2), np.int64), *(part.times() for part in self.parts)])
        self.low, self.high = times[:, 0], times[:, 1]
        self._read: OrderedDict[tuple[Identity, int, int], pa.Table] = former._read if former else OrderedDict()
        self._kept = _KEPT

    def __len__(self) -> int:
        return len(self.part)

    def key(self, part: int) -> Hashable:
        """What changes whenever the rows of a part do, or which of them stand at an earlier place already."""
        again = self.repeats[part]
        return (self.parts[part].key, 0 if again is None else again.tobytes())

    def rows(self) -> int:
        """How many events there are, each counted once."""
        return sum(firsts[-1] for firsts in self.firsts) - sum(len(rows) for rows in self.repeats if rows is not None)

    def with_repeats(self) -> "Blocks":
        """The same blocks, in which rows that stand twice do so: what has the id of another need not be the same."""
        found = copy(self)
        found.repeats = [None] * len(self.parts)
        return found

    def left_by(self, need: Need) -> Numbers:
        """The numbers of the blocks in which an event may have what is needed."""
        masks, keys = [], Keys()
        for part, firsts in zip(self.parts, self.firsts, strict=True):
            mask = part.blocks_for(need, keys)
            masks.append(np.ones(len(firsts) - 1, bool) if mask is None else mask)
        return np.flatnonzero(np.concatenate([np.empty(0, bool), *masks]))

    def table(self, blocks: Numbers, columns: Sequence[str]) -> pa.Table:
        """Columns of some blocks, with the place of each row (`_part`, `_row`); rows that stand twice once."""
        tables = []
        for part in np.unique(self.part[blocks]).tolist():
            numbers = np.sort(self.number[blocks[self.part[blocks] == part]]).tolist()
            whole = len(blocks) <= FEW and set(columns) <= set(READ)
            read = [self.whole(part, number).select(columns) for number in numbers] if whole else None
            table = pa.concat_tables(read) if read else self.parts[part].blocks(numbers, columns)
            firsts = self.firsts[part]
            rows = np.concatenate([np.arange(firsts[number], firsts[number + 1]) for number in numbers])
            table = table.append_column("_part", pa.array(np.full(len(rows), part, np.int32)))
            table = table.append_column("_row", pa.array(rows))
            again = self.repeats[part]
            if again is not None:
                table = table.filter(pa.array(~np.isin(rows, again)))
            tables.append(table)
        return pa.concat_tables(tables)

    def whole(self, part: int, number: int) -> pa.Table:
        """One block, everything that makes events of it; the last few that were asked for are kept."""
        of = self.parts[part]
        key = (of.identity, number, self.firsts[part][number + 1])
        table = self._read.pop(key, None)
        if table is None:
            table = of.block(number, READ)
        self._read[key] = table
        while len(self._read) > self._kept:
            with suppress(KeyError):  # another thread was quicker
                self._read.popitem(last=False)
        return table

    def take(self, part: Numbers, row: Numbers) -> pa.RecordBatch:
        """The rows at these places, in the order given, with the columns of `READ`."""
        tables, places, wanted = [], [], []
        for of in np.unique(part).tolist():
            mine = np.flatnonzero(part == of)
            block = np.searchsorted(self.firsts[of], row[mine], "right") - 1
            wanted += [(of, number, mine[block == number]) for number in np.unique(block).tolist()]
        self._kept = min(max(self._kept, len(wanted) + _KEPT // 2), _KEPT_MOST)
        for of, number, here in wanted:
            tables.append(self.whole(of, number).take(pa.array(row[here] - self.firsts[of][number])))
            places.append(here)
        order = np.empty(len(part), np.int64)
        order[np.concatenate(places)] = np.arange(len(part))
        return pa.concat_tables(tables).combine_chunks().take(pa.array(order)).combine_chunks().to_batches()[0]


def matching(
    blocks: Blocks, where: Where, chosen: Numbers, session: duckdb.DuckDBPyConnection, columns: Sequence[str] = _KEY
) -> pa.Table:
    """The rows of some blocks for which a condition holds: `columns` and `_part` and `_row`, in no order."""
    if not len(chosen):
        fields = [SCHEMA.field(name) for name in columns]
        return pa.schema([*fields, ("_part", pa.int32()), ("_row", pa.int64())]).empty_table()
    walked = where.walked or where
    if walked.text == "TRUE":
        return blocks.table(chosen, columns)
    asked = columns_in(walked.text)
    needed = list(dict.fromkeys([*columns, *asked, *(["_hash"] if where.marks else [])]))
    table = blocks.table(chosen, needed)
    for number, hashes in enumerate(where.marks, 1):
        table = table.append_column(f"_mark{number}", pa.array(among(table["_hash"].to_numpy(), hashes)))
    session.register("_walked", table)
    try:
        shown = ", ".join(f'"{name}"' for name in (*columns, *_PLACE))
        return table_of(session, f"SELECT {shown} FROM _walked WHERE {walked.text}", walked.parameters)
    finally:
        session.unregister("_walked")


def columns_in(text: str) -> list[str]:
    """The fields that SQL of ours names."""
    words = set(_NAME.findall(text))
    return [name for name in NAMES if name in words]


def in_time(
    blocks: Blocks, where: Where, session: duckdb.DuckDBPyConnection, *, newest: bool = False
) -> Iterator[pa.Table]:
    """The places of all rows for which a condition holds, in order (`newest`: backwards), some at a time.

    Blocks are taken by the time they begin; what was found is given out as soon as no block that is left begins before it.
    """
    left = blocks.left_by(where.need)
    edge = -blocks.high if newest else blocks.low
    left = left[np.argsort(edge[left], kind="stable")]
    waiting = _FOUND.empty_table()
    at, step = 0, _FIRST
    while at < len(left):
        chosen = left[at : at + step]
        at, step = at + len(chosen), min(step * 2, _MOST)
        waiting = pa.concat_tables([waiting, matching(blocks, where, chosen, session).cast(_FOUND)])
        if at < len(left):
            time = waiting["time"].to_numpy()
            ready = -time < edge[left[at]] if newest else time < edge[left[at]]
            found, waiting = waiting.filter(pa.array(ready)), waiting.filter(pa.array(~ready))
        else:
            found, waiting = waiting, _FOUND.empty_table()
        if len(found):
            found = found.take(pc.sort_indices(found, _ORDER))
            yield found.take(pa.array(np.arange(len(found))[::-1])) if newest else found
        else:
            yield found
