"""Putting right what writers left that died: torn lines set aside, files sealed, half-made ones finished or dropped.

The law: only files whose lock nobody holds are touched, no byte of an event is ever deleted, no human is needed, and every
step can be cut off anywhere and begun again, by several processes at once.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import orjson

from whence.archive import names
from whence.archive.encrypt import check_recipients, encrypt_segment, finish_encryptions
from whence.archive.folder import names_in, open_group, sync_file, write_whole
from whence.archive.holds import held_by
from whence.archive.names import Stem, parse_file, parse_stem
from whence.archive.reader import Segment
from whence.archive.seal import (
    Seal,
    compress_segment,
    lock,
    matches,
    read_plain,
    read_seal,
    remove_plain,
    seal_segment,
)
from whence.archive.source import line_start
from whence.archive.tally import Tally
from whence.archive.terms import explain
from whence.archive.tombstone import finish_removals
from whence.errors import DataError, NotFoundError
from whence.otlp.page import Line

DEFAULT_OVER: Final = 1 << 20


class Repair(NamedTuple):
    """One thing that recovery did, or could not do."""

    segment: str
    """The file, from the archive's directory on."""
    kind: Literal["torn", "sealed", "compressed", "encrypted", "dropped", "failed"]
    """`torn`: an unfinished line set aside. `dropped`: an unfinished file, an empty one, or a plain file whose compressed
    form was compared. `failed`: left as it was."""
    detail: str


def recover(
    directory: Path, *, compress_over: int | None = DEFAULT_OVER, encrypt_to: Sequence[str] = ()
) -> list[Repair]:
    """Put right every group of an archive; safe at any time beside living writers and other recoveries.

    With `encrypt_to`, age public keys, every sealed segment is compressed and encrypted to them. Raises ConfigError where one
    is no such key, NotFoundError where there is no such directory. Trouble with one file is a `failed` repair and no exception.
    """
    root = Path(directory).expanduser().resolve()
    if not root.is_dir():
        raise NotFoundError(f"cannot recover {directory}: it is no directory")
    if encrypt_to:
        check_recipients(encrypt_to)
        compress_over = 0
    repairs: list[Repair] = []
    for entry in sorted(root.iterdir()):
        group = entry.name
        if group.startswith(names.PROBE):
            with suppress(OSError):
                entry.unlink()
            continue
        try:
            with open_group(root, group) as folder:
                repairs.extend(_recover_group(folder, group, compress_over))
                if encrypt_to:
                    repairs.extend(_encrypt_group(root, folder, group, encrypt_to))
        except OSError:
            continue  # not a folder, or not ours to open
    return repairs


def _recover_group(folder: int, group: str, compress_over: int | None) -> Iterator[Repair]:
    for removed in finish_removals(folder):
        yield Repair(f"{group}/{removed}", "dropped", "what was left of a segment that retention removed")
    for finished, detail in finish_encryptions(folder):
        yield Repair(f"{group}/{finished}", "dropped", detail)
    files = [found for name in names_in(folder) if (found := parse_file(name))]
    plain = {_parsed(found.stem) for found in files if found.kind == "plain"}
    # A seal names the one before it, so a writer's segments are sealed in their order: behind one that another process has
    # locked, or that failed, the rest of its chain is left to that process or to the next start.
    for _, chain in groupby(sorted(plain, key=_chain_order), key=_chain):
        for stem in chain:
            label = f"{group}/{stem.text}"
            try:
                for kind, detail in recover_segment(folder, stem, compress_over):
                    yield Repair(label, kind, detail)
            except BlockingIOError:
                break
            except DataError as damage:
                yield Repair(label, "failed", str(damage))
            except OSError as trouble:
                yield Repair(label, "failed", explain(trouble))
                break
    for name in names_in(folder):
        found = parse_file(name)
        if found and found.kind == "temporary" and not _exists(folder, found.stem + names.PLAIN):
            os.unlink(name, dir_fd=folder)
            yield Repair(f"{group}/{name}", "dropped", "an unfinished file of a segment that is no more")


def _encrypt_group(root: Path, folder: int, group: str, recipients: Sequence[str]) -> Iterator[Repair]:
    for found in [found for name in sorted(names_in(folder)) if (found := parse_file(name)) and found.kind == "zst"]:
        label = f"{group}/{found.stem}"
        segment = Segment(root, group, found.stem, _parsed(found.stem), (names.COMPRESSED,))
        try:
            if encrypt_segment(folder, found.stem, recipients, held_by(segment)):
                yield Repair(label, "encrypted", f"to {', '.join(recipients)}")
        except (OSError, DataError) as trouble:
            yield Repair(label, "failed", explain(trouble) if isinstance(trouble, OSError) else str(trouble))


def _parsed(stem: str) -> Stem:
    found = parse_stem(stem)
    assert found is not None  # the name was parsed as a segment's
    return found


def _chain(stem: Stem) -> tuple[str, str]:
    return stem.writer, stem.signal


