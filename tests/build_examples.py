"""How many examples a property is tried with: few in every run, many where WHENCE_TORTURE=1 asks for the long versions."""

import os
from typing import Any

from hypothesis import HealthCheck, settings

TORTURE = os.environ.get("WHENCE_TORTURE") == "1"
LONGER = 40
"""The long versions try so many times as many."""


def often(here: int, long: int) -> int:
    """A count for every run, and one for the long versions."""
    return long if TORTURE else here


def examples(few: int, **more: Any) -> settings:
    """Hypothesis's settings for a property that `few` examples of each run are enough for; examples may be slow to make."""
    given: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck), **more}
    return settings(max_examples=often(few, LONGER * few), **given)
