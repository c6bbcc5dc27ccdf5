"""`whence stats`: events counted by type, or by whatever else they have in common."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import typer

from whence.cli.columns import in_columns
from whence.cli.lines import clock_text, duration_text
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption, TimeoutOption, parse_timeout
from whence.cli.output import screen, write, write_json
from whence.cli.reading import close, open_reading
from whence.cli.screen import Screen
from whence.cli.select import selecting
from whence.cli.text import safe
from whence.filter.tree import Filter
from whence.index.statistics import BUCKETS, Statistic, Statistics, key_of

_SECOND: Final = len("2026-01-02 03:04:05")
_BARS: Final = "▁▂▃▄▅▆▇█"
_NEVER: Final = "·"


@selecting()
def stats(
    *,
    archive: ArchiveOption = ARCHIVE,
    wanted: Filter,
    by: Annotated[
        str, typer.Option(metavar="WHAT", help="A field such as agent, run, kind or source; or minute, hour, day.")
    ] = "type",
    hourly: Annotated[bool, typer.Option("--hourly", help="How many in each hour of the day, too.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="The first N only.")] = None,
    timeout: TimeoutOption = None,
    json: JsonOption = False,
) -> int:
    """Count events by type: how many, how often, how long, how many failed.

    The most frequent first. The share is of all events looked at, the rate over the time from the first of them to the
    last. Durations, of events that have one, are the least, the median, the 95th and 99th percentile, and the greatest.
    """
    key_of(by)
    reading = open_reading(archive, tree=wanted, timeout=parse_timeout(timeout))
    found = reading.statistics(wanted, by=by, hourly=hourly)
    if json:
        write_json(found.as_json()[:limit])
    else:
        write(stats_lines(found, found.of[:limit], screen(), hourly=hourly))
    return close(reading, archive)


def stats_lines(found: Statistics, shown: Sequence[Statistic], screen: Screen, *, hourly: bool) -> Iterator[str]:
    """A line for each value under a headline; columns of durations only where there are any."""
    timed = any(one.durations for one in shown)
    head = [found.by, "count", "share", "rate", "errors", *(("min", "p50", "p95", "p99", "max") if timed else ())]
    right = range(1, len(head))
    head += ["first (UTC)", "last (UTC)", *(["hours 0 to 23 (UTC)"] if hourly else [])]
    rows = (_cells(found, one, timed) for one in shown)
    return in_columns(head, rows, screen, right=right)


def _cells(found: Statistics, one: Statistic, timed: bool) -> list[str]:
    rate = found.rate(one)
    durations = [duration_text(ns) for ns in one.durations] if one.durations else [""] * 5
    return [
        _name(found, one),
        str(one.count),
        f"{found.share(one):.1%}",
        (f"{rate:.0f}/s" if rate >= 100 else f"{rate:.3g}/s") if rate is not None else "",
        str(one.errors or ""),
        *(durations if timed else ()),
        clock_text(one.first)[:_SECOND],
        clock_text(one.last)[:_SECOND],
        *([_bars(one.hours)] if one.hours else []),
    ]


def _name(found: Statistics, one: Statistic) -> str:
    if one.value is None or one.value == "":
        return "(none)"
    if found.by in BUCKETS and isinstance(one.value, int):
        return clock_text(one.value)[: _SECOND - 3]
    return safe(str(found.shown(one)))


def _bars(hours: Sequence[int]) -> str:
    """A bar for each hour, the busiest the highest; a dot where nothing happened."""
    most = max(hours)
    return "".join(_BARS[(count * len(_BARS) - 1) // most] if count else _NEVER for count in hours)
