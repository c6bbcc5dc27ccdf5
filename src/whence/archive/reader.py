"""Reading an archive: its segments, their lines and events, whoever wrote them and whatever became of the files.

The law: nothing is ever changed, a seal's length is obeyed, and damage is put to `problems` with its place, never hiding
the good lines around it.
"""

import hashlib
import os
import time
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from whence.archive import names
from whence.archive.encrypt import LockedError, open_encrypted, read_envelope
from whence.archive.names import Signal, Stem, parse_stem
from whence.archive.scan import Problem, Sieving, split
from whence.archive.seal import Seal, parse_seal
from whence.archive.source import Chunk, chunks, open_file, seek_table
from whence.archive.terms import explain
from whence.errors import DataError, NotFoundError, StorageError
from whence.event.flat import format_time
from whence.event.model import Event
from whence.otlp.decode import Decoded, Place, decode

_ENDINGS: Final = {
    ".jsonl": "",
    ".jsonl.zst": "zst",
    ".jsonl.gz": "gz",
    ".jsonl.zst.age": "age",
    ".json": "",
    ".json.zst": "zst",
    ".json.gz": "gz",
}
_COARSE: Final = 1_000_000_000
"""Nanoseconds, far more than any file system's clock is behind."""
_KEYS: Final[tuple[tuple[bytes, Signal], ...]] = (
    (b'"resourceLogs"', "logs"),
    (b'"resourceSpans"', "traces"),
    (b'"resourceMetrics"', "metrics"),
)


