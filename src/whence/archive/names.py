"""Every file name and every limit of the archive on disk, with its reason.

The law: pure, and the only place where a file name is put together or taken apart.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

Signal = Literal["logs", "traces", "metrics"]
SIGNALS: Final[tuple[Signal, ...]] = ("logs", "traces", "metrics")

# --- the files of a segment: <stem> and one of these -----------------------------------------------------------------
PLAIN: Final = ".jsonl"
SEALED: Final = ".seal.json"
COMPRESSED: Final = ".jsonl.zst"
ENCRYPTED: Final = ".jsonl.zst.age"
ENVELOPE: Final = ".age-note"
"""What is known of an encrypted segment without the identity."""
ENCRYPTING: Final = ".age-part"
"""An encrypted file that is not finished. Whoever writes it holds the lock of the compressed one."""
TEMPORARY: Final = ".tmp"
"""Behind the name of a file that is not finished; nothing refers to it and the next start removes it."""
INDEX: Final = ".index.parquet"
INDEX_TERMS: Final = ".index.terms"
INDEX_NOTE: Final = ".index.note"
INDEX_HOLDS: Final = ".index.holds"
"""A cache beside the segment and what it covers: deleted with it, or at any time, and made again when it is needed."""
SIDECAR: Final = tuple(
    name + part for name in (INDEX_NOTE, INDEX, INDEX_TERMS, INDEX_HOLDS) for part in ("", TEMPORARY)
)
"""Whatever of the cache may stand beside a segment, what is being made included."""
REMOVED: Final = ".gone"
"""The tombstone of a segment that retention removed. Not JSON by its name, so that no reader takes it for lines."""
ROLL: Final = ".seals"
"""In each folder: the digest of every seal that was made there, a line each."""
CAUSES: Final = ".causes.index"
CAUSES_NOTE: Final = ".causes.note"
"""In the archive's directory: the graph of all causes, a cache like the sidecars it is made of."""
TORN: Final = ".jsonl.torn-"
"""Bytes a crash left behind the last whole line, set aside; the plain offset where they stood follows."""
PROBE: Final = ".probe-"
"""Before a random part: written and removed to find out whether the disk takes writes again."""
ASIDE: Final = ".aside-"
"""Behind the name of something that stood where a group's folder belongs (a file, a symbolic link), moved out of the way."""

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
"""Events may hold secrets: nobody but the owner reads them unless the owner says so."""

# --- limits -----------------------------------------------------------------------------------------------------------
OPEN_SEGMENTS: Final = 64
"""Segments held open at once by a writer that is told no other number; the one unused longest is closed for another."""
WAITING_FILES: Final = 64
"""Closed segments that wait for their sync, and as many that wait for their seal, with their file still open."""
WAITING_SEGMENTS: Final = 8_192
"""Closed segments that may wait for their seal at all (about 1.5 KB of memory each)."""
WAIT_SECONDS: Final = 10.0
"""How long an append waits for a place among these before its lines are held in memory instead."""
CHAINS: Final = 65_536
"""Groups and signals whose numbering a writer remembers (about 200 bytes each); past that it takes a new name."""
LINE_BYTES: Final = 1 << 28
"""The longest line that is written, or held in memory to be read: 256 MiB. Longer ones are reported and skipped."""
READ_BYTES: Final = 1 << 20
"""How much is read from a file at once."""
FRAME_BYTES: Final = 256 << 10
"""Plain bytes in one frame of a compressed segment: what must be decompressed to read one line (about 0.3 ms)."""
FRAME_LIMIT: Final = 64 << 20
"""A line longer than this is cut into several frames: the seekable format counts a frame in 32 bits, at most 1 GiB."""
ZSTD_LEVEL: Final = 1
"""In frames of this size level 3 takes half as long again and makes JSON of ids and numbers a tenth larger (prose: 4% smaller);
level 9 saves a twentieth to a tenth and takes nine times as long."""
WARN_SECONDS: Final = 10.0
"""At most one warning of a kind in this time: a disk in trouble must not fill the program's own log."""
GROUP_BYTES: Final = 120
"""The longest folder name made of a run id: file systems allow 255 bytes for a name."""

