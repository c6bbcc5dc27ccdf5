"""The graph of causes as one file beside the archive, mapped into memory, and grown by what came since it was made.

The law: a cache, for one state of the archive's sidecars; a file that is damaged or of another state is made anew.
"""

import mmap
import os
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from whence.archive import names
from whence.causality.graph import Graph
from whence.event.model import Event
from whence.index.causes import COLUMNS, TYPES, Causes, causes_of
from whence.index.columns import events_of_batch
from whence.index.parts import Parts

VERSION: Final = 1
_MAGIC: Final = b"whence causes\n"
_ALIGN: Final = 8
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
        self.data, self.ends = data, ends
        self._count = len(ends) - 1
        self._more: list[str] = []

    def __len__(self) -> int:
        return self._count + len(self._more)

    def raw(self, node: int) -> bytes:
        """The id as it is stored."""
        return bytes(self.data[self.ends[node] : self.ends[node + 1]])

    def __getitem__(self, node: Any) -> Any:
        return self.raw(node).decode() if node < self._count else self._more[node - self._count]

    def __iter__(self) -> Iterator[str]:
        at = 0
        for end in self.ends[1:]:
            yield str(self.data[at:end], "utf-8")
            at = end
        yield from self._more

    def append(self, event_id: str) -> None:
        """One more."""
        self._more.append(event_id)


class _Numbers:
    """The node of each id, by bisection; new ones are kept beside them."""

    def __init__(self, ids: _Ids, by_id: Any) -> None:
        self._ids, self._by_id = ids, by_id
        self._more: dict[str, int] = {}

    def get(self, event_id: str, default: int | None = None) -> int | None:
        """The node of an id."""
        try:
            wanted = event_id.encode()
        except UnicodeEncodeError:
            wanted = event_id.encode("utf-8", "backslashreplace")
        at = bisect_left(self._by_id, wanted, key=self._ids.raw)
        if at < len(self._by_id) and self._ids.raw(self._by_id[at]) == wanted:
            return int(self._by_id[at])
        return self._more.get(event_id, default)

    def grown(self, event_id: str) -> int | None:
        """The node of an id that came since the graph was made."""
        return self._more.get(event_id)

    def __setitem__(self, event_id: str, node: int) -> None:
        self._more[event_id] = node


class Ledger(Graph):
    """A graph that was made of columns. What `Graph` can be asked it can be asked as well, and it can grow by events."""

    def __init__(self, header: dict[str, Any], arrays: dict[str, Any], ids: Any) -> None:
        """`arrays`: by the names of `causes.TYPES`, as memoryviews."""
        self.header = header
        self._arrays = arrays
        own: dict[str, Any] = self.__dict__
        own["ids"] = _Ids(ids, arrays["id_ends"])
        own["_number"] = _Numbers(own["ids"], arrays["by_id"])
        own["seen"], own["_is_span"] = arrays["seen"], arrays["is_span"]
        own |= {name: arrays[of] for name, of in _ALIKE.items()}
        self._runs = {run: number for number, run in enumerate(header["runs"])}
        self._base_runs = dict(self._runs)
        self._processes = {}
        self._lanes = {}
        self._unsorted = set()
        self.late: dict[str, Event] = {}
        """The events that were added since, by id."""

    def __len__(self) -> int:
        return bytes(self.seen).count(1)

    def origins(self) -> dict[str | None, tuple[int | None, int | None]]:
        """A run: when it began as its program measured it, and the time of its first event that does not say."""
        found: dict[str | None, tuple[int | None, int | None]]
        found = {run: tuple(self.header["origins"][number]) for run, number in self._base_runs.items()}
        for event in self.late.values():
            said, least = found.get(event.run, (None, None))
            if event.elapsed_ns is not None:
                start = event.time - event.elapsed_ns
                said = start if said is None else min(said, start)
            else:
                least = event.time if least is None else min(least, event.time)
            found[event.run] = (said, least)
        return found

    def find(self, event_id: str) -> int | None:
        """The node of an id, seen or only named; None where it is neither."""
        return self._number.get(event_id)

    def find_grown(self, event_id: str) -> int | None:
        """As `find`, among the ids that came since the graph was made."""
        numbers: Any = self._number
        found: int | None = numbers.grown(event_id)
        return found

    def stored_ids(self) -> tuple[Any, Any]:
        """Where each id ends, with a 0 before the first, and their bytes; without those that came since."""
        ids: Any = self.ids
        return ids.ends, ids.data

    def row(self, event_id: str) -> int | None:
        """The number of the event's row in the sidecars, in reading order; None where it was added since."""
        node = self.number(event_id)
        return self._arrays["row"][node] if node < len(self._arrays["row"]) else None

    def grow(self, events: Iterable[Event]) -> None:
        """Add events; those whose id is known are left out."""
        for event in events:
            if event.id not in self:
                if not isinstance(self.seen, bytearray):
                    self._thaw()
                self.add(event)
                self.late[event.id] = event

    def _thaw(self) -> None:
        """Copy everything into arrays that can grow."""
        own: dict[str, Any] = self.__dict__
        for name, of in _ALIKE.items():
            own[name] = array(TYPES[of])
            own[name].frombytes(self._arrays[of].tobytes())
        self.seen, self._is_span = bytearray(self.seen), bytearray(self._is_span)
        self._processes = {
            (run, *(orjson.loads(named) if named else ())): number
            for number, (run, named) in enumerate(self.header["processes"])
        }
        at = 0
        for (run, agent), end in zip(self.header["lanes"], self._arrays["lane_ends"], strict=True):
            self._lanes[(run, agent)] = array("i", self._arrays["lane_nodes"][at:end])
            at = end


