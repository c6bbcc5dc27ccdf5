"""An archive read line after line: the way that needs no index, and for small archives the quicker one."""

import time
from collections.abc import Callable, Iterator, Sequence
from heapq import nlargest, nsmallest
from typing import Final

from whence.archive.reader import Archive
from whence.archive.scan import Problem
from whence.archive.sieve import Sieve
from whence.cli.lines import Origins, Row, Tell, Times, Told
from whence.cli.past import Past, ScannedPast
from whence.errors import DataError
from whence.event.model import Event
from whence.filter.match import matcher
from whence.filter.tree import Compare, Everything, Filter, Path
from whence.index.correlations import Correlations, correlations_of
from whence.index.endings import Ending, ending_of
from whence.index.error_groups import ErrorGroups, group_errors
from whence.index.failures import is_error
from whence.index.histories import RunHistory, histories
from whence.index.statistics import Statistics, statistics_of
from whence.otlp.decode import Place, decode

_EVERYTHING: Final[Filter] = Everything()


class Scan:
    """Every line read for every question."""

    def __init__(self, archive: Archive, timeout: float | None = None) -> None:
        """`timeout`: in seconds from now, for all questions together."""
        self.archive = archive
        self.partial = False
        self._until = None if timeout is None else time.monotonic() + timeout
        self._past: ScannedPast | None = None

    def _events(self, tree: Filter = _EVERYTHING) -> Iterator[Event]:
        """Every event that may match, each once, until the time is over."""
        for event in self.archive.events(sieve=Sieve(tree)):
            if self._until is not None and time.monotonic() > self._until:
                self.partial = True
                return
            yield event

    def wanted(self, tree: Filter) -> Callable[[Event], bool]:
        """The filter as a test of one event."""
        fits = matcher(tree)
        return lambda event: fits(event) is True

    def _matching(self, tree: Filter) -> Iterator[Event]:
        return filter(matcher(tree), self._events(tree))

    def told(self, tree: Filter, tell: Tell, *, limit: int | None = None, newest: bool = False) -> Told:
        """The events that match, told: of many only those wanted are ever kept, and of them only what is told."""
        rows = map(tell, self._matching(tree))
        if limit is None:
            found = sorted(rows, key=_order)
        else:
            found = nlargest(limit, rows, key=_order)[::-1] if newest else nsmallest(limit, rows, key=_order)
        return Told(found, lambda: Times.of(found, self._origins(found)))

    def _origins(self, rows: Sequence[Row]) -> Origins:
        """When the runs of these rows began, where that must be known to tell their times."""
        origins, runs = Origins(), {row.run for row in rows}
        if len(runs) == 1 and any(row.elapsed is None for row in rows):
            (run,) = runs
            for event in self._events(_EVERYTHING if run is None else Compare(Path("run"), "=", run)):
                origins.note(event)
        return origins

    def count(self, tree: Filter) -> int:
        """How many events match."""
        return sum(1 for _ in self._matching(tree))

    def errors(self, tree: Filter, limit: int) -> ErrorGroups:
        """The errors that match, like ones together. The past is taken in on the way, since it will be asked for."""
        wanted, past = matcher(tree), ScannedPast(self.archive)

        def errors() -> Iterator[Event]:
            for event, place in self._placed():
                if event.id not in past.graph:
                    past.note(event, place)
                    if is_error(event) and wanted(event):
                        yield event

        groups = group_errors(errors(), limit=limit)
        self._past = past
        return groups

    def past(self) -> Past:
        """The causes of everything."""
        if self._past is None:
            self._past = ScannedPast(self.archive)
            for event, place in self._placed():
                self._past.note(event, place)
        return self._past

    def histories(self) -> dict[str | None, RunHistory]:
        """Every run's history, by run."""
        return histories(self._events())

    def ending(self, run: str | None, limit: int) -> Ending:
        """How a run ended."""
        return ending_of((event for event in self._events() if event.run == run), limit)

    def statistics(self, tree: Filter, *, by: str, hourly: bool) -> Statistics:
        """The events that match, counted."""
        return statistics_of(self._matching(tree), by=by, hourly=hourly)

    def correlations(self, tree: Filter, *, limit: int | None) -> Correlations:
        """The correlation ids of the events that match."""
        return correlations_of(self._matching(tree), limit=limit)

    def close(self) -> None:
        """Nothing is held."""

    def _placed(self) -> Iterator[tuple[Event, Place]]:
        """Every event with its place; one that stands in several places is given with each."""
        for line in self.archive.lines():
            try:
                found = decode(line.data, line.place)
            except DataError as fault:
                self._skip(line.place, len(line.data), str(fault))
                continue
            for sentence in found.bad:
                self._skip(line.place, len(line.data), sentence)
            for event in found.events:
                yield event, line.place

    def _skip(self, place: Place, length: int, cause: str) -> None:
        problem = Problem(place.stem, place.offset, length, "bad line", cause)
        if problem not in self.archive.problems:
            self.archive.problems.append(problem)


def _order(row: Row) -> tuple[int, str]:
    return row.time, row.id