class StoredLine(NamedTuple):
    """A line of the archive and where it stands, which stays the same when its segment is sealed and compressed."""

    place: Place
    data: bytes
    """Without its newline."""
    kept: bool = True
    """Whether it may hold what is wanted, where a sieve was asked."""

    def decoded(self, sieve: Sieving | None = None) -> Decoded:
        """Its events; of those that the sieve does not let through perhaps none. Raises DataError as `decode`."""
        if sieve is None:
            return decode(self.data, self.place)
        return decode(sieve.left(self.data), self.place, thin=True)


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of lines, in whichever of its forms (plain, compressed) it is at the moment of reading."""

    root: Path
    group: str
    """The folder, from the archive's directory on; `""` for the directory itself."""
    stem: str
    """Its name in a Place: our segments' stem; of files by other writers the path up to `.json`."""
    name: Stem | None
    """The parts of its name, where it is a segment of ours."""
    endings: tuple[str, ...]
    """The endings seen when it was listed."""

    @property
    def base(self) -> Path:
        """The path without its ending."""
        return self.root / self.group / (self.stem.rpartition("/")[2])

    @property
    def label(self) -> str:
        """The file in words, for problems: from the archive's directory on."""
        return f"{self.group}/{self.name.text}" if self.name and self.group else self.stem

    @property
    def signal(self) -> Signal | None:
        """Its one signal, or None where only the lines say it."""
        return self.name.signal if self.name else None

    @property
    def order(self) -> tuple[str, str, int, str]:
        """By time, writer and number; files of other writers first, by path."""
        return (self.name.time, self.name.writer, self.name.n, self.stem) if self.name else ("", "", 0, self.stem)

    def read_seal(self) -> Seal | None:
        """Its seal, or None while it is being written (and for files by other writers). Raises DataError, OSError."""
        if self.name is None:
            return None
        try:
            return parse_seal(self.path(names.SEALED).read_bytes())
        except FileNotFoundError:
            return None

    def path(self, ending: str) -> Path:
        """Where its file with this ending is, or would be."""
        return self.base.with_name(self.base.name + ending)

    def open(self) -> tuple[int, str]:
        """A descriptor and the form (`""`, `zst`, `gz`) it is in. Raises FileNotFoundError, LockedError, OSError.

        Compression may replace the plain file between two looks, so each form is tried more than once.
        """
        endings = (names.PLAIN, names.COMPRESSED, ".jsonl.gz", names.ENCRYPTED) if self.name else self.endings
        for ending in endings * 2:
            with suppress(FileNotFoundError):
                if ending == names.ENCRYPTED:
                    return open_encrypted(self.path(ending)), "zst"
                return open_file(self.path(ending)), _ENDINGS[ending]
        raise FileNotFoundError(2, "the file is gone", str(self.path(endings[0])))

    def lines(
        self, problems: list[Problem] | None = None, start: int = 0, sieve: Sieving | None = None
    ) -> Iterator[StoredLine]:
        """Its whole lines from plain offset `start` on, `sieve` asked of them; what is no line goes to `problems`."""
        problems = [] if problems is None else problems
        try:
            fd, form = self.open()
        except OSError as trouble:
            if self.name and self.path(names.REMOVED).exists():
                return  # retention removed it since it was listed
            if isinstance(trouble, LockedError):
                problems.append(Problem(self.label, 0, 0, "locked", self._locked(trouble)))
                return
            kind: Any = "missing" if isinstance(trouble, FileNotFoundError) else "unreadable"
            problems.append(Problem(self.label, 0, 0, kind, explain(trouble)))
            return
        try:
            seal = self._seal_or_problem(problems)
            length = seal.bytes if seal else None
            if seal and not form and os.fstat(fd).st_size > seal.bytes:
                extra = os.fstat(fd).st_size - seal.bytes
                problems.append(
                    Problem(self.label, seal.bytes, extra, "extra", f"{extra} bytes behind the sealed length")
                )
            found = chunks(fd, form, start, length)
            if seal and not start:
                found = _hashed(found, seal, self.label, problems)
            for offset, data, wanted in split(found, self.label, problems, keep_tail=self.name is None, sieve=sieve):
                yield StoredLine(Place(self.stem, offset), data, wanted)
        except OSError as trouble:
            problems.append(Problem(self.label, start, 0, "unreadable", explain(trouble)))
        finally:
            os.close(fd)

    def _locked(self, trouble: LockedError) -> str:
        """What of the archive is missing in an answer, and what to do."""
        said = "it is encrypted"
        with suppress(DataError, OSError):
            seal, envelope = self.read_seal(), read_envelope(self.base)
            if envelope:
                said += f" to {', '.join(envelope.recipients)}"
            if seal:
                first, last = format_time(seal.first_time), format_time(seal.last_time)
                said += f": {seal.records} records from {first} to {last} are not in the answer"
        return f"{said}; {trouble.strerror}"

    def _seal_or_problem(self, problems: list[Problem]) -> Seal | None:
        try:
            return self.read_seal()
        except (DataError, OSError) as cause:
            problems.append(Problem(self.label, 0, 0, "changed", str(cause)))
            return None

    def last_lines(self, count: int) -> list[StoredLine]:
        """Its last whole lines, read from the end."""
        window = names.FRAME_BYTES
        length = self.length()
        while True:
            start = max(0, length - window)
            found = list(self.lines(start=start))
            if start and found and found[0].place.offset == start:
                found = found[1:]  # it may begin in the middle
            if len(found) >= count or not start:
                return found[-count:]
            window *= 4

    def length(self) -> int:
        """Plain bytes as far as they are known without decompressing; 0 where they are not."""
        with suppress(OSError, DataError):
            seal = self.read_seal()
            if seal:
                return seal.bytes
            fd, form = self.open()
            try:
                table = seek_table(fd) if form == "zst" else None
                return table[-1].start + table[-1].plain if table else 0 if form else os.fstat(fd).st_size
            finally:
                os.close(fd)
        return 0

    def read_line(self, offset: int) -> bytes:
        """The line at a plain offset, read without the rest of a compressed segment.

        Raises DataError where no whole line begins there, StorageError where the file cannot be read.
        """
        problems: list[Problem] = []
        for line in self.lines(problems, start=offset):
            if line.place.offset == offset:
                return line.data
            break
        if problems and problems[0].kind in ("missing", "unreadable", "locked"):
            raise StorageError(f"cannot read {self.label}: {problems[0].detail}")
        raise DataError(
            f"cannot read a line of {self.label} at offset {offset}: none begins there; was the place made up?"
        )


