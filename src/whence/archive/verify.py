"""Checking an archive against its seals: every sealed byte is there, unchanged, and no segment is missing between others.

The law: reading only. What is being written, or was torn by a crash, is told apart from damage.
A seal shows accidents and careless changes. Whoever may write the directory can seal anew, or remove a folder, or the newest
segments of a writer with their seals and their lines on the roll: against that keep `last_seals` elsewhere.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from whence.archive import names
from whence.archive.encrypt import LockedError, check_encrypted, open_encrypted, read_envelope
from whence.archive.reader import Segment, list_segments
from whence.archive.roll import rolls
from whence.archive.scan import Problem
from whence.archive.seal import Seal, matches, read_plain
from whence.archive.source import line_start, open_file
from whence.archive.terms import explain
from whence.archive.tombstone import tombstones
from whence.errors import DataError, NotFoundError

Chain = tuple[str, str, str]
"""Group, signal and writer: their segments are numbered and each seal names the one before."""


class Link(NamedTuple):
    """One segment in its chain: its seal's digest and the digest that names, None where it has no (whole) seal."""

    label: str
    digest: str | None
    previous: str | None
    unsealed: bool
    """It has lines and no seal at all."""


@dataclass(slots=True)
class Report:
    """What `verify` found."""

    segments: int = 0
    """Files of lines, of any kind."""
    sealed: int = 0
    foreign: int = 0
    """Files by other writers: there is no seal to hold them to."""
    bytes: int = 0
    """Plain bytes that were found to be what their seals say; so are lines and records."""
    lines: int = 0
    records: int = 0
    problems: list[Problem] = field(default_factory=list)
    """Damage."""
    unsealed: list[str] = field(default_factory=list)
    """Segments being written now, or left by a writer that died: the next writer here seals them. No damage."""
    tails: list[Problem] = field(default_factory=list)
    """Last lines of those that are not whole (yet). No damage."""
    locked: list[str] = field(default_factory=list)
    """Encrypted segments whose identity is not here: the encrypted bytes are those that were written, and no more is known."""
    removed: int = 0
    """Segments that retention removed: their tombstones are there and fit into the chain of seals."""
    last_seals: dict[str, str] = field(default_factory=dict)
    """The newest seal's digest of each chain, by its segment: what to keep elsewhere as evidence."""

    @property
    def ok(self) -> bool:
        return not self.problems


def verify(directory: Path, progress: Callable[[str], None] | None = None) -> Report:
    """Hold every segment against its seal, and the seals against each other. `progress` is told each file's name.

    Raises NotFoundError where there is no such directory.
    """
    root = Path(directory).expanduser()
    if not root.is_dir():
        raise NotFoundError(f"cannot verify {directory}: there is no such directory")
    report = Report()
    chains: dict[Chain, dict[int, Link]] = {}
    enrolled = list(rolls(root))  # before anything is listed, so that what is sealed meanwhile is not missed
    gone = _removed(root, report, chains)
    for segment in list_segments(root):
        if (segment.group, segment.stem) in gone:
            continue  # the next start removes what is left of it
        if progress:
            progress(segment.label)
        report.segments += 1
        if segment.name is None:
            report.foreign += 1
            continue
        seal, problems = _check_segment(segment, report)
        report.problems.extend(problems)
        chain = (segment.group, segment.name.signal, segment.name.writer)
        unsealed = seal is None and names.PLAIN in segment.endings and not segment.path(names.SEALED).exists()
        digest, previous = (seal.digest, seal.previous) if seal else (None, None)
        chains.setdefault(chain, {})[segment.name.n] = Link(segment.label, digest, previous, unsealed)
    report.problems.extend(_check_roll(root, enrolled, chains))
    for links in chains.values():
        report.problems.extend(_check_chain(links))
        newest = max((n for n, link in links.items() if link.digest), default=None)
        if newest is not None and (digest := links[newest].digest):
            report.last_seals[links[newest].label] = digest
    return report


