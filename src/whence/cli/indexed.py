"""An archive read out of its index, which knows most answers without decoding a line."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final

from whence.causality.graph import Graph
from whence.cli.lines import Origins, Row, Tell, Times, Told
from whence.cli.past import Past
from whence.event.model import Event
from whence.filter.match import matcher
from whence.filter.selection import joined
from whence.filter.tree import Compare, Exists, Filter, Matches, Negation
from whence.filter.tree import Path as FieldPath
from whence.index import summaries
from whence.index.correlations import Correlations
from whence.index.endings import Ending
from whence.index.engine import Engine, Found
from whence.index.error_groups import ErrorGroups
from whence.index.error_summary import error_groups
from whence.index.histories import BEGINNING, ENDING, RunHistory, still_open
from whence.index.statistics import Statistics

_HELD: Final = 10_000
"""Rows up to which they are held and looked at; how far more of them reach is asked beforehand."""
_BEGUN_OR_ENDED: Final = Matches(FieldPath("type"), f"({'|'.join(sorted(BEGINNING | ENDING))})$")


class IndexedPast:
    """The past out of the index."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        graph = engine.graph()
        self.graph: Graph = graph
        self.origins = Origins(graph.origins())

    def load(self, ids: Iterable[str]) -> dict[str, Event]:
        """The events of these ids, by id."""
        return self._engine.load(ids)


class Indexed:
    """Every question asked of the columns."""

    def __init__(self, directory: Path, timeout: float | None = None) -> None:
        """`timeout`: in seconds from now, for all questions together."""
        self.engine = Engine(directory)
        self.archive = self.engine.archive
        self.partial = False
        self._until = None if timeout is None else time.monotonic() + timeout

    def _left(self) -> float | None:
        """Seconds of the time that is left."""
        return None if self._until is None else max(self._until - time.monotonic(), 0.0)

    def _events(self, tree: Filter, *, limit: int | None = None, newest: bool = False) -> Iterator[Event]:
        found: Found = self.engine.events(self.engine.where(tree), limit=limit, newest=newest, timeout=self._left())
        yield from found
        self.partial = self.partial or found.partial

    def told(self, tree: Filter, tell: Tell, *, limit: int | None = None, newest: bool = False) -> Told:
        """The events that match, told as they come; so many as were asked for are held."""
        rows: Iterator[Row] = map(tell, self._events(tree, limit=limit, newest=newest))
        origins = Origins(self.engine.graph().origins())
        if limit is not None:
            found = list(rows)
            return Told.of(found[::-1] if newest else found, origins)
        held = list(islice(rows, _HELD))
        if len(held) < _HELD:
            return Told.of(held, origins)
        return Told(chain(held, rows), lambda: self._times(tree, origins))

    def _times(self, tree: Filter, origins: Origins) -> Times:
        """How the times of everything that matches are told; by the clock where there is no time to find out."""
        reach = summaries.reach_of(self.engine, tree, lambda run: origins.start(run) or 0, timeout=self._left())
        return Times(origins, (reach.least, reach.most)) if reach and len(reach.runs) == 1 else Times()

    def count(self, tree: Filter) -> int:
        """How many events match."""
        number, partial = self.engine.count(self.engine.where(tree), timeout=self._left())
        self.partial = self.partial or partial
        return number

    def errors(self, tree: Filter, limit: int) -> ErrorGroups:
        """The errors that match, like ones together."""
        return error_groups(self.engine, tree, limit=limit)

    def past(self) -> Past:
        """The causes of everything."""
        return IndexedPast(self.engine)

    def histories(self) -> dict[str | None, RunHistory]:
        """Every run's history, by run."""
        return summaries.histories(self.engine)

    def ending(self, run: str | None, limit: int) -> Ending:
        """How a run ended: only its last events are read, and those that began or ended something."""
        of_run: Filter = Compare(FieldPath("run"), "=", run) if run is not None else Negation(Exists(FieldPath("run")))
        last = list(self._events(of_run, limit=limit, newest=True))[::-1]
        opened = still_open(self._events(joined([of_run, _BEGUN_OR_ENDED])))
        start = Origins(self.engine.graph().origins()).start(run) or 0
        return Ending(start, last, opened, summaries.unended_spans(self.engine, run))

    def statistics(self, tree: Filter, *, by: str, hourly: bool) -> Statistics:
        """The events that match, counted."""
        found = summaries.statistics(self.engine, tree, by=by, hourly=hourly, timeout=self._left())
        self.partial = self.partial or found.partial
        return found

    def correlations(self, tree: Filter, *, limit: int | None) -> Correlations:
        """The correlation ids of the events that match."""
        found = summaries.correlations(self.engine, tree, limit=limit, timeout=self._left())
        self.partial = self.partial or found.partial
        return found

    def wanted(self, tree: Filter) -> Callable[[Event], bool]:
        """The filter as a test of one event, its causal conditions answered now."""
        fits = matcher(tree, lambda node: summaries.ids_of(self.engine, node))
        return lambda event: fits(event) is True

    def close(self) -> None:
        """Take over what the index knows to be skipped."""
        problems = self.archive.problems
        problems.extend(problem for problem in self.engine.problems() if problem not in problems)