def _hashed(found: Iterator[Chunk], seal: Seal, label: str, problems: list[Problem]) -> Iterator[Chunk]:
    """The same chunks; at their end, whether they were the bytes that were sealed."""
    sha = hashlib.sha256()
    whole = True
    for chunk in found:
        sha.update(chunk.data)
        whole = whole and not chunk.damage
        yield chunk
    if whole and sha.hexdigest() != seal.sha256:
        problems.append(Problem(label, 0, seal.bytes, "changed", "the bytes are not those that were sealed"))


def signal_of_line(data: bytes) -> Signal | None:
    """The signal a line carries, by its first key; None where it is no OTLP JSON."""
    for key, signal in _KEYS:
        if key in data[:40]:
            return signal
    try:
        line = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return next((signal for key, signal in _KEYS if isinstance(line, dict) and key.decode()[1:-1] in line), None)


Seen = dict[tuple[str, str], tuple[Stem | None, list[str]]]
"""By group and stem: the parts of the name, if it is ours, and the endings found."""
Folders = dict[str, int]
"""By path: the time of a folder's last change."""


class Listing:
    """The segments of an archive, listed again only where a folder has changed since: of many files that takes 20 ms."""

    def __init__(self, root: Path, only: str | None = None) -> None:
        """`only`: of one file in the directory."""
        self._root, self._only = root, only
        self._segments: list[Segment] = []
        self._folders: Folders = {}
        self._settled = False
        self.times = 0
        """How often it was listed: what was seen of the folders is as it was while this stays the same."""

    def segments(self) -> list[Segment]:
        """As `list_segments`."""
        if not (self._settled and all(map(_is_unchanged, self._folders.items()))):
            began = time.time_ns()
            self._segments, self._folders = _listed(self._root, self._only)
            self.times += 1
            # The clock of files is coarse: what came just behind a listing may not change the folder's time again.
            times = self._folders.values()
            self._settled = bool(times) and all(changed < began - _COARSE for changed in times)
        return list(self._segments)


def _is_unchanged(folder: tuple[str, int]) -> bool:
    try:
        return os.stat(folder[0]).st_mtime_ns == folder[1]  # noqa: PTH116 - of many folders, a Path each takes longer
    except OSError:
        return False


def list_segments(root: Path, only: str | None = None) -> list[Segment]:
    """Every file of lines below a directory at any depth, or the one file `only` in it; in reading order.

    A segment of which a removal that was cut off has left only the seal is none.
    """
    return _listed(root, only)[0]


def _listed(root: Path, only: str | None) -> tuple[list[Segment], Folders]:
    seen: Seen = {}
    folders = _list(root, only, seen)
    if only is None and _has_gap(seen):
        # A directory is not read in one instant: a segment begun meanwhile may be missed and the one after it found.
        _list(root, only, seen)
    segments = [Segment(root, group, stem, name, tuple(endings)) for (group, stem), (name, endings) in seen.items()]
    there = [one for one in segments if one.endings or not one.path(names.REMOVED).exists()]
    return sorted(there, key=lambda segment: segment.order), folders


def _has_gap(seen: Seen) -> bool:
    """Whether a number is missing in a writer's segments: missed by the listing, or really gone."""
    chains: dict[tuple[str, str, str], list[int]] = {}
    for (group, _), (name, _) in seen.items():
        if name:
            chains.setdefault((group, name.signal, name.writer), []).append(name.n)
    return any(max(numbers) != len(numbers) for numbers in chains.values())


def _list(root: Path, only: str | None, seen: Seen) -> Folders:
    """Notes every file, and gives when each folder was last changed before its files were listed."""
    folders: Folders = {}
    waiting = [str(root)]
    while waiting:
        path = waiting.pop()
        group = "" if path == str(root) else Path(path).relative_to(root).as_posix()
        with suppress(OSError):  # it is gone, or closed to us
            folders[path] = Path(path).stat().st_mtime_ns
            with os.scandir(path) as found:
                for entry in found:
                    if entry.is_dir(follow_symlinks=False):
                        waiting += () if only else [entry.path]
                    elif only is None or entry.name == only:
                        _note(seen, group, entry.name)
    return folders


