"""Which blocks of a segment hold which words, values and ranges of numbers: lists that say where a question need not look.

The law: pure. A block is a row group of the sidecar. A block that is not named holds no event for which the need holds; one
that is named may. Blocks are named by their number, modulo 2^16 for values.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whence.filter.needs import (
    AROUND,
    RANGES,
    TEXTS,
    VALUES,
    All,
    AnyOf,
    Anything,
    Between,
    Need,
    Piece,
    Value,
    Words,
    words_in,
)
from whence.index.lines import NATIVE

Numbers = Any
"""A numpy array of one dimension."""
Mask = Any
"""A numpy array of booleans, one a block; None stands for every block."""

_LONG: Final = 256
"""Bytes of a word that are listed: of a longer one the block is remembered instead, as holding any word."""
_ANY_WORD: Final = b"*"
"""Stands for words that are not listed. Neither it nor `_APART` can be part of a word."""
_APART: Final = b"^"
"""Before a word of a resource or scope."""
_HITS: Final = 4_096
"""Beyond this many words that hold a piece, the piece tells too little to go on."""
_SHORT: Final = 3
"""A piece of a word this short, open at the front, is not looked for: nearly every block has it."""
_REMEMBERED: Final = 256
"""Answers about words that are kept: a server is asked for the same services and keys again and again."""
_BLOCK_BITS: Final = 16
_NEWLINE: Final = 10
_NEVER: Final = np.iinfo(np.int64)


def key_of(field: str, value: str) -> int:
    """48 bits of a digest of a field's value, the place of a block's number left free."""
    digest = blake2b(f"{field}\0{value}".encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return int.from_bytes(digest, "little") << _BLOCK_BITS


_asked_key: Final = lru_cache(1 << 13)(key_of)
"""The same, remembered: one question asks every segment for the same values."""


class Keys:
    """The keys of the values that one question asks for, looked up once for all segments."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[AnyOf, Numbers]] = {}

    def any_of(self, need: AnyOf) -> Numbers:
        """The keys of the values among the parts of a need, in ascending order."""
        known = self._of.get(id(need))
        if known is None:
            found = [_asked_key(part.field, part.value) for part in need.parts if isinstance(part, Value)]
            known = self._of[id(need)] = (need, np.sort(np.array(found, np.uint64)))
        return known[1]


class TermsBuilder:
    """Gathers the blocks of one segment, each given once and in order."""

    def __init__(self) -> None:
        self._keys: list[Numbers] = []
        self._words: list[pa.Array] = []
        self._ranges: list[list[int]] = []
        self._memo: dict[tuple[str, Any], int] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """One more block: a batch of `columns.SCHEMA`, or of as many of its columns as are listed."""
        block = len(self._words)
        found = np.concatenate([self._keys_of(name, batch.column(name)) for name in VALUES])
        self._keys.append(np.unique(found) | np.uint64(block % (1 << _BLOCK_BITS)))
        words = _words_of([batch.column(name) for name in TEXTS])
        words |= {_APART + word for word in _words_of([pc.unique(batch.column(name)) for name in AROUND]) if word}
        words.discard(b"")
        long = [word for word in words if len(word) > _LONG]
        if long:
            words.difference_update(long)
            words.add(_ANY_WORD)
        self._words.append(pa.array(list(words), pa.large_binary()))
        self._ranges.append([edge for name in RANGES for edge in _edges(batch.column(name))])

    def _keys_of(self, name: str, column: pa.Array) -> Numbers:
        values = pc.unique(column).drop_null()
        if NATIVE is not None and values.type == pa.string():
            return np.frombuffer(NATIVE.keys(name, *_buffers_of(values)), np.uint64)
        memo = self._memo = self._memo if len(self._memo) < 1 << 16 else {}
        found = []
        for value in values.to_pylist():
            key = memo.get((name, value))
            if key is None:
                key = memo[(name, value)] = key_of(name, str(value))
            found.append(key)
        return np.array(found, np.uint64)

    def finish(self) -> dict[str, Any]:
        """Everything as arrays, by the names that `Terms` takes."""
        keys = np.sort(np.concatenate(self._keys)) if self._keys else np.empty(0, np.uint64)
        words = pa.concat_arrays(self._words) if self._words else pa.array([], pa.large_binary())
        blocks = np.repeat(np.arange(len(self._words), dtype=np.uint32), [len(words) for words in self._words])
        encoded = words.dictionary_encode()
        distinct = encoded.dictionary
        order = np.asarray(pc.array_sort_indices(distinct))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        number = rank[np.asarray(encoded.indices)]
        listed = np.argsort(number, kind="stable")
        text = b"\n".join([b"", *distinct.take(pa.array(order)).to_pylist(), b""])
        return {
            "keys": keys,
            "text": text,
            "ends": np.flatnonzero(np.frombuffer(text, np.uint8) == _NEWLINE).astype(np.uint64),
            "blocks": blocks[listed],
            "lists": np.concatenate([[0], np.cumsum(np.bincount(number, minlength=len(order)))]).astype(np.uint32),
            "ranges": np.array(self._ranges, np.int64).ravel(),
        }


