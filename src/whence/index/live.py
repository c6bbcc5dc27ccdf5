"""What of an archive some process is writing at this moment."""

import fcntl
import os
from collections.abc import Container

from whence.archive.names import safe_group
from whence.archive.reader import Archive, Segment
from whence.index.histories import RunHistory, State


def live_segments(archive: Archive) -> dict[str, str]:
    """The segments that some process is writing now: their names as problems have them, and their groups."""
    return {segment.label: segment.group for segment in archive.segments() if is_live(segment)}


def is_live(segment: Segment) -> bool:
    """Whether some process is writing this segment now: a writer holds its file's lock until the segment is sealed."""
    if segment.name is None:
        return False
    try:
        fd, form = segment.open()
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return not form
    except OSError:
        return False  # a file system without locks does not tell
    finally:
        os.close(fd)
    return False


def live_groups(archive: Archive) -> set[str]:
    """The groups of the archive that some process is writing now."""
    return set(live_segments(archive).values())


def run_state(history: RunHistory, live: Container[str]) -> State:
    """The state of a run, given the groups being written."""
    return history.state(history.id is not None and safe_group(history.id) in live)
