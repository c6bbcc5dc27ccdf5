"""What TraceQL asks about a whole trace: how long it takes, the name and the service of its root.

The law: pure. Each holds for a trace whichever of its spans the other conditions found.
"""

import operator
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from whence.event import names
from whence.filter.tree import Path
from whence.filter.values import regex
from whence.serve.jaeger.glance import Summary

DURATIONS: Final = ("traceDuration", "trace:duration")
ROOT_NAMES: Final = ("rootName", "trace:rootName")
ROOT_SERVICES: Final = ("rootServiceName", "trace:rootService")
ON_TRACE: Final = (*DURATIONS, *ROOT_NAMES, *ROOT_SERVICES)
_COMPARED: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class OnTrace(NamedTuple):
    """One condition; `value` in ns, or a text, which of `=~` and `!~` is an expression that is known to be one."""

    name: str
    operator: str
    value: Any

    def holds(self, of: Summary) -> bool:
        """Whether a trace fits."""
        found: Any = _FOUND[self.name](of)
        if self.operator in ("=~", "!~"):
            return (regex(self.value).search(found) is not None) == (self.operator == "=~")
        return _COMPARED[self.operator](found, self.value)


_FOUND: Final[dict[str, Callable[[Summary], Any]]] = {
    **dict.fromkeys(DURATIONS, lambda of: of.end - of.start),
    **dict.fromkeys(ROOT_NAMES, lambda of: of.root_operation),
    **dict.fromkeys(ROOT_SERVICES, lambda of: of.root_service),
}


def paths_of_traces(asked: Iterable[OnTrace]) -> set[Path]:
    """Where what is asked for stands in an event."""
    services = any(one.name in ROOT_SERVICES for one in asked)
    return {Path("resource", (names.SERVICE_NAME,))} if services else set()
