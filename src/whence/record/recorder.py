"""A recorder: what connects a program's OpenTelemetry to an archive, from its first event to the sealing of its files."""

import logging
import os
import platform
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from whence.archive.writer import WriterStatus
from whence.event import names
from whence.event.kinds import Kind, Severity, Verbosity
from whence.export import console
from whence.otlp.value import faithful_text
from whence.record.bus import Bus
from whence.record.forward import Forward, forward_to
from whence.record.identity import new_run_id, ulids
from whence.record.otel import ApiLogRecord, ReadWriteLogRecord, SeverityNumber
from whence.record.providers import Providers, install, program_name
from whence.record.queue import Drop, Queue
from whence.record.resume import known_keys, last_seq
from whence.record.run import Run, verbosity_named
from whence.record.settings import Settings
from whence.record.sink import SinkStatus, close_sink, open_sink
from whence.record.stdlib import RecordingHandler, attach
from whence.version import VERSION

logger = logging.getLogger("whence.record")


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """What a recorder did so far: records waiting and dropped (by reason), the sink's counts, the archive's state."""

    queued: int
    dropped: Mapping[str, int]
    sink: SinkStatus
    archive: WriterStatus


@dataclass(frozen=True, slots=True)
class ShutdownReport:
    """How recording ended: records stored, dropped by reason, and how many could not be written in time, and why."""

    stored: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    unwritten: int = 0
    reason: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every record that was emitted is in the archive."""
        return not self.unwritten and not self.dropped and self.reason is None


class Recorder:
    """A program's connection to its archive. Made by `configure`; there is one at a time in a process."""

    def __init__(self, settings: Settings) -> None:
        """Raises StorageError where the archive cannot be opened, ConfigError where the OTLP exporters are not installed."""
        self.settings = settings
        self.directory = Path(settings.archive).absolute()
        run = faithful_text(settings.run)[0] if settings.run is not None else new_run_id()
        forward = forward_to(settings)
        self._sink = open_sink(self.directory, settings.writer_options())
        self._providers: Providers = install(run, settings.service, settings.metrics)
        self._queue = Queue(
            self._sink,
            capacity=settings.queue_size,
            when_full=settings.when_full,
            durable=settings.durability == "durable",
            report=self._drop_events,
        )
        self.bus = Bus()
        self._runs: dict[str, Run] = {}
        self._forward = forward
        self._plug(run, forward)
        self.run = self.open_run(run)
        self._handler = RecordingHandler() if settings.logging else None
        if self._handler is not None:
            attach(self._handler)
        if settings.console:
            console.prepare()
            self.bus.on("*", console.mirror)
        self._report: ShutdownReport | None = None

    def _plug(self, run: str, forward: Forward) -> None:
        found = self._providers
        found.spans.run = found.logs.run = run
        found.spans.others, found.logs.others = forward.spans, forward.logs
        found.spans.queue = found.logs.queue = self._queue
        if found.metrics is not None:
            found.metrics.sink = self._sink
            found.metrics.lose = self._queue.lose

    def _unplug(self) -> None:
        """The queue stays: once closed, it counts what comes after the end, and says so once."""
        found = self._providers
        found.spans.others, found.logs.others = (), ()
        if found.metrics is not None:
            found.metrics.sink = None

    # --- runs -----------------------------------------------------------------------------------------------------------

    def open_run(self, id: str, *, verbosity: Verbosity | str | None = None) -> Run:
        """The run of that id, begun if it is new to this process. One that the archive already has goes on: its sequence
        numbers continue, its idempotency keys still count. As a context manager it is the current run inside."""
        id = faithful_text(id)[0]  # as it will stand in the archive, where its numbers are looked for
        known = self._runs.get(id)
        if known is not None:
            return known
        settings = self.settings
        run = Run(
            id,
            logger=self._providers.loggers.get_logger("whence", VERSION),
            verbosity=settings.verbosity if verbosity is None else verbosity_named(verbosity),
            by_agent=settings.verbosity_by_agent,
            named_by_resource=self._providers.loggers.resource.attributes.get(names.RUN) == id,
            queue=self._queue,
            durable=settings.durability == "durable",
            bus=self.bus,
            last_seq=last_seq(self.directory, id),
            known_keys=partial(known_keys, self.directory, id),
        )
        self._runs[id] = run
        run.start(
            {
                "name": settings.service or program_name(),
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "python": platform.python_version(),
                "whence": VERSION,
            }
        )
        return run

    # --- its state ------------------------------------------------------------------------------------------------------

    @property
    def status(self) -> RecorderStatus:
        return RecorderStatus(self._queue.size, self._queue.dropped, self._sink.status, self._sink.writer.status)

    def flush(self, timeout: float | None = None) -> bool:
        """Until everything emitted so far is on disk (and forwarded, where asked); False where that took too long."""
        until = None if timeout is None else time.monotonic() + timeout
        written = self._queue.flush(timeout)
        left = 30.0 if until is None else max(0.0, until - time.monotonic())
        return self._forward.flush(left) and written

    def shutdown(self, timeout: float | None = None, *, status: str = "ok") -> ShutdownReport:
        """End the runs, write what is queued, seal the archive's files; says what could not be written in `timeout` seconds.

        The second call does nothing and gives the first one's report.
        """
        if self._report is not None:
            return self._report
        until = time.monotonic() + (self.settings.shutdown_timeout if timeout is None else timeout)
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
        self._queue.hurry()
        for run in self._runs.values():
            run.close(status, {"pid": os.getpid(), "dropped": self._queue.dropped})
        if self._providers.meters is not None:
            _within(max(0.0, until - time.monotonic()), self._providers.meters.force_flush)
        self._unplug()
        unwritten = self._queue.close(max(0.0, until - time.monotonic()))
        self._forward.close(max(0.1, until - time.monotonic()))
        closed = close_sink(self._sink, max(0.1, until - time.monotonic()))
        held = closed.records_unwritten if closed else 0
        reason = closed.reason if closed else None
        if unwritten and reason is None:
            reason = f"{unwritten} records were still queued when the time was up"
        self._report = ShutdownReport(self._sink.status.stored - held, self._queue.dropped, unwritten + held, reason)
        if not self._report.complete:
            logger.warning("whence could not record everything: %s", self._report)
        return self._report

    # --- what the queue asks for --------------------------------------------------------------------------------------------

    def _drop_events(self, drops: Sequence[Drop]) -> list[ReadWriteLogRecord]:
        """Drops as events of the archive itself: a record that is not complete says so."""
        return [
            ReadWriteLogRecord(
                ApiLogRecord(
                    timestamp=drop.last,
                    observed_timestamp=time.time_ns(),
                    severity_number=SeverityNumber.WARN,
                    severity_text=Severity.WARN.name,
                    body=f"{drop.count} records were dropped: {drop.reason}",
                    attributes={
                        names.ID: ulids.next(),
                        names.KIND: Kind.SYSTEM.value,
                        names.RUN: self.run.id,
                        names.PAYLOAD: {
                            "count": drop.count,
                            "reason": drop.reason,
                            "first": drop.first,
                            "last": drop.last,
                        },
                    },
                    event_name=names.TYPE_DROPPED,
                ),
                resource=self._providers.loggers.resource,
            )
            for drop in drops
        ]

    def after_fork(self) -> None:
        """In a forked child: fresh locks; the queue and the archive's files have been made anew already."""
        for run in self._runs.values():
            run.appender.reset_lock()


def _within(seconds: float, do: Callable[[], object]) -> None:
    """Do something that may wait for the disk for as long as it likes; wait for it only so long."""
    thread = threading.Thread(target=do, name="whence-last-metrics", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        do()  # the interpreter is shutting down and starts no threads
    else:
        thread.join(seconds)