def _note(seen: Seen, group: str, file: str) -> None:
    base, dot, rest = file.partition(".jsonl")
    if not dot:
        # A seal counts too: its segment may have changed from plain to compressed while the directory was being listed.
        base, dot, rest = file.partition(names.SEALED) if names.SEALED in file else file.partition(".json")
    ending = dot + rest
    name = parse_stem(base)
    if file.startswith(".") or not (ending in _ENDINGS or (name and ending == names.SEALED)):
        return
    stem = base if name else f"{group}/{base}" if group else base
    endings = seen.setdefault((group, stem), (name, []))[1]
    if ending in _ENDINGS and ending not in endings:
        endings.append(ending)
        endings.sort(key=list(_ENDINGS).index)


class Archive:
    """An archive to read: a directory, or a single file of OTLP JSON lines. Cheap to make; each call looks anew."""

    def __init__(self, directory: Path, *, awaited: bool = False) -> None:
        """`awaited`: a directory that is still to come is an archive with nothing in it. Otherwise raises NotFoundError."""
        path = Path(directory).expanduser()
        if not path.exists() and not awaited:
            raise NotFoundError(f"cannot read the archive {directory}: there is no such directory or file")
        is_file = path.exists() and not path.is_dir()
        self.directory = path.parent if is_file else path
        self._only = path.name if is_file else None
        self.problems: list[Problem] = []
        """What `lines` and `events` had to skip, each once, as far as they were read."""
        self._known: dict[str, Segment] = {}
        self._listing = Listing(self.directory, self._only)

    def segments(self, *, groups: Container[str] | None = None, signal: Signal | None = None) -> list[Segment]:
        """The files of lines in order of time, writer and number; `groups` are folder names (`names.safe_group`).

        Files by other writers, whose name says no signal, are among them whatever `signal` is asked for.
        """
        return [
            segment
            for segment in self._listing.segments()
            if (groups is None or segment.group in groups) and (signal is None or segment.signal in (None, signal))
        ]

    def listed(self) -> int:
        """A number that stays the same while no file in the archive comes, goes or is renamed."""
        self._listing.segments()
        return self._listing.times

    def lines(
        self, *, groups: Container[str] | None = None, signal: Signal | None = None, sieve: Sieving | None = None
    ) -> Iterator[StoredLine]:
        """Every whole line, segment after segment, `sieve` asked of them; what had to be skipped is put to `problems`."""
        for segment in self.segments(groups=groups, signal=signal):
            found: list[Problem] = []
            for line in segment.lines(found, sieve=sieve):
                if signal is None or segment.signal or signal_of_line(line.data) == signal:
                    yield line
            self._tell(found)

    def events(
        self,
        *,
        groups: Container[str] | None = None,
        signal: Signal | None = None,
        unique: bool = True,
        sieve: Sieving | None = None,
    ) -> Iterator[Event]:
        """Every event of every line, in the lines' order; lines that are no OTLP are skipped and put to `problems`.

        An id that comes twice (a line written anew after a failed sync, a batch sent twice) is given once; to know them
        costs about 100 bytes of memory an event, which `unique=False` saves. Of what `sieve` does not let through no event need
        be given, nor anything said that is wrong with it.
        """
        seen: set[bytes] = set()
        for line in self.lines(groups=groups, signal=signal, sieve=sieve):
            if not line.kept:
                continue
            try:
                found = line.decoded(sieve)
            except DataError as cause:
                self._tell_bad(line, str(cause))
                continue
            for sentence in found.bad:
                self._tell_bad(line, sentence)
            for event in found.events:
                if unique:
                    digest = hashlib.blake2b(event.id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
                    if digest in seen:
                        continue
                    seen.add(digest)
                yield event

    def read_line(self, place: Place) -> bytes:
        """The line at a place. Raises NotFoundError where the archive has no such segment, else as Segment.read_line."""
        if place.stem not in self._known:
            self._known = {segment.stem: segment for segment in self.segments()}
        if place.stem not in self._known:
            raise NotFoundError(f"cannot read a line of {place.stem}: no such segment in {self.directory}")
        return self._known[place.stem].read_line(place.offset)

    def _tell_bad(self, line: StoredLine, cause: str) -> None:
        self._tell([Problem(line.place.stem, line.place.offset, len(line.data), "bad line", cause)])

    def _tell(self, problems: list[Problem]) -> None:
        self.problems.extend(problem for problem in problems if problem not in self.problems)
