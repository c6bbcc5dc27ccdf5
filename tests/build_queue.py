"""Queues before a real sink whose disk can be held up, and records to put into them."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from whence.archive.reader import Archive
from whence.archive.writer import WriterOptions
from whence.event import names
from whence.event.model import Event
from whence.record.otel import ApiLogRecord, ReadWriteLogRecord
from whence.record.queue import Drop, Queue, WhenFull
from whence.record.sink import Item, Sink


class SlowSink(Sink):
    """A real sink whose disk can be held up: `store` waits while the gate is closed."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, WriterOptions())
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Semaphore(0)

    def store(self, items: Sequence[Item]) -> int:
        self.arrived.release()
        assert self.gate.wait(90)
        return super().store(items)


def a_record(n: int) -> ReadWriteLogRecord:
    return ReadWriteLogRecord(
        ApiLogRecord(timestamp=n + 1, event_name="e", attributes={names.ID: f"id-{n}", names.RUN: "r", "n": n})
    )


def a_queue(sink: Sink, *, capacity: int = 10, when_full: WhenFull = WhenFull.HELP, durable: bool = False) -> Queue:
    return Queue(sink, capacity=capacity, when_full=when_full, durable=durable, report=drop_records)


def drop_records(drops: Sequence[Drop]) -> list[Item]:
    return [
        ReadWriteLogRecord(
            ApiLogRecord(
                timestamp=drop.last,
                event_name=names.TYPE_DROPPED,
                attributes={names.RUN: "r", names.PAYLOAD: {"count": drop.count, "reason": drop.reason}},
            )
        )
        for drop in drops
    ]


def stored(sink: Sink) -> list[Event]:
    return list(Archive(sink.writer.directory).events())


def numbers(sink: Sink) -> list[Any]:
    return [event.attributes["n"] for event in stored(sink) if event.type == "e"]


def hold(queue: Queue, sink: SlowSink) -> None:
    """Close the gate and let the worker run into it with one record, so that what follows stays in the queue."""
    sink.gate.clear()
    queue.put(a_record(-1))
    assert sink.arrived.acquire(timeout=90)
