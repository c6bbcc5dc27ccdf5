"""`whence retain`: removes what is older, or more, than is to be kept; `--dry-run` shows the plan first."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from whence.archive.removal import Removed, finish_removals_in, removal_line, remove, settled_plan
from whence.archive.retention import DAY, Plan, Policy, Removal
from whence.archive.writer import ArchiveWriter
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption
from whence.cli.output import note, progress, write, write_json
from whence.cli.text import safe
from whence.errors import ConfigError, StorageError
from whence.event.flat import format_time
from whence.event.ids import next_ulid, ulid_text
from whence.event.units import parse_size

RUN: Final = "whence"
"""The run under which whence records what it does to an archive by itself."""
_SYNC_SECONDS: Final = 30.0

Days = float | None
DaysOption = Annotated[Days, typer.Option("--days", min=0, metavar="N", help="Keep events this long; otherwise 30.")]
ErrorDaysOption = Annotated[Days, typer.Option("--error-days", min=0, metavar="N", help="Errors; otherwise 365.")]
AuditDaysOption = Annotated[
    Days, typer.Option("--audit-days", min=0, metavar="N", help="Audit events; otherwise 2,555.")
]
KeepOption = Annotated[
    list[str] | None,
    typer.Option("--keep", metavar="FILTER:DAYS", help="Events that match, this long; may be given again."),
]


def retain(
    *,
    archive: ArchiveOption = ARCHIVE,
    days: DaysOption = None,
    error_days: ErrorDaysOption = None,
    audit_days: AuditDaysOption = None,
    keep: KeepOption = None,
    run_events: Annotated[int | None, typer.Option(min=0, metavar="N", help="At most this many events a run.")] = None,
    run_bytes: Annotated[str | None, typer.Option(metavar="SIZE", help="At most this much on disk a run.")] = None,
    total_bytes: Annotated[str | None, typer.Option(metavar="SIZE", help="At most this much on disk in all.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go and why, and remove nothing.")] = False,
    even_most: Annotated[
        bool, typer.Option("--even-most", help="More than half, after a long pause, is right.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Remove files whose time is over, as a plan says.

    A file goes whole or stays: as long as the event in it that is kept longest. What an event is kept for says the first
    `--keep` that matches it, else whether it is an error; audit events keep their days. Sizes remove the oldest first and
    spare audit events. Files being written stay. Each removal is recorded as an event before it happens. What no option
    says is taken from WHENCE_RETENTION_* variables and the configuration file. `--dry-run` tells of each file which rule
    removes or keeps it. Exits with 3 where a file could not be removed, or the plan is refused because the clock seems to
    have jumped.
    """
    now = time.time_ns()
    given: dict[str, Any] = {"days": days, "error_days": error_days, "audit_days": audit_days, "run_events": run_events}
    given |= {"run_bytes": _size(run_bytes), "total_bytes": _size(total_bytes), "keep": _pairs(keep)}
    policy = _policy({name: value for name, value in given.items() if value is not None}, now)
    if not dry_run and archive.is_dir():
        finish_removals_in(archive)
    with progress("reading"):
        planned = settled_plan(archive, policy, now, even_most=even_most)
    if planned.refused and not dry_run:
        raise StorageError(f"cannot remove anything: {planned.refused}")
    results = [] if dry_run else list(remove(archive, planned.going, now, lambda going: _record(archive, going, now)))
    _tell(planned, results, dry_run, json)
    if dry_run:
        _tell_staying(planned, policy, now, json)
    failed = [result for result in results if result.trouble]
    for result in failed:
        note(f"cannot remove {result.removal.holding.label}: {result.trouble}")
    return 3 if failed else 0


