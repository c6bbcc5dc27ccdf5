"""The event as readers see it: one frozen, flat record, whatever OpenTelemetry signal it came from.

The law: data only. Field names here are the names in JSON, in SQL and in the filter language; `event/flat.py` is their
JSON form and `otlp/decode.py` makes them from OTLP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from whence.event.kinds import Severity

Signal = Literal["log", "span", "span_event"]
Value = Any
"""A plain value: None, bool, int, float, str, bytes, or a list or str-keyed dict of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. Absent facts are None or empty; nothing is made up."""

    id: str
    """`log.record.uid` of a log record; `span:<trace>-<span>` of a span, `...#n` of its n-th span event;
    `log:<digest>` of a log record without an id of its own."""
    type: str
    """A log record's EventName, a span's name; of a plain log line, the empty string."""
    time: int
    """Nanoseconds since the Unix epoch; a span's start."""
    signal: Signal = "log"
    observed_time: int | None = None
    kind: str | None = None
    source: str | None = None
    run: str | None = None
    seq: int | None = None
    """Monotonic within a run and process: the order in which that process emitted."""
    elapsed_ns: int | None = None
    """Nanoseconds on the monotonic clock since the run began."""
    severity: Severity | None = None
    agent: str | None = None
    turn: int | None = None
    task: str | None = None
    stage: str | None = None
    status: str | None = None
    correlation: str | None = None
    description: str | None = None
    caused_by: tuple[str, ...] = ()
    """Recorded causes only: what the program itself said, by `caused_by` or by a span link; event ids, `span:` included."""
    payload: Mapping[str, Value] = field(default_factory=dict)
    attributes: Mapping[str, Value] = field(default_factory=dict)
    """The attributes that are not one of the fields above."""
    resource: Mapping[str, Value] = field(default_factory=dict)
    scope: Mapping[str, Value] = field(default_factory=dict)
    """The instrumentation scope: `name`, and `version` and `attributes` where given."""
    schema: str | None = None
    trace_id: str | None = None
    """32 lower-case hex digits, or None."""
    span_id: str | None = None
    """16 lower-case hex digits: of the span itself, or of the span in which a log event happened."""
    parent_span_id: str | None = None
    duration_ns: int | None = None
    dropped: int = 0
    """How many attributes, span events and links the SDK dropped from this record for its limits: loss, shown as such."""
