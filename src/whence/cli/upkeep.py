"""`whence verify` and `whence seal`: whether the archive's files are what they should be, and making them so."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from whence.archive.reader import Archive, Segment
from whence.archive.recovery import Repair, recover
from whence.archive.scan import Problem
from whence.archive.verify import Report
from whence.archive.verify import verify as verify_seals
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption
from whence.cli.output import note, progress, screen, write, write_json
from whence.cli.screen import Screen
from whence.cli.text import safe
from whence.errors import DataError
from whence.index.background import begin_build
from whence.index.live import live_segments

EncryptOption = Annotated[
    list[str] | None,
    typer.Option("--encrypt-to", metavar="AGE1...", help="Encrypt to this age public key; may be given again."),
]


def verify(*, archive: ArchiveOption = ARCHIVE, json: JsonOption = False) -> int:
    """Check every file of the archive.

    Sealed files byte by byte against their seals, the seals against each other, and every line of every file for being
    OTLP. Files being written, or left unsealed by a process that died, are no fault. Exits with 1 where anything is.
    """
    with progress("verifying") as tell:
        report = verify_seals(archive, tell)
        report.problems.extend(unreadable_lines(archive, report))
    if json:
        write_json([report_json(report)])
    else:
        there = screen()
        write(problem_line(problem, there) for problem in report.problems)
        write(summary(report))
    if not report.ok:
        note(f"{len(report.problems)} faults in {archive}")
    return int(not report.ok)


def unreadable_lines(directory: Path, report: Report) -> Iterator[Problem]:
    """The lines that are no OTLP, and what of files without a seal cannot be read, beyond what is known already."""
    archive = Archive(directory)
    for _ in archive.events(unique=False):
        pass
    known = {(problem.segment, problem.offset) for problem in (*report.problems, *report.tails)}
    sealed = {problem.segment.partition(".")[0] for problem in report.problems}
    for problem in archive.problems:
        told = (problem.segment, problem.offset) in known or problem.segment.partition(".")[0] in sealed
        if problem.kind == "locked":
            continue  # the report names it
        if problem.kind == "bad line" or not (told or (problem.kind == "tail" and problem.segment in report.unsealed)):
            yield problem


def problem_line(problem: Problem, screen: Screen) -> str:
    """One fault and its place in one line."""
    kind = screen.paint(f"{problem.kind:<10}", "error")
    length = f", {problem.length} bytes" if problem.length else ""
    return f"{kind} {safe(problem.segment)} at byte {problem.offset}{length}: {safe(problem.detail)}"


def summary(report: Report) -> Iterator[str]:
    """What was checked, in a few lines."""
    held = f"{report.sealed} sealed: {report.records} records in {report.lines} lines, {report.bytes} bytes as sealed"
    yield f"{report.segments} files, {held}"
    if report.foreign:
        yield f"{report.foreign} files of other writers, which have no seal"
    if report.unsealed:
        yield f"{len(report.unsealed)} not sealed yet: being written, or left by a process that died (whence seal)"
    if report.locked:
        yield f"{len(report.locked)} encrypted, and as they were written; to check more, give the identity (--identity)"
    if report.removed:
        yield f"{report.removed} removed by retention, as their tombstones say"
    for tail in report.tails:
        yield f"{safe(tail.segment)} at byte {tail.offset}: {safe(tail.detail)}"


def report_json(report: Report) -> dict[str, Any]:
    """The report as one JSON object."""
    return {"ok": report.ok, **asdict(report)}


def seal(*, archive: ArchiveOption = ARCHIVE, encrypt_to: EncryptOption = None, json: JsonOption = False) -> int:
    """Recover what dead processes left, seal and compress.

    A torn last line is set aside in a file of its own; nothing is deleted. Files that a process is writing are left alone.
    Exits with 3 where a file could not be put right.
    """
    repairs = recover(archive, compress_over=0, encrypt_to=encrypt_to or ())
    live = sorted(live_segments(Archive(archive)))
    if json:
        write_json(repair._asdict() for repair in repairs)
    else:
        there = screen()
        write(repair_line(repair, there) for repair in repairs)
        write(f"left alone {safe(name)}: it is being written" for name in live)
        if not repairs and not live:
            write(["nothing to do"])
    index_closed(archive, sum(_sealed_bytes(segment) for segment in Archive(archive).segments()))
    failed = sum(repair.kind == "failed" for repair in repairs)
    if failed:
        note(f"{failed} files could not be put right; they are as they were")
    return 3 if failed else 0


def _sealed_bytes(segment: Segment) -> int:
    with suppress(DataError, OSError):
        found = segment.read_seal()
        return found.bytes if found else 0
    return 0


def index_closed(archive: Path, closed: int) -> None:
    """Have another process index what was closed, of so many bytes, unless a setting says no."""
    from whence.record.settings import read_settings  # slow to import

    if read_settings({}, os.environ).index_closed:
        with suppress(OSError):
            begin_build(archive.resolve(), closed)


def repair_line(repair: Repair, screen: Screen) -> str:
    """One repair in one line."""
    style = {"failed": "error", "torn": "warning"}.get(repair.kind)
    kind = screen.paint(f"{repair.kind:<10}", style)  # type: ignore[arg-type]
    return f"{kind} {safe(repair.segment)}: {safe(repair.detail)}"
