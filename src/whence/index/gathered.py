"""What was gathered from an archive's segments, kept while their rows stay the same.

The law: what is put together of what is kept is what asking everything anew would give.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, TypeVar

import numpy as np

from whence.index.scan import Blocks

Numbers = Any
"""A numpy array of one dimension."""
T = TypeVar("T")
_MOST: Final = 16_384
"""Answers about one segment that are kept: of those that were not asked for the longest time none."""


class Gathered:
    """Answers about single segments, by what was asked. Safe to ask from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def of(
        self, blocks: Blocks, left: Numbers, what: Hashable, gather: Callable[[Numbers], Mapping[int, T]]
    ) -> list[T]:
        """What is known of each segment that has some of these blocks, in reading order.

        `gather`: gives it, by the segment's number, out of the blocks of segments of which it is not known yet; of those that
        it leaves out there is nothing.
        """
        of = blocks.part[left]
        keys = {part: (what, blocks.key(part)) for part in np.unique(of).tolist()}
        found: dict[int, T | None] = {}
        with self._lock:
            for part, key in keys.items():
                if key in self._kept:
                    self._kept.move_to_end(key)
                    found[part] = self._kept[key]
        missing = [part for part in keys if part not in found]
        if missing:
            made = gather(left[np.isin(of, missing)])
            found |= {part: made.get(part) for part in missing}
            with self._lock:
                self._kept |= {keys[part]: found[part] for part in missing}
                while len(self._kept) > _MOST:
                    self._kept.popitem(last=False)
        return [one for part in keys if (one := found[part]) is not None]
