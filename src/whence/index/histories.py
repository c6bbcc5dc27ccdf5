"""What became of each run: counts, its state, and what was still open when it ended.

The law: pure, over events given one by one in any order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from whence.event import names
from whence.event.flat import format_time
from whence.event.ids import span_id_of
from whence.event.model import Event
from whence.index.failures import is_error

State = Literal["running", "finished", "crashed", "unknown"]
TOLD: Final = (names.TYPE_RUN_STARTED, names.TYPE_RUN_FINISHED)
"""The types of the events in which a run tells of itself."""
_Moment = tuple[int, str]
"""A time and an id, so that of two events one is always the earlier."""


@dataclass(slots=True)
class RunHistory:
    """One run as far as its events tell. Times in nanoseconds since the epoch."""

    id: str | None
    start: int = 0
    last: int = 0
    events: int = 0
    errors: int = 0
    status: str | None = None
    """What the run said of itself when it finished: `ok`, `failed`."""
    services: set[str] = field(default_factory=set)
    """The names of the services that recorded it."""
    _name: str | None = None
    _named: _Moment | None = None
    _ended: _Moment | None = None
    _started: dict[str, int] = field(default_factory=dict)
    _finished: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str | None:
        """What it was called when it started, else its service's name, of several the first in the alphabet."""
        return self._name or min(self.services, default=None)

    def note(self, event: Event) -> None:
        """Take in one event of this run."""
        self.count(1, int(is_error(event)), event.time, event.time)
        if names.SERVICE_NAME in event.resource:
            self.services.add(str(event.resource[names.SERVICE_NAME]))
        if event.type in TOLD:
            self.tell(event)

    def count(self, events: int, errors: int, start: int, last: int) -> None:
        """Take in so many events, between these times."""
        self.start = min(self.start, start) if self.events else start
        self.last = max(self.last, last)
        self.events += events
        self.errors += errors

    def tell(self, event: Event) -> None:
        """Take in what an event of `TOLD` says, its time and count apart."""
        process, at = _process(event), (event.time, event.id)
        if event.type == names.TYPE_RUN_STARTED:
            self._started[process] = max(self._started.get(process, 0), event.time)
            name = str(event.payload.get("name") or "")
            if name and (self._named is None or at < self._named):
                self._name, self._named = name, at
        else:
            self._finished[process] = max(self._finished.get(process, 0), event.time)
            if event.status and (self._ended is None or at > self._ended):
                self.status, self._ended = event.status, at

    def state(self, live: bool) -> State:
        """What the run is doing; `live`: whether any process is writing it now.

        A process that said it started and not that it finished is running while its file is held, and crashed otherwise.
        """
        if live:
            return "running"
        if any(self._finished.get(process, -1) < started for process, started in self._started.items()):
            return "crashed"
        return "finished" if self._finished else "unknown"


def _process(event: Event) -> str:
    """Which process of the run is meant: its pid, which differs where forked ones share the rest."""
    return str(event.payload.get("pid", event.resource.get(names.PROCESS_PID)))


def histories(events: Iterable[Event]) -> dict[str | None, RunHistory]:
    """Every run's history, by run."""
    found: dict[str | None, RunHistory] = {}
    for event in events:
        history = found.get(event.run)
        if history is None:
            history = found[event.run] = RunHistory(event.run)
        history.note(event)
    return found


def history_json(history: RunHistory, state: State) -> dict[str, Any]:
    """A run in JSON."""
    found = {
        "run": history.id,
        "name": history.name,
        "start": format_time(history.start),
        "last": format_time(history.last),
        "events": history.events,
        "errors": history.errors,
        "state": state,
        "status": history.status,
    }
    return {key: value for key, value in found.items() if value is not None}


# --- what was still open ----------------------------------------------------------------------------------------------

BEGINNING: Final = frozenset({"started", "start", "begin", "before", "called", "paused"})
"""The last words of types that say something began, and below of those that say something ended."""
ENDING: Final = frozenset(
    {
        "completed", "failed", "finished", "canceled", "cancelled", "stopped", "stop", "end", "ended", "aborted", "after",
        "responded", "approved", "auto_approved", "rejected",
    }
)  # fmt: skip
_ENDS_ANOTHER: Final = {"processing.extraction": "processing.document"}
"""What ends under another name than it began."""


def words_of(type: str) -> tuple[str, str]:
    """What a type is about, and its last word: `task` and `started` of `task.started`, `turn` and `start` of `turn_start`."""
    subject, _, verb = type.rpartition("." if "." in type else "_")
    return subject, verb


def still_open(events: Iterable[Event]) -> list[Event]:
    """The events that began something of which no event says that it ended; `events` in the order they happened.

    What began and what ended are the same thing where the type before its last word (`task` of `task.started`, `turn` of
    `turn_start`), the agent, task and stage, and what the payload calls it (`job` of `job.started`) agree, as far as both
    give them; for turns, the turn as well.
    """
    open_now: dict[str, _Begun] = {}
    for place, event in enumerate(events):
        if event.type in TOLD:
            continue
        subject, verb = words_of(event.type)
        if verb in BEGINNING:
            open_now.setdefault(subject, {}).setdefault((event.agent, event.task), []).append((place, event))
        elif verb in ENDING:
            subject = _ENDS_ANOTHER.get(subject, subject)
            _end(open_now.get(subject, {}), event, subject)
    left = [event for begun in open_now.values() for of_one in begun.values() for _, event in of_one]
    return sorted(left, key=lambda event: (event.time, event.id))


_Begun = dict[tuple[str | None, str | None], list[tuple[int, Event]]]
"""What began and is open, by agent and task, each with its place among the events."""


def _end(begun: _Begun, ended: Event, subject: str) -> None:
    """Take out the latest of what this event can have ended, if any."""
    latest: tuple[int, tuple[str | None, str | None], int] | None = None
    for key, of_one in begun.items():
        if not _agree(key[0], ended.agent) or not _agree(key[1], ended.task):
            continue
        for nth in range(len(of_one) - 1, -1, -1):
            place, event = of_one[nth]
            if latest is not None and place < latest[0]:
                break
            if _same(event, ended, subject):
                latest = (place, key, nth)
                break
    if latest is not None:
        _, key, nth = latest
        del begun[key][nth]
        if not begun[key]:
            del begun[key]


def _agree(one: Any, other: Any) -> bool:
    return one is None or other is None or bool(one == other)


def _same(begun: Event, ended: Event, subject: str) -> bool:
    words = subject.split(".")
    return (
        _agree(begun.stage, ended.stage)
        and (words[-1] != "turn" or _agree(begun.turn, ended.turn))
        and all(_agree(begun.payload.get(word), ended.payload.get(word)) for word in words)
    )


def unended_spans(events: Iterable[Event]) -> Iterator[tuple[str, int]]:
    """The spans that events name as theirs and that never arrived, with how many events did; by the alphabet.

    A span is handed over when it ends, so that one which was open at a crash is only known by what happened in it.
    """
    named: dict[str, int] = {}
    there: set[str] = set()
    for event in events:
        if event.signal == "span":
            there.add(event.id)
        elif event.trace_id and event.span_id:
            span = span_id_of(event.trace_id, event.span_id)
            named[span] = named.get(span, 0) + 1
    return ((span, count) for span, count in sorted(named.items()) if span not in there)