def _chain_order(stem: Stem) -> tuple[str, str, int]:
    return stem.writer, stem.signal, stem.n


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def recover_segment(folder: int, stem: Stem, compress_over: int | None) -> Iterator[tuple[Any, str]]:
    """Put one segment right: each repair's kind and detail.

    Raises BlockingIOError where another process is at it, OSError, DataError.
    """
    name = stem.text + names.PLAIN
    try:
        fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        return  # another recovery was quicker
    try:
        if not lock(fd):
            raise BlockingIOError  # its writer lives, or another recovery is at it
        if not _is_still(folder, name, fd):
            return  # another recovery was quicker
        yield from _drop_temporary(folder, stem)
        seal = read_seal(folder, stem.text)
        if seal is None:
            size, notes = os.fstat(fd).st_size, dict[str, Any](recovered=True)
            if size == 0 and not _is_followed(folder, stem):
                os.unlink(name, dir_fd=folder)
                os.fsync(folder)
                yield "dropped", "empty"
                return
            end = good_end(fd, size)
        else:
            size, end = os.fstat(fd).st_size, seal.bytes
        if size > end:
            yield "torn", _set_aside(folder, stem, fd, end, size)
            notes = {"recovered": True, "torn": {"offset": end, "bytes": size - end}}
        if seal is None:
            sync_file(fd)
            seal = seal_segment(folder, stem, measure(fd, end), read_plain(fd, end), notes)
            yield "sealed", f"{seal.lines} lines, {seal.bytes} bytes"
        yield from _compress(folder, seal, fd, compress_over)
    finally:
        os.close(fd)


def _is_still(folder: int, name: str, fd: int) -> bool:
    """Whether the file that was opened, and then locked, still has its name."""
    here = os.fstat(fd)
    with suppress(FileNotFoundError):
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return stat.S_ISREG(here.st_mode) and (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
    return False


def _is_followed(folder: int, stem: Stem) -> bool:
    """Whether a later segment of the same chain exists: an empty one before it must then stay, so that no number is missing."""
    for name in names_in(folder):
        found = parse_file(name)
        other = found and parse_stem(found.stem)
        if other and (other.signal, other.writer) == (stem.signal, stem.writer) and other.n > stem.n:
            return True
    return False


def _drop_temporary(folder: int, stem: Stem) -> Iterator[tuple[Any, str]]:
    for ending in (names.SEALED, names.COMPRESSED):
        name = stem.text + ending + names.TEMPORARY
        if _exists(folder, name):
            os.unlink(name, dir_fd=folder)
            yield "dropped", name


def good_end(fd: int, size: int) -> int:
    """Where the last whole line of a crashed writer's file ends: after it come a line without its newline, or lines with
    NUL bytes, which a file system shows where data never reached the disk. Raises OSError."""
    end = line_start(fd, size)
    while end:
        start = line_start(fd, end - 1)
        if not _has_nul(fd, start, end):
            return end
        end = start
    return 0


def _has_nul(fd: int, start: int, end: int) -> bool:
    return any(b"\0" in os.pread(fd, min(names.READ_BYTES, end - at), at) for at in range(start, end, names.READ_BYTES))


def _set_aside(folder: int, stem: Stem, fd: int, end: int, size: int) -> str:
    """Copy what stands behind `end` to a file of its own, durably, and only then cut it off."""
    name = f"{stem.text}{names.TORN}{end}"
    pieces = [os.pread(fd, min(names.READ_BYTES, size - at), at) for at in range(end, size, names.READ_BYTES)]
    write_whole(folder, name, pieces)
    os.ftruncate(fd, end)
    sync_file(fd)
    return f"{size - end} bytes from offset {end} are in {name}"


def measure(fd: int, length: int) -> Tally:
    """Count what the first `length` bytes of a file hold, lines that cannot be read included. Raises OSError."""
    tally = Tally()
    rest = b""
    for chunk in read_plain(fd, length):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        for data in lines:
            line = data + b"\n"
            tally.add([Line(line, *_census(data))])
    if rest:
        tally.add([Line(rest, 0, 0, 0)])
    return tally


_RECORDS: Final = {
    "resourceLogs": ("scopeLogs", "logRecords", ("timeUnixNano", "observedTimeUnixNano")),
    "resourceSpans": ("scopeSpans", "spans", ("startTimeUnixNano",)),
    "resourceMetrics": ("scopeMetrics", "metrics", ()),
}


def _census(data: bytes) -> tuple[int, int, int]:
    """Records, least and greatest time of one line; zeros where it is no OTLP JSON."""
    count = 0
    times: list[int] = []
    try:
        line = orjson.loads(data)
        for key, (scopes, records, clocks) in _RECORDS.items():
            for resource in line.get(key, ()):
                for scope in resource.get(scopes, ()):
                    for record in scope.get(records, ()):
                        points = _points(record) if key == "resourceMetrics" else [record]
                        count += len(points)
                        for point in points:
                            times.extend(int(point[clock]) for clock in clocks or ("timeUnixNano",) if point.get(clock))
    except (ValueError, TypeError, AttributeError, KeyError):
        return count, 0, 0
    return count, min(times, default=0), max(times, default=0)


def _points(metric: dict[str, Any]) -> list[dict[str, Any]]:
    return [point for body in metric.values() if isinstance(body, dict) for point in body.get("dataPoints", ())]


def _compress(folder: int, seal: Seal, fd: int, compress_over: int | None) -> Iterator[tuple[Any, str]]:
    """Finish a compression: another process may have been killed between any two of its steps."""
    name = seal.segment + names.COMPRESSED
    if _exists(folder, name):
        copy = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            good = matches(copy, seal)
            if good:
                os.fsync(folder)
        finally:
            os.close(copy)
        if good:
            remove_plain(folder, seal.segment)
            yield "dropped", "the plain file: its compressed form was compared"
            return
    suspect = "suspect" in seal.notes
    if compress_over is not None and seal.bytes > compress_over and not suspect:
        compress_segment(folder, seal, fd)
        yield "compressed", name
