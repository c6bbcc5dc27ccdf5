"""What answers look like, for OpenAPI: the models that the documentation is made of. Answers themselves are written as bytes.

The law: data only; a test holds these and the answers together.
"""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

EXAMPLE: Final[dict[str, Any]] = {
    "id": "01KDVXYQ3H0000000000000002",
    "type": "task.failed",
    "kind": "milestone",
    "time": "2026-01-01T00:00:02.000000000Z",
    "run": "run-1",
    "severity": "ERROR",
    "agent": "a7",
    "turn": 5,
    "description": "the task failed: timeout",
    "caused_by": ["01KDVXYQ3H0000000000000001"],
    "payload": {"error": "timeout"},
    "signal": "log",
}


class EventModel(BaseModel):
    """One event; what it does not have is left out."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]}, title="Event")

    id: str
    type: str = Field(description="its name; of a span the span's; empty for a plain log line")
    kind: str = Field("", description="milestone, decision, action, state, detail, system")
    source: str = ""
    time: str = Field(description="RFC 3339 in UTC, nanoseconds")
    observed_time: str = ""
    run: str = ""
    seq: int = 0
    elapsed_ns: int = 0
    severity: str = ""
    agent: str = ""
    turn: int = 0
    task: str = ""
    stage: str = ""
    status: str = ""
    correlation: str = ""
    description: str = ""
    caused_by: list[str] = Field([], description="recorded causes: ids of events, or `span:<trace>-<span>`")
    payload: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    resource: dict[str, Any] = {}
    scope: dict[str, Any] = {}
    schema_: str = Field("", alias="schema")
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    duration_ns: int = 0
    dropped: int = 0
    signal: str = Field(description="log, span, span_event")


class EventsPage(BaseModel):
    """Some of the events that match, by time and id."""

    model_config = ConfigDict(extra="forbid", title="Events")

    events: list[EventModel]
    total: int = Field(
        0, description="how many match in all; at least so many where `partial`; absent with `total=false`"
    )
    has_more: bool = Field(description="whether more match behind these")
    cursor: str = Field("", description="give it as `cursor` for those behind these; absent where there is no event")
    partial: bool = Field(description="the time was over: this is a part of the answer")


class TieModel(BaseModel):
    """A cause of an event."""

    model_config = ConfigDict(extra="forbid", title="Tie")

    id: str
    basis: str = Field(description="recorded, parent_span, enclosing_span, previous_of_agent")
    recorded: bool = Field(description="whether the program said so; otherwise it is inferred")


class HopModel(BaseModel):
    """One event of a chain."""

    model_config = ConfigDict(extra="forbid", title="Hop")

    id: str
    depth: int = Field(description="hops from the event that was asked about")
    causes: list[TieModel] = Field(description="its causes within the chain")
    missing: list[str] = Field(description="recorded causes that are nowhere in the archive")
    beyond: int = Field(description="how many more the bounds cut off")
    event: EventModel


class ChainModel(BaseModel):
    """Why an event happened, from the root causes on (upstream), or all it led to (downstream)."""

    model_config = ConfigDict(extra="forbid", title="Chain")

    id: str
    direction: str = Field(description="upstream or downstream")
    cut: bool = Field(description="whether bounds left anything out")
    cycles: list[list[str]] = Field(description="each a circle of ids, the last of which caused the first")
    hops: list[HopModel]


class CausalityModel(BaseModel):
    """An event's causes and its effects."""

    model_config = ConfigDict(extra="forbid", title="Causality")

    event: EventModel
    upstream: ChainModel | None = None
    downstream: ChainModel | None = None
    partial: bool = Field(description="the time was over: of a chain only the nearest events are there")


class RunModel(BaseModel):
    """A run."""

    model_config = ConfigDict(extra="forbid", title="Run")

    run: str = Field("", description="its id; absent for events of no run")
    name: str = ""
    start: str = Field(description="RFC 3339")
    last: str = Field(description="its last event so far")
    events: int
    errors: int
    state: str = Field(description="running, finished, crashed or unknown")
    status: str = Field("", description="what it said of itself when it finished")


class RunsModel(BaseModel):
    """The runs, the oldest first."""

    model_config = ConfigDict(extra="forbid", title="Runs")

    runs: list[RunModel]
    total: int
    has_more: bool


class GateModel(BaseModel):
    """A gate, as it stands."""

    model_config = ConfigDict(extra="forbid", title="Gate")

    gate: str
    status: str
    time: str = Field(description="when that was said")
    event: str = Field(description="the id of the event that said so")
    by: str = Field("", description="who, or which rule, decided")
    message: str = ""


class StageModel(BaseModel):
    """A stage, as it stands."""

    model_config = ConfigDict(extra="forbid", title="Stage")

    stage: str
    status: str
    time: str
    event: str
    started: str = ""
    ended: str = ""
    duration_ms: float = 0
    error: str = ""
    message: str = ""


class JobModel(BaseModel):
    """A job, as its events leave it."""

    model_config = ConfigDict(extra="forbid", title="Job")

    job: str
    status: str = Field(description="created, running, paused, completed, failed, canceled, or what its events say")
    run: str = ""
    created: str = ""
    started: str = ""
    ended: str = ""
    updated: str = Field(description="its last event")
    event: str = Field(description="the id of the event that its status comes from")
    events: int
    heartbeat: str = ""
    progress: float = 0
    message: str = ""
    error: str = ""
    stages: list[StageModel] = []
    gates: list[GateModel] = []


class JobsModel(BaseModel):
    """Jobs, the newest first."""

    model_config = ConfigDict(extra="forbid", title="Jobs")

    jobs: list[JobModel]
    total: int
    has_more: bool
    partial: bool


class TableModel(BaseModel):
    """What a query gives: the rows of a table, or events."""

    model_config = ConfigDict(extra="forbid", title="Table")

    columns: list[str] = Field([], description="the table's columns")
    rows: list[list[Any]] = Field([], description="its rows, in the order of the columns")
    events: list[EventModel] = Field([], description="where the query's pipes leave events what they are")
    has_more: bool
    partial: bool


def json_of(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """For a route's OpenAPI: what it answers when all is well."""
    return {200: {"model": model}}