def ledger_of(causes: Causes, state: str) -> Ledger:
    """The graph of columns, in memory."""
    arrays: dict[str, Any] = {name: memoryview(_plain(causes, name)) for name in TYPES}
    return Ledger(_header(causes, state), arrays, memoryview(causes.ids))


def _plain(causes: Causes, name: str) -> Any:
    dtype = {"B": np.uint8, "Q": np.uint64, "q": np.int64, "i": np.int32}[TYPES[name]]
    return np.ascontiguousarray(causes.arrays[name], dtype)


def _header(causes: Causes, state: str) -> dict[str, Any]:
    said = {name: getattr(causes, name) for name in ("runs", "processes", "lanes", "origins")}
    return {"version": VERSION, "state": state, **said}


def save_ledger(root: Path, causes: Causes, state: str) -> None:
    """Put the graph's file in place, whole or not at all. Raises OSError."""
    pieces = [(name, _plain(causes, name).tobytes()) for name in TYPES] + [("ids", causes.ids)]
    at, places, crc = 0, {}, 0
    for name, data in pieces:
        places[name] = (at, len(data))
        at += -(-len(data) // _ALIGN) * _ALIGN
        crc = zlib.crc32(data, crc)
    header = orjson.dumps({**_header(causes, state), "places": places, "crc32": crc})
    header += b" " * (-(len(_MAGIC) + 24 + len(header)) % _ALIGN)
    path = root / names.CAUSES
    temporary = path.with_name(f"{path.name}.{os.getpid()}{names.TEMPORARY}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, names.FILE_MODE)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(_MAGIC + f"{len(header):016x}{zlib.crc32(header):08x}".encode() + header)
            for _, data in pieces:
                file.write(data + b"\0" * (-len(data) % _ALIGN))
            file.flush()
            os.fsync(fd)
        temporary.rename(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


def load_ledger(root: Path, state: str) -> Ledger | None:
    """The graph in the file, where that is whole and of this state of the archive; else None."""
    try:
        with (root / names.CAUSES).open("rb") as file:
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        start = len(_MAGIC) + 24
        size = int(bytes(view[len(_MAGIC) : start - 8]), 16)
        text = bytes(view[start : start + size])
        if bytes(view[: len(_MAGIC)]) != _MAGIC or int(bytes(view[start - 8 : start]), 16) != zlib.crc32(text):
            return None
        header = orjson.loads(text)
        if header["version"] != VERSION or header["state"] != state:
            return None
        body, crc = view[start + size :], 0
        parts: dict[str, Any] = {name: body[at : at + length] for name, (at, length) in header["places"].items()}
        for part in parts.values():
            crc = zlib.crc32(part, crc)
        if crc != header["crc32"]:
            return None
        return Ledger(header, {name: parts[name].cast(code) for name, code in TYPES.items()}, parts["ids"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def open_ledger(parts: Parts) -> Ledger:
    """The graph of everything in these parts: of what has a sidecar from the file, made anew where need be, and the tail."""
    state = parts.state()
    ledger = load_ledger(parts.archive.directory, state) if parts.keep else None
    if ledger is None:
        causes = causes_of(parts.table(COLUMNS, tail=False))
        ledger = ledger_of(causes, state)
        if parts.keep and len(ledger):
            with suppress(OSError):
                save_ledger(parts.archive.directory, causes, state)
    for part in parts.parts:
        for batch in part.tail:
            ledger.grow(events_of_batch(batch))
    return ledger
