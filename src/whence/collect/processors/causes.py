"""Which of the traces that are held led to an error, wherever it happened: by parents, span links and `caused_by`.

The law: pure and bounded. What an error's causes name and is not here yet is remembered, and found when it comes.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from whence.event.ids import span_id_of
from whence.event.kinds import Severity
from whence.event.model import Event

Blame = Callable[[str], bool]
"""Whether something in the trace of this id led to an error that is known by now."""

_WANTED: Final = 100_000


class Fact(NamedTuple):
    """What matters of an event here."""

    id: str
    trace: str
    causes: tuple[str, ...]
    """What it names, and its parent or the span that it happened in."""
    error: bool


def fact_of(event: Event, trace: str) -> Fact:
    """The fact of an event in a trace."""
    parent = event.parent_span_id if event.signal == "span" else event.span_id
    around = (span_id_of(event.trace_id, parent),) if event.trace_id and parent else ()
    bad = event.severity is not None and event.severity >= Severity.ERROR
    return Fact(event.id, trace, (*event.caused_by, *around), bad or event.status == "error")


class Causes:
    """The graph of what is held."""

    def __init__(self) -> None:
        self._facts: dict[str, Fact] = {}
        self._errors: set[str] = set()
        self._by_trace: dict[str, list[str]] = {}
        self._wanted: OrderedDict[str, None] = OrderedDict()

    def add(self, facts: Iterable[Fact]) -> None:
        """These came in."""
        for fact in facts:
            self._facts[fact.id] = fact
            if fact.error:
                self._errors.add(fact.id)
            self._by_trace.setdefault(fact.trace, []).append(fact.id)

    def forget(self, traces: Iterable[str]) -> None:
        """These traces are decided."""
        for trace in traces:
            for event in self._by_trace.pop(trace, ()):
                self._facts.pop(event, None)
                self._errors.discard(event)

    def blame(self) -> Blame:
        """The traces to be kept as things stand: those on the way from an error up to its roots."""
        waiting = [*self._errors, *(event for event in self._wanted if event in self._facts)]
        seen: set[str] = set()
        guilty: set[str] = set()
        while waiting:
            event = waiting.pop()
            if event in seen:
                continue
            seen.add(event)
            fact = self._facts.get(event)
            if fact is None:
                self._want(event)
                continue
            guilty.add(fact.trace)
            waiting.extend(fact.causes)
        return guilty.__contains__

    def _want(self, event: str) -> None:
        self._wanted[event] = None
        self._wanted.move_to_end(event)
        if len(self._wanted) > _WANTED:
            self._wanted.popitem(last=False)
