"""The table that a query with pipes gives, as a stream of rows.

The law: data only, so that whoever shows a table need not load the engine.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from whence.filter.names import Kind


class Rows(NamedTuple):
    """A table as it comes. `kinds` as `filter.sql_pipes.Column` has them."""

    names: list[str]
    kinds: list[Kind]
    rows: Iterator[tuple[Any, ...]]