def _removed(root: Path, report: Report, chains: dict[Chain, dict[int, Link]]) -> set[tuple[str, str]]:
    """Put the tombstones into their chains; gives the group and stem of each removed segment."""
    found = set()
    for group, stem, tombstone in tombstones(root):
        label = f"{group}/{stem}" if group else stem
        if isinstance(tombstone, DataError):
            report.problems.append(Problem(label + names.REMOVED, 0, 0, "changed", str(tombstone)))
            continue
        report.removed += 1
        found.add((group, stem))
        name = names.parse_stem(stem)
        if name is not None:
            link = Link(label, tombstone.seal, tombstone.previous, False)
            chains.setdefault((group, name.signal, name.writer), {})[name.n] = link
    return found


def _check_segment(segment: Segment, report: Report) -> tuple[Seal | None, list[Problem]]:
    try:
        seal = segment.read_seal()
    except (DataError, OSError) as cause:
        return None, [Problem(segment.label + names.SEALED, 0, 0, "changed", str(cause))]
    if seal is None:
        return None, _check_unsealed(segment, report)
    report.sealed += 1
    if seal.segment != segment.stem:
        return seal, [Problem(segment.label + names.SEALED, 0, 0, "changed", f"it is the seal of {seal.segment}")]
    problems = [problem for ending in _forms(segment) for problem in _check_form(segment, seal, ending)]
    if any(problem.kind == "locked" for problem in problems):
        report.locked.append(segment.label)
        return seal, []
    if not _forms(segment):
        problems.append(Problem(segment.label, 0, seal.bytes, "missing", "its seal is there and its file is not"))
    if not problems:
        report.bytes += seal.bytes
        report.lines += seal.lines
        report.records += seal.records
    return seal, problems


def _forms(segment: Segment) -> list[str]:
    return [ending for ending in (names.PLAIN, names.COMPRESSED, names.ENCRYPTED) if segment.path(ending).exists()]


def _check_unsealed(segment: Segment, report: Report) -> list[Problem]:
    if names.PLAIN not in segment.endings:
        return [Problem(segment.label, 0, 0, "missing", "it is compressed and its seal is missing")]
    report.unsealed.append(segment.label)
    try:
        fd = open_file(segment.path(names.PLAIN))
    except OSError:
        return []  # its writer sealed and compressed it meanwhile
    try:
        size = os.fstat(fd).st_size
        end = line_start(fd, size)
        if end < size:
            detail = f"{size - end} bytes without a newline: torn by a crash, or being written now"
            report.tails.append(Problem(segment.label, end, size - end, "tail", detail))
    finally:
        os.close(fd)
    return []


def _check_form(segment: Segment, seal: Seal, ending: str) -> list[Problem]:
    label = segment.label + ending
    if ending == names.ENCRYPTED:
        return _check_encrypted(segment, seal, label)
    try:
        fd = open_file(segment.path(ending))
    except FileNotFoundError:
        return []  # replaced by its compressed form while we looked
    except OSError as trouble:
        return [Problem(label, 0, seal.bytes, "unreadable", explain(trouble))]
    try:
        if ending == names.COMPRESSED:
            return [] if matches(fd, seal) else _locate(segment, label, seal)
        return list(_check_plain(fd, seal, label))
    except OSError as trouble:
        return [Problem(label, 0, seal.bytes, "unreadable", explain(trouble))]
    finally:
        os.close(fd)


