"""How the bytes of a file are cut into records: by line ends, in pieces where they are too long, by patterns over several lines.

The law: every byte is in one record, and where a record ends reading can begin anew.
"""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

import orjson

from whence.collect.receivers.files.lines import Line, lines_of

_WIDE: Final = {"utf-16-le": b"\n\x00", "utf-16-be": b"\x00\n"}
_MARK: Final = "\ufeff".encode()


@dataclass(frozen=True, slots=True)
class Splitting:
    """What a receiver of files takes for a record. The data of its lines is in UTF-8 whatever the file is in, or raw."""

    longest: int
    in_pieces: bool = False
    """Whether the rest of what is too long comes in further records; else it is passed over."""
    encoding: str | None = None
    """None: raw bytes."""
    starts: Any = None
    """A regular expression that is found in the first line of a record of several."""
    ends: Any = None
    """Or in the last."""

    @property
    def unit(self) -> int:
        """Bytes of which every character is a multiple."""
        return 2 if self._end else 1

    @property
    def _end(self) -> bytes | None:
        """Of a line, where its characters are of two bytes."""
        return None if self.encoding is None else _WIDE.get(codecs.lookup(self.encoding).name)

    def records(self, plain: IO[bytes], offset: int, number: int | None) -> Iterator[Line]:
        """Those from where the file stands, at `offset`, after `number` records."""
        lines: Iterator[Line]
        if self._end:
            lines = _wide_lines(plain, offset, number, max(2, self.longest - self.longest % 2), self._end)
        else:
            lines = lines_of(plain, offset, number, self.longest, in_pieces=self.in_pieces)
        if self.encoding is not None and codecs.lookup(self.encoding).name != "utf-8":
            lines = (line._replace(data=recoded(line.data, self.encoding)) for line in lines)
        if offset == 0 and self.encoding is not None:
            lines = (line._replace(data=line.data.removeprefix(_MARK)) if not line.start else line for line in lines)
        if self.starts is not None or self.ends is not None:
            return _together(lines, number, self)
        return lines


def is_object(data: bytes) -> bool:
    """Whether a line without an end is one all the same: no part of a JSON object is one."""
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False


def recoded(data: bytes, encoding: str) -> bytes:
    """Bytes of another encoding in UTF-8; what is none in it becomes U+FFFD."""
    return data.decode(encoding, "replace").encode()


def _wide_lines(plain: IO[bytes], offset: int, number: int | None, longest: int, end: bytes) -> Iterator[Line]:
    """Lines whose ends, and whose every character, are of two bytes or four; what is too long comes in pieces."""
    while data := _wide_line(plain, longest, end):
        start, offset = offset, offset + len(data)
        ended = data.endswith(end) and len(data) % 2 == 0
        cut = not ended and len(data) >= longest
        if number is not None:
            number += 1
        whole = data[:-2] if ended else data
        whole = whole.removesuffix(end.replace(b"\n", b"\r")) if ended else whole
        yield Line(start, offset, whole, ended or cut, cut, number)


def _wide_line(plain: IO[bytes], longest: int, end: bytes) -> bytes:
    found = b""
    while len(found) < longest and (more := plain.readline(longest - len(found))):
        found += more
        if more.endswith(b"\n") and len(found) % 2 and end[:1] == b"\n":
            found += plain.read(1)
        if found.endswith(end) and len(found) % 2 == 0:
            break
    return found


def _together(lines: Iterable[Line], number: int | None, how: Splitting) -> Iterator[Line]:
    """Lines as records of several. The last one may go on: it has no end until the next one begins, or somebody decides."""
    group: list[Line] = []
    size = 0
    for line in lines:
        text = line.data.decode("utf-8", "replace")
        begins = how.starts is not None and how.starts.search(text) is not None
        too_long = size + len(line.data) > how.longest
        if group and (begins or too_long):
            number = None if number is None else number + 1
            yield _joined(group, number, ended=True, cut=too_long and not begins)
            group, size = [], 0
        group.append(line)
        size += len(line.data) + 1
        if line.ended and how.ends is not None and how.ends.search(text) is not None:
            number = None if number is None else number + 1
            yield _joined(group, number, ended=True)
            group, size = [], 0
    if group:
        yield _joined(group, None if number is None else number + 1, ended=False)


def _joined(group: list[Line], number: int | None, *, ended: bool, cut: bool = False) -> Line:
    data = b"\n".join(line.data for line in group)
    return Line(group[0].start, group[-1].end, data, ended, cut or any(line.cut for line in group), number)
