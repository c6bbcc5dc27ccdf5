"""What is recorded: made-up actions of made-up agents for the ways to emit, and OpenTelemetry records for the encoders.

The law: the same number gives the same records in every process.
"""

import random
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

TYPE: Final = "action"
SERVICE: Final = "bench"
_GOODS: Final = ("wheat", "iron", "timber", "cloth", "salt")


class Sample(NamedTuple):
    """An agent's action, before anybody has made an event of it."""

    agent: str
    turn: int
    what: str
    details: dict[str, Any]


def samples(count: int) -> list[Sample]:
    """That many different actions."""
    chance = random.Random(20)
    return [
        Sample(
            f"agent-{chance.randrange(200)}",
            number // 200,
            chance.choice(("buy", "sell", "move", "trade")),
            {
                "good": chance.choice(_GOODS),
                "units": chance.randrange(1, 500),
                "price": round(chance.uniform(1, 90), 4),
            },
        )
        for number in range(count)
    ]


class _Kept(LogRecordProcessor, SpanProcessor):
    """Keeps what is finished, as a batch processor hands it to its exporter."""

    def __init__(self) -> None:
        self.logs: list[ReadableLogRecord] = []
        self.spans: list[ReadableSpan] = []

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self.logs.append(
            ReadableLogRecord(
                log_record.log_record, log_record.resource, log_record.instrumentation_scope, log_record.limits
            )
        )

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)

    def shutdown(self) -> None:
        """Nothing to end."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def log_records(count: int) -> Sequence[ReadableLogRecord]:
    """Log records with an event name, a body and 8 attributes, emitted inside a span."""
    kept = _Kept()
    provider = LoggerProvider(_resource(), shutdown_on_exit=False)
    provider.add_log_record_processor(kept)
    logger = provider.get_logger("bench", "1.0")
    with TracerProvider(shutdown_on_exit=False).get_tracer("bench").start_as_current_span("outer"):
        for number in range(count):
            logger.emit(
                timestamp=1_795_000_000_000_000_000 + number,
                severity_number=SeverityNumber.INFO,
                severity_text="INFO",
                body="step done",
                event_name="agent.step.completed",
                attributes=_attributes(number),
            )
    return kept.logs


def spans(count: int) -> Sequence[ReadableSpan]:
    """Spans with 8 attributes, two events of three attributes each, and a link."""
    kept = _Kept()
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(kept)
    tracer = provider.get_tracer("bench", "1.0")
    with tracer.start_as_current_span("outer") as outer:
        for number in range(count):
            link = trace.Link(outer.get_span_context(), {"link.kind": "follows"})
            with tracer.start_as_current_span("step", attributes=_attributes(number), links=[link]) as span:
                for event in ("item.processed", "item.stored"):
                    span.add_event(event, {"item.id": number, "item.kind": "invoice", "item.size": number * 7})
    return kept.spans[:count]


def _attributes(number: int) -> dict[str, str | int]:
    return {
        "sim.tick": number,
        "sim.agent": f"agent-{number % 200}",
        "sim.phase": "trading",
        "sim.region": "north",
        "sim.queue": number % 17,
        "sim.cost": number * 3,
        "sim.outcome": "accepted",
        "sim.attempt": 1,
    }


def _resource() -> Resource:
    return Resource({"service.name": SERVICE, "service.version": "1.0", "deployment.environment.name": "local"})
