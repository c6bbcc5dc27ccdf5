"""`whence check`: faults in the recorded causes."""

from collections import Counter
from typing import Annotated, Any

import typer

from whence.causality.checks import TOLERANCE_NS, Fault, Finding
from whence.causality.checks import check as check_graph
from whence.cli.lines import duration_text
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption, RunOption, parse_duration
from whence.cli.output import note, screen, write, write_json
from whence.cli.reading import read_past
from whence.cli.screen import Screen
from whence.cli.text import safe


def check(
    *,
    archive: ArchiveOption = ARCHIVE,
    run: RunOption = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="FAULT", help="cycle, later, missing or orphan; may be given again.")
    ] = None,
    tolerance: Annotated[
        str | None, typer.Option(metavar="TIME", help="How far clocks of two processes may differ. Default 1s.")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Look for faults in the recorded causes.

    cycle: events that caused each other. later: a cause that happened after its effect. missing: a cause that is nowhere
    in the archive. orphan: an event with no recorded cause, in a span that is nowhere. Exits with 1 where any is found.
    """
    unwanted = {_fault(text) for text in ignore or ()}
    tolerance_ns = parse_duration(tolerance) if tolerance else TOLERANCE_NS
    past = read_past(archive)
    found = [
        finding
        for finding in check_graph(past.graph, tolerance_ns=tolerance_ns)
        if finding.fault not in unwanted and (run is None or any(past.graph.run_of(id) == run for id in finding.events))
    ]
    if json:
        write_json(map(finding_json, found))
    else:
        there = screen()
        write(finding_line(finding, there) for finding in found)
    counts = Counter(finding.fault for finding in found)
    if found:
        note(f"{len(found)} faults: {', '.join(f'{count} {fault}' for fault, count in counts.items())}")
    elif not json:
        write([f"no faults in the causes of {len(past.graph)} events"])
    return int(bool(found))


def _fault(text: str) -> Fault:
    try:
        return Fault(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a fault: expected {', '.join(Fault)}.") from None


def finding_line(finding: Finding, screen: Screen) -> str:
    """One finding in one line."""
    ids = [safe(id) for id in finding.events]
    match finding.fault:
        case Fault.CYCLE:
            shown = ids if len(ids) <= 6 else [*ids[:5], f"… {len(ids)} events"]
            said = " ─▶ ".join([*shown, ids[0]])
        case Fault.LATER:
            late = f", {duration_text(finding.late_ns)}" if finding.late_ns is not None else ""
            said = f"{ids[0]} is a cause of {ids[1]} and happened after it{late}"
        case Fault.MISSING:
            said = f"{ids[0]} names the cause {safe(finding.names or '')}, which is nowhere"
        case Fault.ORPHAN:
            said = f"{ids[0]} is in {safe(finding.names or '')}, which is nowhere, and has no recorded cause"
    return f"{screen.paint(f'{finding.fault:<8}', 'error')} {said}"


def finding_json(finding: Finding) -> dict[str, Any]:
    """One finding as a JSON object."""
    found = {"fault": finding.fault.value, "events": finding.events, "names": finding.names, "late_ns": finding.late_ns}
    return {key: value for key, value in found.items() if value is not None}
