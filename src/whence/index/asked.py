"""A filter asked of an archive's columns in SQL of our own.

The law: what users give is bound; a question whose time is over ends at once.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import duckdb

from whence.errors import FilterError
from whence.filter.tree import Filter
from whence.index.engine import Clock

if TYPE_CHECKING:
    from whence.index.engine import Engine


class Asked:
    """A filter asked of an archive as it is at this moment."""

    def __init__(self, engine: "Engine", tree: Filter, clock: Clock) -> None:
        self.where = engine.where(tree)
        self.session = clock.watch(engine.look())
        self.clock = clock

    def rows(self, text: str, more: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a SELECT, in which `{where}` is the filter. Raises InterruptException once the time is over."""
        if self.clock.over:
            raise duckdb.InterruptException("the time is over")
        parameters = [*(self.where.parameters if "{where}" in text else ()), *more]
        try:
            return self.session.execute(text.replace("{where}", self.where.text), parameters).fetchall()
        except duckdb.InterruptException:
            raise
        except duckdb.Error as cause:
            said = str(cause).partition("\n")[0]
            raise FilterError(f"cannot answer this question: {said}; ask for less at once") from cause
