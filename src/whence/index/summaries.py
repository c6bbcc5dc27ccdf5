"""Statistics, correlations and runs asked of an archive's columns, with a limit of time.

The law: the same as the pure folds of `statistics.py`, `correlations.py` and `histories.py` over every event; only read here.
"""

from collections.abc import Callable, Collection
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import duckdb
import numpy as np
import orjson

from whence.event import names
from whence.filter.tree import Among, Both, Bucket, Everything, Filter, Path
from whence.index.asked import Asked
from whence.index.correlations import Correlation, Correlations
from whence.index.engine import Clock
from whence.index.failures import FAILED
from whence.index.histories import TOLD, RunHistory
from whence.index.statistics import (
    HOUR,
    SHARES,
    Durations,
    Statistic,
    Statistics,
    Value,
    in_order,
    key_of,
    name_of,
)
from whence.index.store import quoted

if TYPE_CHECKING:
    from whence.index.engine import Engine
    from whence.index.scan import Blocks

_SLICES: Final = 16
"""With a limit of time, events are counted so many parts of the time at once, so that there is a part to give."""
_EXTENT: Final = f"count(*), count(*) FILTER (WHERE {FAILED}), min(time), max(time)"
EVERYTHING: Final[Filter] = Everything()
_FEW_RUNS: Final = 100
_FEW_BLOCKS: Final = 256
"""Blocks that are read by themselves; of more it is quicker to read all columns at once."""
StartOf = Callable[[str | None], int]
"""When a run began, in nanoseconds since the epoch."""


class Reach(NamedTuple):
    """How far events reach: the runs they are of, at most two of them, and the least and greatest time elapsed, in ns."""

    runs: list[str | None]
    least: int = 0
    most: int = 0


def statistics(
    engine: "Engine", tree: Filter, *, by: str = "type", hourly: bool = False, timeout: float | None = None
) -> Statistics:
    """The events that match, counted. After `timeout` seconds: those up to some moment, perhaps without their durations.

    Raises FilterError.
    """
    key = key_of(by)
    value = f"(time - time % {key.ns})" if isinstance(key, Bucket) else f'"{key.field}"'
    hours = f"histogram(time // {HOUR} % 24)" if hourly else "NULL"
    clock = Clock(timeout)
    clock.start()
    asked = Asked(engine, tree, clock)
    found: dict[Value, Statistic] = {}
    try:
        for part in _slices(asked) if timeout is not None else ["TRUE"]:
            rows = asked.rows(f"SELECT {value}, {_EXTENT}, {hours} FROM _all WHERE ({{where}}) AND {part} GROUP BY ALL")
            for one in map(_statistic, rows):
                found[one.value] = _together(found[one.value], one) if one.value in found else one
        text = (
            f"SELECT {value} AS value, min(duration_ns), quantile_cont(duration_ns, {list(SHARES)}), max(duration_ns)"
            " FROM _all WHERE ({where}) AND duration_ns IS NOT NULL GROUP BY value"
        )
        for of, least, between, most in asked.rows(text):
            p50, p95, p99 = map(round, between)
            if of in found:  # events came since they were counted
                found[of] = _with(found[of], Durations(least, p50, p95, p99, most))
    except duckdb.InterruptException:
        pass
    finally:
        clock.stop()
    return Statistics(name_of(by), in_order(found.values(), key), clock.over)


def correlations(
    engine: "Engine", tree: Filter, *, limit: int | None = None, timeout: float | None = None
) -> Correlations:
    """The correlation ids of the events that match; of many the first `limit` (at least 1). Raises FilterError.

    After `timeout` seconds there are none.
    """
    clock = Clock(timeout)
    clock.start()
    text = (
        f"SELECT correlation, {_EXTENT}, arg_min(type, (time, id)), arg_max(type, (time, id)), count(*) OVER ()"
        " FROM _all WHERE ({where}) AND correlation IS NOT NULL GROUP BY correlation"
        " ORDER BY max(time) DESC, correlation" + (f" LIMIT {limit}" if limit is not None else "")
    )
    try:
        rows = Asked(engine, tree, clock).rows(text)
    except duckdb.InterruptException:
        return Correlations([], 0, partial=True)
    finally:
        clock.stop()
    return Correlations([Correlation(*row[:-1]) for row in rows], rows[0][-1] if rows else 0)


def histories(engine: "Engine", tree: Filter = EVERYTHING) -> dict[str | None, RunHistory]:
    """The history of every run of which an event matches, by run: the events that match counted, the state that of the run."""
    found: dict[str | None, RunHistory] = {}
    for counted in _counted(engine, tree):
        for run, *extent in counted:
            if run not in found:
                found[run] = RunHistory(run)
            found[run].count(*extent)
    some = [run for run in found if run is not None]
    told: Filter = Among(Path("type"), TOLD)
    if len(some) == len(found) <= _FEW_RUNS:
        told = Both((told, Among(Path("run"), tuple(some))))
    for event in engine.events(engine.where(told)):
        if event.run in found:
            found[event.run].tell(event)
    unnamed = {run for run, history in found.items() if history.name is None}
    for resources in _resources(engine, unnamed) if unnamed else ():
        for run, resource in resources:
            if run in unnamed and resource is not None:
                said = orjson.loads(resource)
                if names.SERVICE_NAME in said:
                    found[run].services.add(str(said[names.SERVICE_NAME]))
    return found


_Rows = list[tuple[Any, ...]]


