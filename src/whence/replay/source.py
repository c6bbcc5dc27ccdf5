"""What is replayed: the events that a filter chooses, or those of a correlation with all that led to them and came of them.

The law: reading only; always by time and id, so that a place means the same after a restart.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from whence.causality.graph import Follow
from whence.event.model import Event
from whence.filter.selection import joined
from whence.filter.tree import Both, Compare, Either, Filter, Path
from whence.index.engine import Engine


class Place(NamedTuple):
    """Behind an event: in the order of time, then id."""

    time: int
    id: str = ""


class Source(Protocol):
    """What is replayed."""

    def behind(self, place: Place | None) -> Iterator[Event]:
        """The events behind a place, by time and id; None: all."""


class Matching:
    """The events that match a filter."""

    def __init__(self, engine: Engine, tree: Filter) -> None:
        """Raises FilterError."""
        self._engine, self._tree = engine, tree
        engine.where(tree)

    def behind(self, place: Place | None) -> Iterator[Event]:
        """As `Source`: as they stand in the archive when it is asked for."""
        tree = self._tree if place is None else joined([self._tree, _later(place)])
        return iter(self._engine.events(self._engine.where(tree)))


class Related:
    """The events that match, and whatever led to one of them or came of one by recorded causes. Their ids are held in memory."""

    def __init__(self, engine: Engine, tree: Filter, may_see: Callable[[Event], bool] = lambda event: True) -> None:
        """Raises FilterError."""
        self._engine, self._may_see = engine, may_see
        ids = [event.id for event in engine.events(engine.where(tree))]
        with engine.lock:
            self._ids = related(engine, ids)

    def behind(self, place: Place | None) -> Iterator[Event]:
        """As `Source`."""
        found = [event for event in self._engine.load(self._ids).values() if self._may_see(event)]
        found.sort(key=lambda event: (event.time, event.id))
        return (event for event in found if place is None or (event.time, event.id) > place)


def related(engine: Engine, ids: Iterable[str]) -> list[str]:
    """The ids, and those of all that led to them or came of them. With the engine's lock held."""
    graph, chosen = engine.graph(), list(ids)
    found = dict.fromkeys(chosen)
    for ways in (graph.causes, graph.effects):
        waiting, reached = list(chosen), set(chosen)
        while waiting:
            at = waiting.pop()
            ties = ways(at, Follow.RECORDED) if at in graph else []
            more = [tie.id for tie in ties if tie.id in graph and tie.id not in reached]
            reached.update(more)
            waiting += more
        found |= dict.fromkeys(reached)
    return list(found)


def _later(place: Place) -> Filter:
    after: Filter = Compare(Path("time"), ">", place.time)
    same = Both((Compare(Path("time"), "=", place.time), Compare(Path("id"), ">", place.id)))
    return Both((Compare(Path("time"), ">=", place.time), Either((after, same))))
