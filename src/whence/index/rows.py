"""The table that a query with pipes gives, as a stream of rows.

The law: data only, so that whoever shows a table need not load the engine.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from whence.filter.names import Kind


@dataclass(frozen=True, slots=True)
class Rows:
    """A table as it comes. `kinds` as `filter.sql_pipes.Column` has them."""

    names: list[str]
    kinds: list[Kind]
    rows: Iterator[tuple[Any, ...]]
    cut: Callable[[], bool] = lambda: False

    @property
    def partial(self) -> bool:
        """Whether the time was over before all events were looked at. Known once the rows have ended."""
        return self.cut()
