"""Rows as columns of text under a headline, as wide as they need.

The law: pure; rows may come one by one, so widths are those of the first thousand.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final

from whence.cli.screen import Screen
from whence.cli.text import width_of

_MEASURED: Final = 1_000


def in_columns(
    head: Sequence[str], rows: Iterable[Sequence[str]], screen: Screen, *, right: Collection[int] = ()
) -> Iterator[str]:
    """A line for the headline and one for each row, of cells that are safe; `right`: the columns that end alike."""
    left = iter(rows)
    first = list(islice(left, _MEASURED))
    widths = [max(width_of(row[place]) for row in (head, *first)) for place in range(len(head))]
    yield screen.paint(_line(head, widths, right), "strong")
    for row in chain(first, left):
        yield _line(row, widths, right)


def _line(cells: Sequence[str], widths: Sequence[int], right: Collection[int]) -> str:
    shown = []
    for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - width_of(cell))
        shown.append(space + cell if place in right else cell + space)
    return "  ".join(shown).rstrip()
