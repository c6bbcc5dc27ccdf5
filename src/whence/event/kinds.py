"""How important an event is: its kind, and the verbosity that lets kinds through; and how severe it is.

The law: pure tables and one comparison, because `emit` makes it for every event, suppressed ones included.
"""

from enum import IntEnum, StrEnum
from typing import Final


class Verbosity(IntEnum):
    """How much is recorded; each level includes those before it. `ACTION` is the default."""

    MILESTONE = 1
    DECISION = 2
    ACTION = 3
    STATE = 4
    DETAIL = 5


class Kind(StrEnum):
    """An event's verbosity class, from the story's chapters to its footnotes.

    `needs` is the least verbosity at which it is recorded. System events come with the details, except that trouble
    always passes: see `passes`.
    """

    needs: Verbosity

    MILESTONE = "milestone", Verbosity.MILESTONE
    DECISION = "decision", Verbosity.DECISION
    ACTION = "action", Verbosity.ACTION
    STATE = "state", Verbosity.STATE
    DETAIL = "detail", Verbosity.DETAIL
    SYSTEM = "system", Verbosity.DETAIL

    def __new__(cls, value: str, needs: Verbosity) -> "Kind":
        kind = str.__new__(cls, value)
        kind._value_ = value
        kind.needs = needs
        return kind


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


ALWAYS: Final = Severity.WARN
"""Events at least this severe are recorded at any verbosity: an archive that hides errors answers no questions."""


def passes(kind: Kind, verbosity: Verbosity, severity: int | None = None) -> bool:
    """Whether an event of this kind and severity is recorded at this verbosity."""
    return verbosity >= kind.needs or (severity is not None and severity >= ALWAYS)
