"""Builders: OTLP records from simple arguments, and archives made of them, with no SDK involved."""

from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from whence.archive.writer import ArchiveWriter
from whence.event import names
from whence.event.kinds import Severity
from whence.otlp.page import Line
from whence.otlp.value import any_value

START = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z, when the builders' first event happens; each further one a millisecond later."""
TRACE = "0af7651916cd43dd8448eb211c80319c"

_numbers = count(1)


class Built(NamedTuple):
    """One OTLP record in an object of its own: `id` as readers see it, `signal`, the object, its time in ns, its run."""

    id: str
    signal: str
    data: dict[str, Any]
    time: int
    run: str

    @property
    def line(self) -> bytes:
        """The record as a line of an archive."""
        return orjson.dumps(self.data) + b"\n"


def attributes_of(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """OTLP's list of keys and values, without those that are None."""
    return [{"key": key, "value": any_value(value)} for key, value in values.items() if value is not None]


def an_event(
    type: str = "step",
    *caused_by: "Built | str",
    id: str | None = None,
    run: str = "run-1",
    time: int | None = None,
    description: str | None = None,
    severity: Severity = Severity.INFO,
    span: str | None = None,
    trace: str = TRACE,
    payload: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    resource: Mapping[str, Any] | None = None,
    uid: bool = True,
    **fields: Any,
) -> Built:
    """A log event. `caused_by`: other built records or ids. `fields`: kind, agent, turn, task, stage, status, seq, ...

    `uid=False` leaves out its id, as other writers' records have none.
    """
    number = next(_numbers)
    id = id or f"01KDV{number:021d}"
    time = START + number * 1_000_000 if time is None else time
    causes = [cause if isinstance(cause, str) else cause.id for cause in caused_by]
    record = {
        "timeUnixNano": str(time),
        "observedTimeUnixNano": str(time),
        "severityNumber": severity.value,
        "severityText": severity.name,
        "eventName": type,
        **({"body": {"stringValue": description}} if description is not None else {}),
        "attributes": attributes_of(
            {
                names.ID: id if uid else None,
                names.CAUSED_BY: causes or None,
                names.PAYLOAD: payload,
                **{f"whence.{name}": value for name, value in fields.items()},
                **(attributes or {}),
            }
        ),
        **({"traceId": trace, "spanId": span} if span else {}),
    }
    logs = {"resource": _resource(run, resource), "scopeLogs": [{"scope": {"name": "test"}, "logRecords": [record]}]}
    return Built(id, "logs", {"resourceLogs": [logs]}, time, run)


def a_span(
    name: str = "work",
    *,
    span: str,
    parent: str | None = None,
    trace: str = TRACE,
    run: str = "run-1",
    time: int | None = None,
    took: int = 1_000_000,
    attributes: Mapping[str, Any] | None = None,
    failed: str | None = None,
) -> Built:
    """A span, `took` ns long; `failed`: the message of its error status."""
    time = START + next(_numbers) * 1_000_000 if time is None else time
    record = {
        "traceId": trace,
        "spanId": span,
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(time),
        "endTimeUnixNano": str(time + took),
        "attributes": attributes_of(attributes or {}),
        **({"parentSpanId": parent} if parent else {}),
        **({"status": {"code": 2, "message": failed}} if failed is not None else {}),
    }
    spans = {"resource": _resource(run, None), "scopeSpans": [{"scope": {"name": "test"}, "spans": [record]}]}
    return Built(f"span:{trace}-{span}", "traces", {"resourceSpans": [spans]}, time, run)


def _resource(run: str, more: Mapping[str, Any] | None) -> dict[str, Any]:
    own = {names.SERVICE_NAME: "tests", names.SERVICE_INSTANCE: "one", names.RUN: run}
    return {"attributes": attributes_of({**own, **(more or {})})}


def an_archive(directory: Path, events: Iterable[Built]) -> Path:
    """An archive of these records in this order, closed and sealed, each record on a line of its own."""
    writer = ArchiveWriter(directory)
    append(writer, events)
    report = writer.close()
    assert not report.records_unwritten
    return directory


def a_bare_archive(directory: Path, events: Iterable[Built]) -> Path:
    """An archive as another writer leaves it: the records in one file, written in a moment, with no seal."""
    (directory / "other.jsonl").write_bytes(b"".join(event.line for event in events))
    return directory


def append(writer: ArchiveWriter, events: Iterable[Built]) -> None:
    """Write records through a writer that goes on."""
    for event in events:
        writer.append(event.run, event.signal, [Line(event.line, 1, event.time, event.time)])  # type: ignore[arg-type]


def a_run(*events: Built, run: str = "run-1", finished: bool = True, pid: int = 1) -> list[Built]:
    """The events between those that whence records when a run begins and, if it came to that, ends."""
    said = {"pid": pid, "name": "tests"}
    start = an_event(names.TYPE_RUN_STARTED, run=run, payload=said, kind="milestone", time=START, seq=1)
    end = an_event(names.TYPE_RUN_FINISHED, run=run, payload=said, kind="milestone", status="ok")
    return [start, *events, *([end] if finished else [])]
