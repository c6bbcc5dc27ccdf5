"""Which events say that something failed: of an event, and as a condition in SQL.

The law: pure.
"""

from typing import Final

from whence.event.kinds import Severity
from whence.event.model import Event

FAILED: Final = f"(severity >= {Severity.ERROR.value})"
"""The same in SQL; NULL where an event has no severity."""


def is_error(event: Event) -> bool:
    """Whether the event says that something failed."""
    return event.severity is not None and event.severity >= Severity.ERROR