class Terms:
    """The lists of one segment: asked which blocks a need leaves."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        """`arrays` as `TermsBuilder.finish` gives them, the text as bytes or as a view of a mapped file."""
        self._keys, self._ends = arrays["keys"], arrays["ends"]
        self._blocks, self._lists = arrays["blocks"], arrays["lists"]
        self._text, self._start = _searchable(arrays["text"])
        self.ranges = arrays["ranges"].reshape(-1, len(RANGES), 2)
        """Of each block and each field of `RANGES` the least and the greatest value; the greatest is less where there is none."""
        self._known: dict[Words, Mask] = {}

    def __len__(self) -> int:
        """How many blocks there are."""
        return len(self.ranges)

    def blocks_for(self, need: Need, keys: Keys) -> Mask:
        """The blocks in which an event may have what is needed; None for all of them. `keys`: of the question."""
        match need:
            case Anything():
                return None
            case All(parts):
                found = None
                for part in parts:
                    mask = self.blocks_for(part, keys)
                    found = mask if found is None else found if mask is None else found & mask
                    if found is not None and not found.any():
                        return found
                return found
            case AnyOf(parts):
                found = self._of_keys(keys.any_of(need))
                for part in parts:
                    if isinstance(part, Value):
                        continue
                    mask = self.blocks_for(part, keys)
                    if mask is None:
                        return None
                    found |= mask
                return found
            case Value(field, value):
                return self._of_keys(np.array([_asked_key(field, value)], np.uint64))
            case Between(field, low, high):
                edges = self.ranges[:, RANGES.index(field)]
                return (edges[:, 0] <= high) & (edges[:, 1] >= low) & (edges[:, 0] <= edges[:, 1])
            case Words(pieces, around):
                known = self._known  # one that grows only: another thread may put an empty one in its place
                if need in known:
                    return known[need]
                mask = self._of_words(pieces, around)
                if len(known) >= _REMEMBERED:
                    known = self._known = {}
                known[need] = mask
                return mask

    def _of_keys(self, keys: Numbers) -> Mask:
        """The blocks that have one of these, given in ascending order."""
        numbers = np.uint64((1 << _BLOCK_BITS) - 1)
        first, last = self._keys.searchsorted(keys), self._keys.searchsorted(keys | numbers, "right")
        there = np.flatnonzero(last > first)
        listed = [self._keys[first[n] : last[n]] for n in there.tolist()]
        residues = np.concatenate([np.empty(0, np.uint64), *listed]) & numbers
        if len(self) <= 1 << _BLOCK_BITS:
            found = np.zeros(len(self), bool)
            found[residues] = True
            return found
        return np.isin(np.arange(len(self)) % (1 << _BLOCK_BITS), residues)

    def _of_words(self, pieces: Sequence[Piece], around: bool) -> Mask:
        found = None
        for piece in sorted(pieces, key=lambda piece: (not piece.begins, not piece.ends, -len(piece.text))):
            words = self._words_with(piece, around)
            if words is None:
                continue
            mask = np.zeros(len(self), bool)
            for first, last in [*words, *self._exactly(_ANY_WORD)]:
                mask[self._blocks[self._lists[first] : self._lists[last]]] = True
            found = mask if found is None else found & mask
            if not found.any():
                return found
        return found

    def _words_with(self, piece: Piece, around: bool) -> list[tuple[int, int]] | None:
        """The words that have the piece in them, as ranges of their numbers; None where there are too many to tell anything."""
        before = _APART if around else b""
        if piece.begins:
            exact = before + piece.text
            if piece.ends:
                return self._exactly(exact)
            return [(self._place(exact), self._place(exact + b"\xff" * 8))]
        if len(piece.text) < _SHORT:
            return None
        wanted = piece.text + b"\n" if piece.ends else piece.text
        found: list[tuple[int, int]] = []
        at, limit = self._start, self._start + int(self._ends[-1]) + 1
        while (at := self._text.find(wanted, at, limit)) >= 0:
            word = int(np.searchsorted(self._ends, at - self._start, "left")) - 1
            if (self._word(word)[:1] == _APART) == around:
                found.append((word, word + 1))
            if len(found) > _HITS:
                return None
            at = self._start + int(self._ends[word + 1])
        return found

    def _exactly(self, word: bytes) -> list[tuple[int, int]]:
        at = self._place(word)
        return [(at, at + 1)] if at < len(self._ends) - 1 and self._word(at) == word else []

    def _place(self, word: bytes) -> int:
        """The number of the first word that is not before this one."""
        return bisect_left(range(len(self._ends) - 1), word, key=self._word)

    def _word(self, number: int) -> bytes:
        return bytes(self._text[self._start + int(self._ends[number]) + 1 : self._start + int(self._ends[number + 1])])


def _searchable(text: Any) -> tuple[Any, int]:
    """What has `find`, and where in it the text begins: a view of a mapped file has none, the file has."""
    if isinstance(text, bytes):
        return text, 0
    whole = text.obj
    return whole, np.frombuffer(text, np.uint8).ctypes.data - np.frombuffer(whole, np.uint8).ctypes.data


def _words_of(columns: Sequence[pa.Array]) -> set[bytes]:
    """The words of columns of text."""
    if NATIVE is None:
        return set().union(*(words_in(_bytes_of(column)) for column in columns))
    words, rest = NATIVE.words([_buffers_of(column) for column in columns])
    return set(words.split(b" ")) | words_in(rest)


def _buffers_of(column: pa.Array) -> tuple[bytes, bytes]:
    """A column of text as Arrow has it: where each text ends, before those where the first begins; and the texts."""
    _, ends, data = column.buffers()
    if not len(column):
        return b"", b""
    found = ends[4 * column.offset : 4 * (column.offset + len(column) + 1)].to_pybytes()
    return found, data[: int.from_bytes(found[-4:], "little")].to_pybytes() if data else b""


def _bytes_of(column: pa.Array) -> bytes:
    """The texts of a column with something between each two that is no part of a word."""
    return "\n".join(text for text in column.to_pylist() if text).encode("utf-8", "surrogatepass")


def _edges(column: pa.Array) -> tuple[int, int]:
    found = pc.min_max(column)
    low, high = found["min"].as_py(), found["max"].as_py()
    return (_NEVER.max, _NEVER.min) if low is None else (low, high)
