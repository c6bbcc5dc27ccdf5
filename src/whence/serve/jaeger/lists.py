"""What an archive has at all: services, their operations, and who calls whom.

The law: what was gathered from a segment is not gathered again while its rows stay the same; what a caller may not see is
gathered for nobody else.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whence.event import names
from whence.filter.selection import joined
from whence.filter.tree import Compare, Everything, Exists, Filter, Path
from whence.index.causes import among
from whence.index.engine import Engine
from whence.index.gathered import Gathered
from whence.index.scan import Blocks, Where, columns_in
from whence.index.store import open_scanner, table_of
from whence.serve.access.caller import Caller, visible_to
from whence.serve.jaeger.limit import in_time
from whence.serve.jaeger.search import IS_SPAN, SHOWN, SPAN_KINDS, bounds
from whence.serve.jaeger.service import service_in

Numbers = Any
"""A numpy array of one dimension."""

_AT_ONCE: Final = 128
"""Blocks that are looked at together."""
_KIND_OF: Final = (
    "CASE "
    + " ".join(
        f"""WHEN contains(attributes, '"{names.SPAN_KIND}":"{kind}"') THEN '{kind}'""" for kind in SPAN_KINDS if kind
    )
    + " ELSE '' END"
)
"""A span's kind, found as it stands in its attributes' JSON: twenty times faster than parsing that."""


class Operation(NamedTuple):
    """One operation of a service; `kind` in lower case, empty where the span says none."""

    service: str
    name: str
    kind: str


class Dependency(NamedTuple):
    """How often spans of one service are parents of spans of another."""

    parent: str
    child: str
    calls: int


class Lists:
    """The lists of one archive. Safe to ask from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._scanner = open_scanner()
        self._lock = threading.Lock()
        self._names = Gathered()
        self._spans: dict[Any, Numbers] = {}
        self._all_spans: tuple[Any, Numbers] = (None, np.empty(0, np.uint64))

    def services(self, caller: Caller) -> list[str]:
        """The services that have spans, or events shown as spans, in alphabetical order."""
        return sorted({operation.service for operation in self._operations(caller)})

    def operations(self, caller: Caller, service: str, kind: str = "") -> list[Operation]:
        """What a service does, by name and kind; `kind`: of that kind only."""
        return sorted(
            operation
            for operation in self._operations(caller)
            if operation.service == service and (not kind or operation.kind == kind.lower())
        )

    def _operations(self, caller: Caller) -> set[Operation]:
        blocks = self._engine.blocks().with_repeats()
        where = self._engine.where(visible_to(caller, SHOWN))
        wall = visible_to(caller, Everything())
        spans = self._span_hashes(blocks)
        left = blocks.left_by(where.need)

        def gather(left: Numbers) -> dict[int, frozenset[Operation]]:
            of = blocks.part[left]
            return {part: self._names_in(blocks, left[of == part], where, spans) for part in np.unique(of).tolist()}

        return set().union(*self._names.of(blocks, left, wall, gather))

    def _names_in(self, blocks: Blocks, left: Numbers, where: Where, spans: Numbers) -> frozenset[Operation]:
        session = self._scanner.cursor()
        condition = where.walked or where
        found: set[Operation] = set()
        for chosen in _some(left):
            has_spans = pc.any(pc.equal(blocks.table(chosen, ["signal"])["signal"], "span")).as_py()
            columns = ["resource", "type", "signal", "_around", *columns_in(condition.text)]
            table = blocks.table(chosen, list(dict.fromkeys([*columns, *(["attributes"] if has_spans else [])])))
            around, which = np.unique(pc.fill_null(table["_around"], 0).to_numpy(), return_inverse=True)
            session.register("_walked", table.append_column("_inside", pa.array(among(around, spans)[which])))
            kind = f"CASE WHEN signal = 'span' THEN {_KIND_OF} ELSE 'internal' END" if has_spans else "'internal'"
            text = (
                f"SELECT DISTINCT resource, type, {kind} AS kind"
                f" FROM _walked WHERE (signal = 'span' OR NOT _inside) AND {condition.text}"
            )
            rows = table_of(session, text, condition.parameters)
            session.unregister("_walked")
            for resource, name, kind in zip(*(column.to_pylist() for column in rows.columns), strict=True):
                found.add(Operation(service_in(resource), name, kind))
        return frozenset(found)

    def _span_hashes(self, blocks: Blocks) -> Numbers:
        """The hashes of all spans' ids, in ascending order."""
        found = [np.empty(0, np.uint64)]
        where = self._engine.where(Compare(Path("signal"), "=", "span"))
        left = blocks.left_by(where.need)
        with self._lock:
            kept = {part.key for part in blocks.parts}
            self._spans = {key: hashes for key, hashes in self._spans.items() if key in kept}
            for number, part in enumerate(blocks.parts):
                if part.key not in self._spans:
                    some = [
                        table.filter(pc.equal(table["signal"], "span"))["_hash"].to_numpy()
                        for chosen in _some(left[blocks.part[left] == number])
                        for table in [blocks.table(chosen, ["signal", "_hash"])]
                    ]
                    self._spans[part.key] = np.sort(np.concatenate([np.empty(0, np.uint64), *some]))
                found.append(self._spans[part.key])
            if self._all_spans[0] != kept:
                self._all_spans = (kept, np.sort(np.concatenate(found)))
            return self._all_spans[1]

    # --- who calls whom ---------------------------------------------------------------------------------------------------

    def dependencies(self, caller: Caller, start: int, end: int) -> list[Dependency]:
        """The calls between services whose child spans began from `start` to `end`, in ns since the epoch; 0 is no bound."""
        wanted = joined([IS_SPAN, Exists(Path("parent_span_id")), *bounds("time", start, end)])
        blocks = self._engine.blocks()
        services: dict[str, int] = {}
        children = list(self._spans_with(blocks, caller, wanted, "_around", services))
        parent = np.concatenate([np.empty(0, np.uint64), *(hashes for hashes, _ in children)])
        child = np.concatenate([np.empty(0, np.int64), *(codes for _, codes in children)])
        above = np.unique(parent)
        known = np.full(len(above), -1, np.int64)
        for hashes, codes in self._spans_with(blocks, caller, IS_SPAN, "_hash", services):
            mine = among(hashes, above)
            known[np.searchsorted(above, hashes[mine])] = codes[mine]
            if (known >= 0).all():
                break
        caller_of = known[np.searchsorted(above, parent)] if len(above) else child
        calls = (caller_of >= 0) & (caller_of != child)
        pairs, counts = np.unique(np.stack([caller_of[calls], child[calls]]), axis=1, return_counts=True)
        by_code = list(services)
        total: Counter[tuple[str, str]] = Counter()
        for (of, to), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
            total[(by_code[of], by_code[to])] += count
        return [Dependency(of, to, count) for (of, to), count in sorted(total.items())]

    def _spans_with(
        self, blocks: Blocks, caller: Caller, tree: Filter, column: str, services: dict[str, int]
    ) -> Iterator[tuple[Numbers, Numbers]]:
        """A column of hashes of the spans that match, newest first, and the number of each one's service in `services`."""
        where = self._engine.where(visible_to(caller, tree))
        condition = where.walked or where
        session = self._scanner.cursor()
        left = blocks.left_by(where.need)
        for chosen in _some(left[np.argsort(-blocks.high[left], kind="stable")]):
            columns = list(dict.fromkeys([column, "resource", *columns_in(condition.text)]))
            session.register("_walked", blocks.table(chosen, columns))
            text = f'SELECT "{column}", resource FROM _walked WHERE {condition.text}'
            found = table_of(session, text, condition.parameters)
            session.unregister("_walked")
            resources = found["resource"].combine_chunks().dictionary_encode()
            numbers = [
                services.setdefault(service_in(text), len(services)) for text in resources.dictionary.to_pylist()
            ]
            codes = np.array([*numbers, services.setdefault(service_in(None), len(services))], np.int64)
            index = resources.indices.fill_null(len(numbers)).to_numpy(zero_copy_only=False)
            yield found[column].to_numpy(), codes[index]


def _some(chosen: Numbers) -> Iterator[Numbers]:
    for at in range(0, len(chosen), _AT_ONCE):
        in_time()
        yield chosen[at : at + _AT_ONCE]
