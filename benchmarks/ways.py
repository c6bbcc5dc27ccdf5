"""The ways to record an event that are compared: whence's own, OpenTelemetry's, eliot's, and a plain JSON line.

Each records the same action: who, when in the story, what, with which details. Loops are written out, as in a program.
"""

import json
import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import eliot
from opentelemetry._logs import get_logger_provider
from opentelemetry.exporter.otlp.json.file._log_exporter import FileLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource

import whence
from benchmarks.samples import SERVICE, TYPE, Sample
from whence.event import names
from whence.event.vocabularies.simulation import Action, Detail
from whence.otlp import from_objects
from whence.record import shorthand as _loaded_once_for_all_cells  # noqa: F401
from whence.record import sink

Emit = Callable[[Iterable[Sample]], None]


class Way(NamedTuple):
    """`emit` records each sample; `settle` returns when nothing is under way; `close` ends it; `said` is what was lost."""

    emit: Emit
    settle: Callable[[], object]
    close: Callable[[], object]
    said: Callable[[], str] = lambda: ""


# --- whence -------------------------------------------------------------------------------------------------------------


def _typed(items: Iterable[Sample]) -> None:
    for agent, turn, what, details in items:
        whence.emit(Action(agent=agent, turn=turn, action_type=what, action_payload=details))


def _shorthand(items: Iterable[Sample]) -> None:
    for agent, turn, what, details in items:
        whence.action(what, details, agent=agent, turn=turn)


def _log(items: Iterable[Sample]) -> None:
    for agent, turn, what, details in items:
        whence.log(TYPE, details, agent=agent, turn=turn, status=what, source="market", description=what)


def _caused(items: Iterable[Sample]) -> None:
    cause = None
    for agent, turn, what, details in items:
        cause = whence.log(TYPE, details, agent=agent, turn=turn, status=what, description=what, caused_by=cause)


def _suppressed_emit(items: Iterable[Sample]) -> None:
    for item in items:
        whence.emit(Detail, lambda: {"calculation_type": "price", "intermediate_values": item.details})  # noqa: B023 - never called


def _suppressed_detail(items: Iterable[Sample]) -> None:
    for item in items:
        whence.detail("price", lambda: item.details)  # noqa: B023 - never called


def _suppressed_log(items: Iterable[Sample]) -> None:
    for item in items:
        whence.log("price", lambda: item.details, kind="detail")  # noqa: B023 - never called


def _otel(items: Iterable[Sample]) -> None:
    logger = get_logger_provider().get_logger("bench")
    for agent, turn, what, details in items:
        logger.emit(
            event_name=TYPE,
            body=what,
            attributes={
                "agent": agent,
                "turn": turn,
                "market": "north",
                "action_type": what,
                "action_payload": details,
            },
        )


def _whence(emit: Emit, durability: str = "interval", *, pure: bool = False) -> Callable[[Path], Way]:
    """`pure`: encoded in pure Python, whichever core is there; for the rest of this process."""

    def open_way(directory: Path) -> Way:
        if pure:
            sink.encode_logs = from_objects.encode_logs
        recorder = whence.configure(
            archive=directory, run="bench", service=SERVICE, durability=durability, logging=False, metrics=False
        )
        return Way(emit, recorder.flush, recorder.shutdown, lambda: _told(recorder.status.dropped))

    return open_way


def _told(dropped: Any) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in dropped.items())


# --- OpenTelemetry's SDK and exporters ------------------------------------------------------------------------------------


def _through(logger: Any, items: Iterable[Sample]) -> None:
    """The 8 attributes and the body that whence writes for the same action, built by the program."""
    for number, (agent, turn, what, details) in enumerate(items, 1):
        now = time.time_ns()
        logger.emit(
            timestamp=now,
            observed_timestamp=now,
            body=what,
            event_name=TYPE,
            attributes={
                names.KIND: "action",
                names.AGENT: agent,
                names.TURN: turn,
                names.SCHEMA: "action/1",
                names.PAYLOAD: {"action_type": what, "action_payload": details},
                names.ID: "01KDV000000000000000000000",
                names.SEQ: number,
                names.ELAPSED: now,
            },
        )


class _NoProcessor(LogRecordProcessor):
    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Nothing: what is left is the SDK's own work."""

    def shutdown(self) -> None:
        """Nothing to end."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class _NoExporter(LogRecordExporter):
    def export(self, batch: Any) -> LogRecordExportResult:
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to end."""

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        return True


def _sdk(processor: Callable[[Path], LogRecordProcessor]) -> Callable[[Path], Way]:
    def open_way(directory: Path) -> Way:
        provider = LoggerProvider(Resource.create({"service.name": SERVICE}), shutdown_on_exit=False)
        provider.add_log_record_processor(processor(directory))
        logger = provider.get_logger("bench")
        return Way(lambda items: _through(logger, items), provider.force_flush, provider.shutdown)

    return open_way


# --- others -------------------------------------------------------------------------------------------------------------


def _eliot(directory: Path) -> Way:
    file = (directory / "eliot.jsonl").open("ab")
    eliot.to_file(file)

    def emit(items: Iterable[Sample]) -> None:
        for agent, turn, what, details in items:
            eliot.log_message(TYPE, agent=agent, turn=turn, action_type=what, action_payload=details)

    return Way(emit, file.flush, file.close)


def _json(directory: Path, *, durable: bool = False) -> Way:
    file = (directory / "plain.jsonl").open("a")

    def emit(items: Iterable[Sample]) -> None:
        for agent, turn, what, details in items:
            line = {
                "time": time.time_ns(),
                "type": TYPE,
                "agent": agent,
                "turn": turn,
                "action_type": what,
                "action_payload": details,
            }
            file.write(json.dumps(line) + "\n")
            if durable:
                file.flush()
                os.fdatasync(file.fileno())

    return Way(emit, file.flush, file.close)


WAYS: Final[dict[str, Callable[[Path], Way]]] = {
    "floor": _sdk(lambda _: _NoProcessor()),
    "typed": _whence(_typed),
    "typed_pure": _whence(_typed, pure=True),
    "shorthand": _whence(_shorthand),
    "log": _whence(_log),
    "log_pure": _whence(_log, pure=True),
    "caused": _whence(_caused),
    "otel": _whence(_otel),
    "otel_pure": _whence(_otel, pure=True),
    "suppressed_emit": _whence(_suppressed_emit),
    "suppressed_detail": _whence(_suppressed_detail),
    "suppressed_log": _whence(_suppressed_log),
    "durable": _whence(_log, "durable"),
    "batch_file": _sdk(lambda directory: BatchLogRecordProcessor(FileLogExporter(directory / "official.jsonl"))),
    "batch_noop": _sdk(lambda _: BatchLogRecordProcessor(_NoExporter())),
    "eliot": _eliot,
    "json": _json,
    "json_durable": partial(_json, durable=True),
}
"""Each way by name; opened on an empty directory."""
