"""What became of each run: counts, its state, and what was still open when it ended.

The law: pure, over events given one by one in any order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from whence.cli.lines import is_error
from whence.event import names
from whence.event.flat import format_time
from whence.event.ids import span_id_of
from whence.event.model import Event

State = Literal["running", "finished", "crashed", "unknown"]


@dataclass(slots=True)
class RunHistory:
    """One run as far as its events tell. Times in nanoseconds since the epoch."""

    id: str | None
    name: str | None = None
    start: int = 0
    last: int = 0
    events: int = 0
    errors: int = 0
    status: str | None = None
    """What the run said of itself when it finished: `ok`, `failed`."""
    _started: dict[str, int] = field(default_factory=dict)
    _finished: dict[str, int] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        """Take in one event of this run."""
        self.start = min(self.start or event.time, event.time)
        self.last = max(self.last, event.time)
        self.events += 1
        self.errors += is_error(event)
        if event.type == names.TYPE_RUN_STARTED:
            process = _process(event)
            self._started[process] = max(self._started.get(process, 0), event.time)
            self.name = str(event.payload.get("name") or "") or self.name
        elif event.type == names.TYPE_RUN_FINISHED:
            process = _process(event)
            self._finished[process] = max(self._finished.get(process, 0), event.time)
            self.status = event.status or self.status
        if self.name is None and names.SERVICE_NAME in event.resource:
            self.name = str(event.resource[names.SERVICE_NAME])

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

_BEGIN: Final = frozenset({"started", "start", "begin", "before", "called", "paused"})
_END: Final = frozenset(
    {
        "completed", "failed", "finished", "canceled", "cancelled", "stopped", "stop", "end", "ended", "aborted", "after",
        "responded", "approved", "auto_approved", "rejected",
    }
)  # fmt: skip
_ENDS_ANOTHER: Final = {"processing.extraction": "processing.document"}
"""What ends under another name than it began."""


def still_open(events: Iterable[Event]) -> list[Event]:
    """The events that began something of which no event says that it ended; `events` in the order they happened.

    What began and what ended are the same thing where the type before its last word (`task` of `task.started`, `turn` of
    `turn_start`), the agent, task and stage, and what the payload calls it (`job` of `job.started`) agree, as far as both
    give them; for turns, the turn as well.
    """
    open_now: dict[str, list[Event]] = {}
    for event in events:
        if event.type in (names.TYPE_RUN_STARTED, names.TYPE_RUN_FINISHED):
            continue
        subject, _, verb = event.type.rpartition("." if "." in event.type else "_")
        if verb in _BEGIN:
            open_now.setdefault(subject, []).append(event)
        elif verb in _END:
            subject = _ENDS_ANOTHER.get(subject, subject)
            begun = open_now.get(subject, [])
            for place in range(len(begun) - 1, -1, -1):
                if _same(begun[place], event, subject):
                    del begun[place]
                    break
    left = [event for begun in open_now.values() for event in begun]
    return sorted(left, key=lambda event: (event.time, event.id))


def _same(begun: Event, ended: Event, subject: str) -> bool:
    pairs: list[tuple[Any, Any]] = [(begun.agent, ended.agent), (begun.task, ended.task), (begun.stage, ended.stage)]
    words = subject.split(".")
    pairs += [(begun.payload.get(word), ended.payload.get(word)) for word in words]
    if words[-1] == "turn":
        pairs.append((begun.turn, ended.turn))
    return all(one == other or one is None or other is None for one, other in pairs)


def unended_spans(events: Iterable[Event]) -> Iterator[tuple[str, int]]:
    """The spans that events name as theirs and that never arrived, with how many events did.

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
    return ((span, count) for span, count in named.items() if span not in there)
