"""How important an event is: its kind, and the verbosity that lets kinds through; and how severe it is.

The law: pure tables and one comparison, because `emit` makes it for every event, suppressed ones included.
"""

from enum import IntEnum, StrEnum
from typing import Final


class Kind(StrEnum):
    """An event's verbosity class, from the story's chapters to its footnotes."""

    MILESTONE = "milestone"
    DECISION = "decision"
    ACTION = "action"
    STATE = "state"
    DETAIL = "detail"
    SYSTEM = "system"


class Verbosity(IntEnum):
    """How much is recorded; each level includes those before it. `ACTION` is the default."""

    MILESTONE = 1
    DECISION = 2
    ACTION = 3
    STATE = 4
    DETAIL = 5


class Severity(IntEnum):
    """OpenTelemetry's SeverityNumber with its short names (logs data model, "Displaying Severity")."""

    TRACE = 1
    TRACE2 = 2
    TRACE3 = 3
    TRACE4 = 4
    DEBUG = 5
    DEBUG2 = 6
    DEBUG3 = 7
    DEBUG4 = 8
    INFO = 9
    INFO2 = 10
    INFO3 = 11
    INFO4 = 12
    WARN = 13
    WARN2 = 14
    WARN3 = 15
    WARN4 = 16
    ERROR = 17
    ERROR2 = 18
    ERROR3 = 19
    ERROR4 = 20
    FATAL = 21
    FATAL2 = 22
    FATAL3 = 23
    FATAL4 = 24


NEEDS: Final[dict[Kind, Verbosity]] = {
    Kind.MILESTONE: Verbosity.MILESTONE,
    Kind.DECISION: Verbosity.DECISION,
    Kind.ACTION: Verbosity.ACTION,
    Kind.STATE: Verbosity.STATE,
    Kind.DETAIL: Verbosity.DETAIL,
    Kind.SYSTEM: Verbosity.DETAIL,
}
"""The least verbosity at which a kind is recorded. System events come with the details, except that trouble always
passes: see `passes`."""

ALWAYS: Final = Severity.WARN
"""Events at least this severe are recorded at any verbosity: an archive that hides errors answers no questions."""


def passes(kind: Kind, verbosity: Verbosity, severity: int | None = None) -> bool:
    """Whether an event of this kind and severity is recorded at this verbosity."""
    return verbosity >= NEEDS[kind] or (severity is not None and severity >= ALWAYS)
