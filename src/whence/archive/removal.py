"""Retention at work: looks at the segments, settles the plan, and removes what it says, crash-safe.

The law: nothing goes that is not sealed, or that some process holds; the record of what goes is on disk before a tombstone is,
and the tombstone before the first file goes.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from whence.archive import names
from whence.archive.folder import open_group
from whence.archive.holds import held_in
from whence.archive.reader import Segment, list_segments
from whence.archive.retention import Holding, Plan, Policy, Removal, plan
from whence.archive.seal import Seal, lock, read_seal
from whence.archive.terms import explain
from whence.archive.tombstone import (
    Tombstone,
    finish_removals,
    read_tombstone,
    remove_files,
    tombstones,
    write_tombstone,
)
from whence.errors import DataError, NotFoundError
from whence.event import names as attributes
from whence.event.kinds import Kind, Severity
from whence.otlp.page import Line
from whence.otlp.value import any_value

_NAMED: Final = 1_000
"""Files named in the event that records a removal; of more only the count is given (each has its tombstone)."""


class Removed(NamedTuple):
    """What became of one removal: `trouble` is why it did not happen, None where it did."""

    removal: Removal
    trouble: str | None


def survey(directory: Path) -> list[tuple[Holding, Segment]]:
    """Every segment of ours in an archive, as retention sees it. Raises NotFoundError where there is no such directory."""
    root = Path(directory).expanduser()
    if not root.is_dir():
        raise NotFoundError(f"cannot plan retention in {directory}: there is no such directory")
    return [(holding, segment) for segment in list_segments(root) if (holding := _holding(segment)) is not None]


def _holding(segment: Segment) -> Holding | None:
    if segment.name is None or segment.path(names.REMOVED).exists():
        return None
    begun = int(datetime.strptime(segment.name.time, "%Y%m%dT%H%M%S.%f%z").timestamp() * 1_000_000) * 1000
    try:
        seal = segment.read_seal()
    except (DataError, OSError):
        seal = None  # damaged: `whence verify` says so, and nothing is decided on its word
    sizes = 0
    for path in segment.base.parent.glob(segment.base.name + ".*"):
        with suppress(OSError):
            sizes += path.stat().st_size
    return Holding(
        group=segment.group,
        stem=segment.name.text,
        time=max(begun, seal.last_time if seal else 0),
        records=seal.records if seal else 0,
        bytes=sizes,
        sealed=seal is not None and bool(segment.endings),
    )


def settled_plan(directory: Path, policy: Policy, now: int, *, even_most: bool = False) -> Plan:
    """The plan for an archive; each segment that might go is looked at, to know what it holds. Raises NotFoundError."""
    rules = policy.rules()
    found = {holding.label: (holding, segment) for holding, segment in survey(directory)}
    while True:
        planned = plan([holding for holding, _ in found.values()], policy, now, even_most=even_most)
        unread = [removal.holding.label for removal in planned.going if removal.holding.holds is None]
        if not unread:
            return planned
        for label in unread:
            holding, segment = found[label]
            found[label] = replace(holding, holds=held_in(segment, rules)), segment


def remove(
    directory: Path, going: Sequence[Removal], now: int, record: Callable[[Sequence[Removal]], None]
) -> Iterator[Removed]:
    """Remove segments, each durably recorded before its files go; may be cut off anywhere and is finished at the next start.

    `record` is called first, with all of them, and must not return before its record is on disk.
    """
    if not going:
        return
    root = Path(directory).expanduser().resolve()
    record(going)
    for removal in going:
        try:
            with open_group(root, removal.holding.group or ".") as folder:
                yield Removed(removal, _remove(folder, removal, now))
        except (OSError, DataError) as fault:
            yield Removed(removal, explain(fault) if isinstance(fault, OSError) else str(fault))


def finish_removals_in(directory: Path) -> None:
    """Remove what is left of removals that were cut off. Trouble is left to the next start."""
    root = Path(directory).expanduser().resolve()
    for group in {group for group, _, _ in tombstones(root)}:
        with suppress(OSError), open_group(root, group or ".") as folder:
            list(finish_removals(folder))


def _remove(folder: int, removal: Removal, now: int) -> str | None:
    stem = removal.holding.stem
    fd = -1
    with suppress(FileNotFoundError):
        fd = os.open(stem + names.PLAIN, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if fd >= 0 and not lock(fd):
            return "a process is writing or compressing it"
        if read_tombstone(folder, stem) is None:
            seal = read_seal(folder, stem)
            if seal is None:
                return "its seal is gone"
            write_tombstone(folder, tombstone_of(seal, now, removal.reason))
        remove_files(folder, stem)
        return None
    finally:
        if fd >= 0:
            os.close(fd)


def tombstone_of(seal: Seal, now: int, reason: str) -> Tombstone:
    """The tombstone for a sealed segment. Pure."""
    return Tombstone(
        segment=seal.segment,
        seal=seal.digest,
        previous=seal.previous,
        bytes=seal.bytes,
        lines=seal.lines,
        records=seal.records,
        first_time=seal.first_time,
        last_time=seal.last_time,
        removed=now,
        reason=reason,
    )


def removal_line(going: Sequence[Removal], event_id: str, now: int, run: str) -> Line:
    """The audit event that records a removal, as a line of the archive. Pure."""
    reasons: dict[str, int] = {}
    for removal in going:
        reasons[removal.reason] = reasons.get(removal.reason, 0) + 1
    records = sum(removal.holding.records for removal in going)
    size = sum(removal.holding.bytes for removal in going)
    payload = {
        "files": len(going),
        "records": records,
        "bytes": size,
        "reasons": reasons,
        "removed": [removal.holding.label for removal in going[:_NAMED]],
    }
    values = {
        attributes.ID: event_id,
        attributes.KIND: Kind.SYSTEM.value,
        attributes.RUN: run,
        attributes.AUDIT: True,
        attributes.PAYLOAD: payload,
    }
    written = {
        "timeUnixNano": str(now),
        "observedTimeUnixNano": str(now),
        "severityNumber": Severity.INFO.value,
        "severityText": Severity.INFO.name,
        "eventName": attributes.TYPE_RETAINED,
        "body": {"stringValue": f"retention removes {len(going)} files with {records} records, {size} bytes"},
        "attributes": [{"key": key, "value": any_value(value)} for key, value in values.items()],
    }
    resource = {"attributes": [{"key": attributes.SERVICE_NAME, "value": any_value(run)}]}
    logs = {"resource": resource, "scopeLogs": [{"scope": {"name": run}, "logRecords": [written]}]}
    return Line(orjson.dumps({"resourceLogs": [logs]}) + b"\n", 1, now, now)