class _Select(NamedTuple):
    """A SELECT of `{part}` and more from `{rows}`, and the columns it takes."""

    text: str
    columns: tuple[str, ...]


def _counted(engine: "Engine", tree: Filter) -> list[_Rows]:
    """Of each segment the runs of events that match: how many, how many failed, from when to when."""
    text = f"SELECT {{part}}, run, {_EXTENT} FROM {{rows}} GROUP BY ALL"
    where, blocks = engine.where(tree), engine.blocks()
    what = object() if where.marks else ("runs", tree)  # causes may come with any other segment
    gather = partial(_by_part, engine, blocks, tree, _Select(text, ("run", "time", "severity")))
    return engine.gathered.of(blocks, blocks.left_by(where.need), what, gather)


def _resources(engine: "Engine", runs: Collection[str | None]) -> list[_Rows]:
    """Of each segment that may hold events of some runs, its runs and their resources."""
    text = "SELECT DISTINCT {part}, run, resource FROM {rows}"
    some = tuple(run for run in runs if run is not None)
    few: Filter = Among(Path("run"), some) if len(some) == len(runs) <= _FEW_RUNS else EVERYTHING
    blocks = engine.blocks()
    gather = partial(_by_part, engine, blocks, few, _Select(text, ("run", "resource")))
    return engine.gathered.of(blocks, blocks.left_by(engine.where(few).need), ("resources", few), gather)


def _by_part(engine: "Engine", blocks: "Blocks", tree: Filter, select: _Select, chosen: Any) -> dict[int, _Rows]:
    """The rows of a SELECT over the events that match in whole segments, by the segment's number, which comes first."""
    found: dict[int, _Rows] = {}
    if len(chosen) <= _FEW_BLOCKS:
        session = engine.session_over(blocks, engine.where(tree), chosen, select.columns)
        for part, *row in session.execute(select.text.format(part="_part", rows="_chosen")).fetchall():
            found.setdefault(part, []).append(tuple(row))
        return found
    numbers = {blocks.parts[part].segment.stem: part for part in np.unique(blocks.part[chosen]).tolist()}
    stems = ", ".join(map(quoted, numbers))
    asked = select.text.format(part="_stem", rows=f"_all WHERE ({{where}}) AND _stem IN ({stems})")
    for stem, *row in Asked(engine, tree, Clock(None)).rows(asked):
        found.setdefault(numbers[stem], []).append(tuple(row))
    return found


def unended_spans(engine: "Engine", run: str | None) -> list[tuple[str, int]]:
    """The spans that events of a run name as theirs and that never arrived, with how many events did; by the alphabet."""
    text = (
        "SELECT 'span:' || trace_id || '-' || span_id AS span, count(*) FROM _all"
        " WHERE run IS NOT DISTINCT FROM $1 AND signal <> 'span' AND trace_id <> '' AND span_id <> '' GROUP BY span"
        " HAVING span NOT IN (SELECT id FROM _all WHERE run IS NOT DISTINCT FROM $1 AND signal = 'span') ORDER BY span"
    )
    return [(span, count) for span, count in Asked(engine, Everything(), Clock(None)).rows(text, [run])]


def ids_of(engine: "Engine", tree: Filter) -> frozenset[str]:
    """The ids of the events that match. Raises FilterError."""
    return frozenset(id for (id,) in Asked(engine, tree, Clock(None)).rows("SELECT id FROM _all WHERE {where}"))


def reach_of(engine: "Engine", tree: Filter, start_of: StartOf, *, timeout: float | None = None) -> Reach | None:
    """How far the events that match reach; None where that took longer than `timeout` seconds. Raises FilterError."""
    clock = Clock(timeout)
    clock.start()
    try:
        asked = Asked(engine, tree, clock)
        runs = [run for (run,) in asked.rows("SELECT DISTINCT run FROM _all WHERE {where} LIMIT 2")]
        if len(runs) != 1:
            return Reach(runs)
        elapsed = f"coalesce(elapsed_ns, time - {start_of(runs[0])})"
        ((least, most),) = asked.rows(f"SELECT min({elapsed}), max({elapsed}) FROM _all WHERE {{where}}")
        return Reach(runs, least or 0, most or 0)
    except duckdb.InterruptException:
        return None
    finally:
        clock.stop()


def _slices(asked: Asked) -> list[str]:
    """Conditions that cut the time into parts."""
    ((low, high),) = asked.rows("SELECT min(time), max(time) FROM _all")
    if low is None or low == high:
        return ["TRUE"]
    edges = [low + (high - low) * n // _SLICES for n in range(1, _SLICES)]
    between = [f"time >= {start} AND time < {end}" for start, end in pairwise(edges)]
    return [f"time < {edges[0]}", *between, f"time >= {edges[-1]}"]


def _statistic(row: tuple[Any, ...]) -> Statistic:
    value, count, errors, first, last, hours = row
    by_hour = tuple(hours.get(hour, 0) for hour in range(24)) if hours is not None else ()
    return Statistic(value, count, errors, first, last, None, by_hour)


def _together(one: Statistic, other: Statistic) -> Statistic:
    """Both, before their durations are known."""
    hours = tuple(a + b for a, b in zip(one.hours, other.hours, strict=True))
    first, last = min(one.first, other.first), max(one.last, other.last)
    return Statistic(one.value, one.count + other.count, one.errors + other.errors, first, last, None, hours)


def _with(one: Statistic, durations: Durations) -> Statistic:
    return Statistic(one.value, one.count, one.errors, one.first, one.last, durations, one.hours)
