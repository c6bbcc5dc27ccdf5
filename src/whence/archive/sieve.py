"""A filter asked of lines that nobody has read yet: most of those without a match are known by their bytes alone.

The law: a line that holds a match is never left out, whoever wrote it; one that is kept may hold none.
"""

from collections.abc import Sequence

from whence.archive.marks import tester
from whence.archive.spelled import marks_of
from whence.filter.tree import Filter


class Sieve:
    """What of an archive's lines may hold an event for which a filter holds."""

    def __init__(self, tree: Filter) -> None:
        """Cheap to make, and to ask from several threads."""
        mark = marks_of(tree)
        self._test = None if mark is None else tester(mark)

    def __bool__(self) -> bool:
        """Whether it keeps anything back at all."""
        return self._test is not None

    def kept(self, lines: list[bytes]) -> Sequence[bool]:
        """Which of these lines may hold a match."""
        return [True] * len(lines) if self._test is None else list(map(self._test, lines))