_WRITTEN: Final = re.compile(rb"[A-Za-z0-9_.-]")
_ESCAPE: Final = re.compile(rb"~([0-9A-F]{2})")
_EMPTY: Final = "~"
_CUT: Final = "~~"
_RESERVED: Final = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
"""Names that Windows keeps for devices: an archive must survive being copied there."""
_STEM: Final = re.compile(r"(logs|traces|metrics)-(\d{8}T\d{6}\.\d{6}Z)-([A-Za-z0-9_-]+\.\d+\.[0-9a-f]+)-(\d{6,})")


def safe_group(run: str) -> str:
    """The folder name of a run: letters, digits, `_`, `.` and `-` as they are, any other byte of its UTF-8 as `~XX`.

    Never empty, hidden, reserved, or with a separator in it; two runs never share a name. A name longer than GROUP_BYTES
    is cut and ends in a hash: the run is then known from its events only.
    """
    raw = run.encode("utf-8", "surrogatepass")
    if not raw:
        return _EMPTY
    parts = [chr(byte) if _WRITTEN.match(bytes((byte,))) else f"~{byte:02X}" for byte in raw]
    for at in (0, -1):
        if parts[at] == ".":
            parts[at] = "~2E"
    name = "".join(parts)
    if _RESERVED.fullmatch(name):
        name = f"~{raw[0]:02X}" + name[1:]
    if len(name) > GROUP_BYTES:
        return name[:80].rstrip("~.") + _CUT + hashlib.sha256(raw).hexdigest()[:32]
    return name


def group_run(group: str) -> str | None:
    """The run whose folder has this name, or None where the name does not say it (cut, or not made by `safe_group`)."""
    if group == _EMPTY:
        return ""
    try:
        run = _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), group.encode("ascii")).decode(
            "utf-8", "surrogatepass"
        )
    except UnicodeError:
        return None
    return run if safe_group(run) == group else None


class Stem(NamedTuple):
    """A segment's name, taken apart: `<signal>-<UTC time>-<writer>-<n>`."""

    signal: Signal
    time: str
    """When the segment was begun: fixed width, so that text order is time order."""
    writer: str
    """`<host>.<pid>.<random>`: one opened archive in one process."""
    n: int
    """Counts the segments of this writer, group and signal, from 1, without gaps."""

    @property
    def text(self) -> str:
        return f"{self.signal}-{self.time}-{self.writer}-{self.n:06d}"


def parse_stem(text: str) -> Stem | None:
    """The parts of a segment's stem, or None where it is no name of ours."""
    found = _STEM.fullmatch(text)
    if not found:
        return None
    signal: Signal = "logs" if found[1] == "logs" else "traces" if found[1] == "traces" else "metrics"
    return Stem(signal, found[2], found[3], int(found[4]))


def time_text(ns: int) -> str:
    """Nanoseconds since the epoch as a name's time: UTC with microseconds, no colons (Windows, URLs)."""
    return datetime.fromtimestamp(ns // 1000 / 1_000_000, UTC).strftime("%Y%m%dT%H%M%S.%fZ")


def writer_name(host: str, pid: int, random: str) -> str:
    """The writer's part of a stem; `random` in hex digits tells apart writers of one process, and reused pids."""
    return f"{re.sub('[^A-Za-z0-9_-]', '_', host)[:32] or 'host'}.{pid}.{random}"


class FileName(NamedTuple):
    """A file name of a segment, taken apart."""

    stem: str
    kind: Literal["plain", "seal", "zst", "temporary", "torn"]


def parse_file(name: str) -> FileName | None:
    """What a file of ours is, by its name, or None where the name is not ours."""
    stem, dot, rest = name.partition(".jsonl")
    if not dot:
        stem, _, rest = name.partition(SEALED)
        kind: Literal["plain", "seal", "zst", "temporary", "torn"] = "seal"
    elif rest.startswith(TORN.removeprefix(PLAIN)):
        kind = "torn"
    else:
        kind = "zst" if rest.startswith(".zst") else "plain"
    if parse_stem(stem) is None:
        return None
    if name.endswith(TEMPORARY):
        return FileName(stem, "temporary")
    whole = {"plain": PLAIN, "seal": SEALED, "zst": COMPRESSED}
    return FileName(stem, kind) if kind == "torn" or name == stem + whole[kind] else None
