"""What a parent and its processes say to each other, pickled, over a socket that nobody else has.

First a `Hello`; then pairs: (number, (what, ...)) from the parent, (number, outcome) from the process.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whence.collect.config.tree import Node


@dataclass(frozen=True, slots=True)
class Hello:
    """What a process is told first."""

    root: Node
    directory: Path
    process: int
    processes: int


@dataclass(frozen=True, slots=True)
class Done:
    """It went well; what came of it."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not."""

    said: str
