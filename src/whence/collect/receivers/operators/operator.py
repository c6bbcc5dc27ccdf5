"""What every operator has: an id, what happens to entries that it cannot work on, and a condition.

The law: pure.
"""

from typing import Literal

from pydantic import Field

from whence.collect.receivers.operators.conditions import Condition
from whence.collect.receivers.operators.entry import Entry
from whence.collect.settings import Settings

OnError = Literal["send", "send_quiet", "drop", "drop_quiet"]


class Operator(Settings):
    """One step. `send`: an entry that it cannot work on goes on as it is; `drop`: it ends there; `quiet`: without a word."""

    id: str | None = None
    on_error: OnError = "send"
    if_: Condition | None = Field(None, alias="if")

    def apply(self, entry: Entry, now: int) -> None:
        """Do it, in place. Raises Unfit, Dropped."""
        raise NotImplementedError