def _pairs(keep: Sequence[str] | None) -> dict[str, float] | None:
    """Filters and days of `FILTER:DAYS`. Raises BadParameter."""
    if not keep:
        return None
    found = {}
    for text in keep:
        filter_text, colon, days = text.rpartition(":")
        try:
            found[filter_text.strip()] = float(days)
        except ValueError:
            colon = ""
        if not colon or not filter_text.strip() or not found[filter_text.strip()] >= 0:
            raise typer.BadParameter(f"{text!r} is no rule: expected a filter and days, such as \"kind = 'detail':3\"")
    return found


def _policy(given: Mapping[str, Any], now: int) -> Policy:
    """What is to be kept: options before variables before the configuration file. Raises ConfigError, FilterError."""
    from whence.record.settings import read_settings  # slow to import

    settings = read_settings({}, os.environ).retention.model_dump() | dict(given)
    keep = settings.pop("keep")
    if not keep:
        return Policy(**settings)
    from whence.archive.rules import rule_of  # needs whence[query]

    return Policy(**settings, keep=tuple(rule_of(text, days, now) for text, days in keep.items()))


def _size(text: str | None) -> int | None:
    try:
        return None if text is None else parse_size(text)
    except (ValueError, ConfigError) as fault:
        raise typer.BadParameter(str(fault)) from None


def _record(archive: Path, going: Sequence[Removal], now: int) -> None:
    """Write the event that says what goes, and wait until it is on disk. Raises StorageError."""
    entropy = int.from_bytes(os.urandom(10), "big")
    line = removal_line(going, ulid_text(next_ulid(0, now // 1_000_000, entropy)), now, RUN)
    with closing(ArchiveWriter(archive)) as writer:
        if not writer.wait(writer.append(RUN, "logs", [line], sync=True), _SYNC_SECONDS):
            raise StorageError(f"cannot record the removal in {archive}: {writer.status.reason}; nothing was removed")


def _tell(planned: Plan, results: Sequence[Removed], dry_run: bool, json: bool) -> None:
    troubles = {result.removal.holding.label: result.trouble for result in results}
    if json:
        write_json([_row(removal, troubles, dry_run) for removal in planned.going])
    else:
        for removal in planned.going:
            one = removal.holding
            until = format_time(one.time)[:19] + "Z"
            write([f"{safe(one.label)}  {one.records} records  {one.bytes} bytes  until {until}  {removal.reason}"])
    gone = [removal.holding for removal in planned.going if not troubles.get(removal.holding.label)]
    size, records = sum(one.bytes for one in gone), sum(one.records for one in gone)
    said = "would go" if dry_run else "removed"
    if not json:
        write([f"{len(gone)} files {said}: {records} records, {size} bytes; {len(planned.staying)} stay"])
    if planned.refused:
        note(f"refused: {planned.refused}")


def _tell_staying(planned: Plan, policy: Policy, now: int, json: bool) -> None:
    """What keeps each file that stays, and for how many more days by its age (less where a size removes it)."""
    for one in planned.staying:
        text, life = policy.keeper(one.holds)
        left = max(0.0, life - (now - one.time) / DAY)
        if json:
            row = {"file": one.label, "records": one.records, "bytes": one.bytes, "until": format_time(one.time)}
            kept = {"kept_by": text if one.holds else None, "days": life if one.holds else None}
            write_json([row | (kept if one.sealed else {"kept_by": "it is not sealed"}) | {"removed": False}])
        elif not one.sealed:
            write([f"{safe(one.label)}  stays: not sealed"])
        elif one.holds is None:
            write([f"{safe(one.label)}  stays: too young for any rule"])
        else:
            write([f"{safe(one.label)}  stays {left:.0f} more days, {life:g} in all: {safe(text)}"])


def _row(removal: Removal, troubles: dict[str, str | None], dry_run: bool) -> dict[str, Any]:
    one = removal.holding
    row = {"file": one.label, "records": one.records, "bytes": one.bytes, "until": format_time(one.time)}
    trouble = troubles.get(one.label)
    row |= {"holds": sorted(one.holds or ()), "reason": removal.reason, "removed": not dry_run and trouble is None}
    return row | ({"trouble": trouble} if trouble else {})