def _check_encrypted(segment: Segment, seal: Seal, label: str) -> list[Problem]:
    path = segment.path(names.ENCRYPTED)
    try:
        fd = open_file(path)
        try:
            wrong = check_encrypted(fd, read_envelope(segment.base), seal)
        finally:
            os.close(fd)
        if wrong:
            return [Problem(label, 0, seal.bytes, "changed", wrong)]
        fd = open_encrypted(path)
        try:
            return [] if matches(fd, seal) else _locate(segment, label, seal)
        finally:
            os.close(fd)
    except LockedError as locked:
        return [Problem(label, 0, seal.bytes, "locked", str(locked.strerror))]
    except DataError as cause:
        return [Problem(segment.label + names.ENVELOPE, 0, 0, "changed", str(cause))]
    except OSError as trouble:
        return [Problem(label, 0, seal.bytes, "unreadable", explain(trouble))]


def _check_plain(fd: int, seal: Seal, label: str) -> Iterator[Problem]:
    size = os.fstat(fd).st_size
    if size < seal.bytes:
        yield Problem(label, size, seal.bytes - size, "missing", f"{seal.bytes - size} bytes are missing at the end")
        return
    if size > seal.bytes:
        yield Problem(
            label, seal.bytes, size - seal.bytes, "extra", "bytes behind the sealed length, which readers ignore"
        )
    sha = hashlib.sha256()
    for chunk in read_plain(fd, seal.bytes):
        sha.update(chunk)
    if sha.hexdigest() != seal.sha256:
        yield Problem(label, 0, seal.bytes, "changed", "the bytes are not those that were sealed")


def _locate(segment: Segment, label: str, seal: Seal) -> list[Problem]:
    """A compressed file is not what it was: which plain bytes that costs."""
    found: list[Problem] = []
    for _ in segment.lines(found):
        pass
    told = [Problem(label, p.offset, p.length, p.kind, p.detail) for p in found if p.kind not in ("tail", "bad line")]
    return told or [
        Problem(label, 0, seal.bytes, "changed", "the file was changed, though it still gives the sealed bytes")
    ]


def _check_roll(
    root: Path, enrolled: list[tuple[str, str, str]], chains: dict[Chain, dict[int, Link]]
) -> Iterator[Problem]:
    """What was sealed and is not there, or under another seal, at the end of a chain: before others, those tell of it."""
    missing: dict[Chain, list[tuple[int, str]]] = {}
    for group, stem, digest in enrolled:
        name = names.parse_stem(stem)
        if name is None:
            continue
        label = f"{group}/{stem}" if group else stem
        chain = (group, name.signal, name.writer)
        links = chains.get(chain, {})
        link = links.get(name.n)
        if any(n > name.n and (later.digest or link is None) for n, later in links.items()):
            continue
        if link is None:
            removed = (root / group / (stem + names.REMOVED)).exists()  # by retention, meanwhile
            if not removed:
                missing.setdefault(chain, []).append((name.n, label))
        elif link.unsealed:
            yield Problem(label, 0, 0, "missing", "it was sealed, and its seal is missing")
        elif link.digest and link.digest != digest:
            yield Problem(label + names.SEALED, 0, 0, "changed", "it is not the seal that was made")
    for found in missing.values():
        first, last = min(found), max(found)
        more = f", and {len(found) - 1} before it from number {first[0]} on" if len(found) > 1 else ""
        yield Problem(last[1], 0, 0, "missing", f"it was sealed and neither it nor its tombstone is here{more}")


def _check_chain(links: dict[int, Link]) -> Iterator[Problem]:
    numbers = sorted(links)
    sealed = max((n for n in numbers if links[n].digest), default=0)
    for before, after in pairwise([0, *numbers]):
        link = links[after]
        if after != before + 1:
            detail = f"missing before it: numbers {before + 1} to {after - 1} of its writer"
            yield Problem(link.label, 0, 0, "chain", detail)
            continue
        earlier = links[before].digest if before else None
        if link.digest and earlier and link.previous != earlier:
            yield Problem(link.label, 0, 0, "chain", f"its seal does not name the seal of number {before}")
    for n in numbers:
        if links[n].unsealed and n < sealed:
            yield Problem(links[n].label, 0, 0, "chain", "it has no seal, though later ones of its writer have")
