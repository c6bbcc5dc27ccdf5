"""A filter asked of lines that nobody has read yet: most of those without a match are known by their bytes alone.

The law: a line that holds a match is never left out, whoever wrote it, and no record that matches is; what is kept may hold
none. The native core and the pure Python one keep the same lines; only the native one looks into a line.
"""

from collections.abc import Sequence
from typing import Any, cast

from whence.archive.marks import FOLDING, PROJECTION, All, AnyOf, Mark, Text, Times, Unless, tester
from whence.archive.spelled import marks_of
from whence.filter.tree import Filter
from whence.native import CORE


class Sieve:
    """What of an archive's lines may hold an event for which a filter holds. Safe to ask from several threads."""

    def __init__(self, tree: Filter, *, native: bool = CORE.module is not None) -> None:
        """`native`: by the native core."""
        mark = marks_of(tree)
        self._test = None if mark is None else tester(mark)
        self._native: Any = None
        if native and mark is not None and CORE.module is not None:
            self._native = CORE.module.Sieve(_told(mark), PROJECTION, list(FOLDING))

    def kept(self, lines: list[bytes]) -> Sequence[bool]:
        """Which of these lines may hold a match."""
        if self._test is None:
            return [True] * len(lines)
        if self._native is not None:
            return cast("list[bool]", self._native.kept(lines))
        return list(map(self._test, lines))

    def left(self, line: bytes) -> bytes:
        """A line that is kept, perhaps with `null` in the place of records that cannot match."""
        if self._native is None:
            return line
        left: bytes | None = self._native.left(line)
        return line if left is None else left


def _told(mark: Mark) -> tuple[Any, ...]:
    """A mark as the native core takes it."""
    match mark:
        case Text(text, folded):
            return ("text", text, folded)
        case Unless(text, tails):
            return ("unless", text, list(tails))
        case Times(low, high):
            return ("times", low, high)
        case All(parts):
            return ("all", [_told(part) for part in parts])
        case AnyOf(parts):
            return ("any", [_told(part) for part in parts])
