"""Where the last whole zstd frame of a file ends, without decompressing it: what stands behind it was never acknowledged.

The law: pure. Source: RFC 8878, section 3.1 (frames, blocks, skippable frames).
"""

import mmap
from typing import Final

MAGIC: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = b"\x2a\x4d\x18"
_CHECKSUM: Final = 4
_RLE, _RESERVED = 1, 3
_DICTIONARY: Final = (0, 1, 2, 4)
_CONTENT: Final = (0, 2, 4, 8)


def whole_frames(data: bytes | mmap.mmap) -> int:
    """The offset behind the last whole frame; the length of `data` where nothing is torn."""
    at = 0
    while (end := _frame_end(data, at)) is not None:
        at = end
    return at


def _frame_end(data: bytes | mmap.mmap, at: int) -> int | None:
    """Behind the frame that begins here; None where none does, or not a whole one."""
    if data[at + 1 : at + 4] == _SKIPPABLE and data[at] >> 4 == 5:
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        return end if end <= len(data) and at + 8 <= len(data) else None
    if data[at : at + 4] != MAGIC or at + 5 > len(data):
        return None
    descriptor = data[at + 4]
    single = descriptor >> 5 & 1
    content = _CONTENT[descriptor >> 6] or single
    block = at + 5 + (1 - single) + _DICTIONARY[descriptor & 3] + content
    while block + 3 <= len(data):
        head = int.from_bytes(data[block : block + 3], "little")
        kind, size = head >> 1 & 3, head >> 3
        if kind == _RESERVED:
            return None
        block += 3 + (1 if kind == _RLE else size)
        if head & 1:
            end = block + (_CHECKSUM if descriptor & 4 else 0)
            return end if end <= len(data) else None
    return None
