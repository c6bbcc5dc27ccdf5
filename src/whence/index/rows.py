"""The table that a query with pipes gives, as a stream of rows.

The law: data only, so that whoever shows a table need not load the engine.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from whence.event.flat import format_time, plain
from whence.event.kinds import Severity
from whence.filter.names import Kind

_SEVERITIES: Final = {severity.value: severity.name for severity in Severity}


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


def cell(value: Any, kind: Kind) -> Any:
    """A value of a table as JSON has it: times in RFC 3339, severities by name, maps and what is below them as what they say."""
    if value is None:
        return None
    if kind is Kind.TIME:
        return format_time(int(value))
    if kind is Kind.SEVERITY:
        return _SEVERITIES.get(value, value)
    if kind in (Kind.ANY, Kind.MAP) and isinstance(value, str):
        return orjson.loads(value)
    return plain(value)
