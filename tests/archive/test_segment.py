"""One open segment where the system takes less than it is given, or nothing more."""

import errno
import os
from pathlib import Path

import pytest

from build_archive import some_lines
from whence.archive.names import Stem, time_text
from whence.archive.segment import Batch, OpenSegment, create_segment


@pytest.fixture
def segment(tmp_path: Path) -> OpenSegment:
    """A segment with a line in it."""
    found = create_segment(tmp_path, "group", Stem("logs", time_text(1_700_000_000_000_000_000), "writer", 1))
    assert found is not None
    assert found.append(Batch(1, "group", "logs", some_lines(1, first=99)), keep=True) == (1, None)
    return found


def take_at_most(monkeypatch: pytest.MonkeyPatch, once: int, room: int) -> None:
    """Let every call write so many bytes at most, and all of them together no more than there is room for."""
    left = [room]
    write = os.writev

    def writev(fd: int, pieces: list[memoryview]) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = write(fd, [b"".join(pieces)[: min(once, left[0])]])
        left[0] -= count
        return count

    monkeypatch.setattr(os, "writev", writev)


@pytest.mark.parametrize("size", [10, 20_000])
@pytest.mark.parametrize("whole", [True, False])
def test_what_the_system_takes_in_parts_is_whole_lines(
    segment: OpenSegment, monkeypatch: pytest.MonkeyPatch, size: int, whole: bool
) -> None:
    """Small lines, which are written joined, and large ones, which are not: counted, kept and in the file is the same."""
    lines = some_lines(5, size=size)
    before = segment.written.bytes
    room = sum(len(line.data) for line in lines) if whole else sum(len(line.data) for line in lines[:3]) + 7
    take_at_most(monkeypatch, len(lines[0].data) - 3, room)
    count, trouble = segment.append(Batch(2, "group", "logs", lines), keep=True)
    assert (count, trouble and trouble.errno) == ((5, None) if whole else (3, errno.ENOSPC))
    data = Path(segment.path).read_bytes()
    assert data[before:] == b"".join(line.data for line in lines[:count])
    assert (segment.written.bytes, segment.written.lines) == (len(data), 1 + count)
    assert segment.held_bytes == len(data)
    segment.close()
