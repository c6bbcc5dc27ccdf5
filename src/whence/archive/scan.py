"""From bytes to lines: split at newlines only, bad lines told with their place, good ones never lost behind them.

The law: pure, and it never raises. U+2028 and its kin are not line ends: JSON strings carry them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final, Literal, Protocol

from whence.archive import names
from whence.archive.source import Chunk

Trouble = Literal["tail", "bad line", "damaged", "missing", "extra", "changed", "chain", "unreadable", "locked"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in an archive that is not as it should be, and where."""

    segment: str
    """The file, from the archive's directory on."""
    offset: int
    """Plain bytes from the beginning."""
    length: int
    """Plain bytes concerned; 0 where that is not known."""
    kind: Trouble
    """`tail`: the last line has no newline (torn by a crash, or being written now). `bad line`: skipped, it is no JSON
    object or no OTLP. `damaged`, `missing`, `extra`, `changed`: not the bytes the seal tells of. `chain`: a seal or a
    segment of a chain is missing or was changed. `unreadable`: the system or the compression refused. `locked`: encrypted,
    and the identity is not here; no damage."""
    detail: str


_BLANK: Final = b" \t\r"


class Sieving(Protocol):
    """Knows of lines what cannot be wanted of them, without decoding them."""

    def kept(self, lines: list[bytes]) -> Sequence[bool]:
        """Which of these lines may hold something wanted."""

    def left(self, line: bytes) -> bytes:
        """A line that may, perhaps with `null` in the place of records that cannot be wanted."""


def split(
    chunks: Iterable[Chunk], segment: str, problems: list[Problem], *, keep_tail: bool, sieve: Sieving | None = None
) -> Iterator[tuple[int, bytes, bool]]:
    """Each line that may be a JSON object, with its plain offset and whether it may be wanted; all else goes to `problems`.

    `keep_tail`: give a last line without a newline too, if it looks whole (in files of other writers it often is). `sieve` is
    asked of many lines at once; None: all are wanted.
    """
    start = 0
    rest: list[bytes] = []
    held = 0
    first = True
    for chunk in chunks:
        if first:
            start, first = chunk.offset, False
        if chunk.damage:
            if held:
                problems.append(Problem(segment, start, held, "bad line", "cut by damage behind it"))
            kind: Trouble = "missing" if "missing" in chunk.damage else "damaged" if chunk.length else "unreadable"
            problems.append(Problem(segment, chunk.offset, chunk.length, kind, chunk.damage))
            rest, held, start = [], 0, chunk.offset + chunk.length
            continue
        lines = chunk.data.split(b"\n")
        if len(lines) == 1:
            held += len(lines[0])
            if held <= names.LINE_BYTES:
                rest.append(lines[0])
            continue
        first_length = held + len(lines[0])
        lines[0] = b"".join([*rest, lines[0]]) if first_length <= names.LINE_BYTES else b""
        if first_length > names.LINE_BYTES:
            problems.append(Problem(segment, start, first_length, "bad line", f"longer than {names.LINE_BYTES} bytes"))
        rest, held = [lines.pop()], 0
        wanted = repeat(True) if sieve is None else sieve.kept(lines)
        for n, (line, is_wanted) in enumerate(zip(lines, wanted, strict=False)):
            if line[:1] == b"{" or line.lstrip(_BLANK)[:1] == b"{":
                yield start, line, is_wanted
            elif line.strip(_BLANK):
                problems.append(Problem(segment, start, len(line), "bad line", f"no JSON object: {line[:40]!r}"))
            start += (len(line) if n else first_length) + 1
        held = len(rest[0])
    if not held:
        return
    tail = b"".join(rest) if held <= names.LINE_BYTES else b""
    if keep_tail and tail.strip(_BLANK)[:1] == b"{" and tail.rstrip(_BLANK)[-1:] == b"}":
        yield start, tail, sieve is None or sieve.kept([tail])[0]
    elif tail.strip(_BLANK) or not tail:
        problems.append(Problem(segment, start, held, "tail", f"{held} bytes without a newline at the end"))
