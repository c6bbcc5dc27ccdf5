"""Which core does the work: the native one where it is built and not switched off, else the pure Python one.

Decided once, at the gate of the process: nothing below looks at the environment. `WHENCE_NATIVE=0` switches it off.
"""

import os
from types import ModuleType
from typing import Final, NamedTuple

EDITION: Final = 4
"""Of what is called in the native core, as `native/src/lib.rs` says it too: one that was built before is not taken."""


class Choice(NamedTuple):
    """The native core, or None, and why."""

    module: ModuleType | None
    why: str


def choose(setting: str) -> Choice:
    """The core for a value of `WHENCE_NATIVE`: anything but `0` takes the native one if it is there."""
    if setting == "0":
        return Choice(None, "switched off by WHENCE_NATIVE=0")
    try:
        from whence import _native
    except ModuleNotFoundError:
        return Choice(None, "the native core was not built: install a Rust toolchain, then whence again")
    except ImportError as fault:
        return Choice(None, f"the native core does not load here: {fault}")
    if getattr(_native, "EDITION", 1) != EDITION:
        return Choice(None, "the native core was built for another version of whence: install whence again")
    return Choice(_native, "built for this Python")


CORE: Final = choose(os.environ.get("WHENCE_NATIVE", ""))
