"""How each job stands, with its stages and gates, from its events: a reducer.

The law: pure, over events of the vocabulary `job` given one by one, by time and id. Nothing is known that no event said.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from whence.event.flat import format_time
from whence.event.model import Event
from whence.filter.tree import Both, Exists, Filter, Path, StartsWith

PREFIX: Final = "job."
JOB: Final = Path("payload", ("job",))
JOB_EVENTS: Final[Filter] = Both((StartsWith(Path("type"), PREFIX), Exists(JOB)))
"""The events that tell of jobs."""
_SAYS: Final = {
    "created": "created",
    "started": "running",
    "resumed": "running",
    "completed": "completed",
    "failed": "failed",
    "canceled": "canceled",
}
"""What the last word of a type says of a job or stage whose event gives no status."""
_ENDS: Final = frozenset({"completed", "failed", "canceled"})
_WAITING: Final = "paused"
_GATE: Final = {"paused": _WAITING, "approved": "approved", "rejected": "rejected", "auto_approved": "auto_approved"}


@dataclass(slots=True)
class Part:
    """A stage or gate, as it stands. Times in nanoseconds since the epoch."""

    name: str
    status: str = "unknown"
    time: int = 0
    event: str = ""
    started: int | None = None
    ended: int | None = None
    by: str | None = None
    """Who, or which rule, decided about a gate."""
    duration_ms: float | None = None
    error: str | None = None
    message: str | None = None


@dataclass(slots=True)
class Job:
    """A job, as its events leave it."""

    id: str
    said: str = "unknown"
    """The status that an event of the job itself gave last."""
    event: str = ""
    """The id of the event that the status comes from."""
    run: str | None = None
    created: int | None = None
    started: int | None = None
    ended: int | None = None
    updated: int = 0
    events: int = 0
    heartbeat: int | None = None
    progress: float | None = None
    message: str | None = None
    error: str | None = None
    stages: dict[str, Part] = field(default_factory=dict)
    gates: dict[str, Part] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """How it stands: `paused` while it waits at a gate, else what it said last."""
        waits = self.ended is None and any(gate.status == _WAITING for gate in self.gates.values())
        return _WAITING if waits else self.said


def jobs_of(events: Iterable[Event]) -> dict[str, Job]:
    """Every job that these events tell of, by id."""
    found: dict[str, Job] = {}
    for event in events:
        id = job_of(event)
        if id is not None:
            job = found.get(id)
            if job is None:
                job = found[id] = Job(id)
            take(job, event)
    return found


def job_of(event: Event) -> str | None:
    """The job that an event tells of; None of an event of another vocabulary."""
    id = event.payload.get("job") if event.type.startswith(PREFIX) else None
    return None if id is None else str(id)


def take(job: Job, event: Event) -> None:
    """Take in one event of this job."""
    job.events += 1
    job.updated = max(job.updated, event.time)
    job.run = event.run or job.run
    about, _, word = event.type.removeprefix(PREFIX).rpartition(".")
    message = _text(event.payload.get("message"))
    if about == "stage" and event.stage is not None:
        _stage(job.stages.setdefault(event.stage, Part(event.stage)), word, event, message)
    elif about == "gate" and event.payload.get("gate") is not None:
        gate = str(event.payload["gate"])
        _gate(job.gates.setdefault(gate, Part(gate)), word, event, message)
    elif word == "heartbeat":
        job.heartbeat = event.time
        progress = event.payload.get("progress")
        if isinstance(progress, (int, float)):
            job.progress = float(progress)
    elif not about and word in _SAYS:
        _itself(job, word, event)
    job.message = message or job.message


def _itself(job: Job, word: str, event: Event) -> None:
    job.said, job.event = event.status or _SAYS[word], event.id
    if word == "created":
        job.created = event.time
    elif word == "started":
        job.started = event.time
    job.ended = event.time if word in _ENDS else None
    job.error = _text(event.payload.get("error")) if word == "failed" else None


def _stage(stage: Part, word: str, event: Event, message: str | None) -> None:
    _said(stage, event.status or _SAYS.get(word), event, message)
    if word == "started":
        stage.started, stage.ended, stage.duration_ms, stage.error = event.time, None, None, None
    elif word in _ENDS:
        stage.ended = event.time
        took = event.payload.get("duration_ms")
        stage.duration_ms = float(took) if isinstance(took, (int, float)) else None
        stage.error = _text(event.payload.get("error"))


def _gate(gate: Part, word: str, event: Event, message: str | None) -> None:
    _said(gate, event.status or _GATE.get(word), event, message)
    decided = (event.payload.get(name) for name in ("approved_by", "rejected_by", "rule"))
    gate.by = next((_text(one) for one in decided if one is not None), None)


def _said(part: Part, status: str | None, event: Event, message: str | None) -> None:
    part.status, part.time, part.event = status or part.status, event.time, event.id
    part.message = message or part.message


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


# --- in JSON ----------------------------------------------------------------------------------------------------------------


def job_json(job: Job) -> dict[str, Any]:
    """A job in JSON; what is not known is left out."""
    return _known(
        {
            "job": job.id,
            "status": job.status,
            "run": job.run,
            "created": _time(job.created),
            "started": _time(job.started),
            "ended": _time(job.ended),
            "updated": _time(job.updated),
            "event": job.event or None,
            "events": job.events,
            "heartbeat": _time(job.heartbeat),
            "progress": job.progress,
            "message": job.message,
            "error": job.error,
            "stages": [_part(stage, "stage") for stage in job.stages.values()],
            "gates": [_part(gate, "gate") for gate in job.gates.values()],
        }
    )


def _part(part: Part, what: str) -> dict[str, Any]:
    return _known(
        {
            what: part.name,
            "status": part.status,
            "time": _time(part.time),
            "event": part.event,
            "started": _time(part.started),
            "ended": _time(part.ended),
            "duration_ms": part.duration_ms,
            "by": part.by,
            "error": part.error,
            "message": part.message,
        }
    )


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _time(ns: int | None) -> str | None:
    return None if ns is None else format_time(ns)
