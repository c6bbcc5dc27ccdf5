"""Where in each segment the lines begin that have an event since some time: whoever reads lines need not read those before.

The law: no line is passed over that has such an event. Of each segment at most one block is looked at.
"""

from typing import Any

import numpy as np
import pyarrow.compute as pc

from whence.index.scan import Blocks

Numbers = Any
"""A numpy array of one dimension."""


def lines_since(blocks: Blocks, time: int) -> dict[str, int]:
    """By segment the plain offset from which on it has events not before `time`, in ns since the epoch, or lines yet to come.

    A segment that is not named is to be read from its start, if its seal does not say that all of it was before.
    """
    found: dict[str, int] = {}
    for number, part in enumerate(blocks.parts):
        mine = np.flatnonzero(blocks.part == number)
        late = mine[blocks.high[mine] >= time]
        if part.segment.name is None or (not len(late) and part.note is not None and part.note.sealed is not None):
            continue
        if not len(late):
            found[part.segment.stem] = _lines(blocks, int(mine[-1]), time)[1]
        elif late[0] != mine[0] or blocks.low[late[0]] < time:
            found[part.segment.stem] = _lines(blocks, int(late[0]), time)[0]
    return found


def _lines(blocks: Blocks, block: int, time: int) -> tuple[int, int]:
    """Of a block the first line with an event not before a time, and the last line of all."""
    table = blocks.parts[blocks.part[block]].block(int(blocks.number[block]), ("time", "_line"))
    lines = table["_line"].to_numpy()
    late = lines[pc.greater_equal(table["time"], time).to_numpy(zero_copy_only=False)]
    return int(late.min()) if len(late) else int(lines.max()), int(lines.max())
