"""The names a filter may begin with: every field of an event, what kind of value it has, and other spellings.

The law: one table. A name that is not here is an error, with the nearest that is.
"""

import difflib
from enum import StrEnum
from typing import Final

from whence.event import flat
from whence.filter.tree import Path


class Kind(StrEnum):
    """What values a field has. Below a `MAP` there can be any."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"
    DURATION = "duration"
    SEVERITY = "severity"
    LIST = "list"
    MAP = "map"
    ANY = "any"


KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(flat.ORDER, Kind.TEXT),
    **dict.fromkeys(("time", "observed_time"), Kind.TIME),
    **dict.fromkeys(("seq", "turn", "dropped"), Kind.NUMBER),
    **dict.fromkeys(("elapsed_ns", "duration_ns"), Kind.DURATION),
    **dict.fromkeys(("payload", "attributes", "resource", "scope"), Kind.MAP),
    "severity": Kind.SEVERITY,
    "caused_by": Kind.LIST,
}
"""Each field's kind; the fields are the columns of SQL."""

SPELLINGS: Final[dict[str, Path]] = {
    "timestamp": Path("time"),
    "ts": Path("time"),
    "observed_timestamp": Path("observed_time"),
    "event_id": Path("id"),
    "event_type": Path("type"),
    "event_name": Path("type"),
    "name": Path("type"),
    "run_id": Path("run"),
    "simulation_id": Path("run"),
    "agent_id": Path("agent"),
    "turn_number": Path("turn"),
    "task_id": Path("task"),
    "correlation_id": Path("correlation"),
    "sequence": Path("seq"),
    "level": Path("severity"),
    "message": Path("description"),
    "body": Path("description"),
    "causes": Path("caused_by"),
    "duration": Path("duration_ns"),
    "elapsed": Path("elapsed_ns"),
    "details": Path("payload", ("details",)),
    "attribute": Path("attributes"),
}
"""What people also call them."""


def kind_of(path: Path) -> Kind:
    """The kind of value at a path; `ANY` below a map."""
    return Kind.ANY if path.keys else KINDS[path.field]


def find(name: str) -> Path | None:
    """The path a first name stands for, in any case; None where there is no such name."""
    name = name.lower()
    return Path(name) if name in KINDS else SPELLINGS.get(name)


def nearest(name: str) -> str | None:
    """The known name most like this one, if any is like it at all."""
    found = difflib.get_close_matches(name.lower()[:60], [*KINDS, *SPELLINGS], n=1, cutoff=0.6)
    return found[0] if found else None
