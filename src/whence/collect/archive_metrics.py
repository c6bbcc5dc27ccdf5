"""`whence_archive_*`: what an archive's writer says of itself, as metrics, and its health in words."""

import os
from collections.abc import Callable

from whence.archive.writer import ArchiveWriter, WriterStatus
from whence.collect.component import HEALTHY, Health
from whence.collect.telemetry import Telemetry


def watch_archive(telemetry: Telemetry, exporter: str, writer: ArchiveWriter) -> Callable[[], None]:
    """Tell of this writer until the function that this gives is called. `exporter` labels the metrics.

    The time until lines are on the device is only known to who waits for it: `observe("whence_archive_fsync_duration", ...)`.
    """

    def of(read: Callable[[WriterStatus], float]) -> Callable[[], float]:
        return lambda: read(writer.status)

    reads: dict[str, Callable[[], float]] = {
        "whence_archive_bytes": of(lambda status: status.bytes),
        "whence_archive_lines": of(lambda status: status.lines),
        "whence_archive_records": of(lambda status: status.records),
        "whence_archive_fsyncs": of(lambda status: status.syncs),
        "whence_archive_fsync_failures": of(lambda status: status.sync_failures),
        "whence_archive_held_bytes": of(lambda status: status.held_bytes),
        "whence_archive_refused_records": of(lambda status: status.refused_records),
        "whence_archive_repairs": of(lambda status: status.repairs),
        "whence_archive_writable": of(lambda status: float(archive_health(status).ok)),
        "whence_archive_free_bytes": lambda: _free(writer),
    }
    ends = [telemetry.read(name, read, exporter=exporter) for name, read in reads.items()]

    def forget() -> None:
        for end in ends:
            end()

    return forget


def archive_health(status: WriterStatus) -> Health:
    """Whether the archive takes lines; if not, why."""
    return HEALTHY if status.state == "ok" else Health(False, status.reason or f"the archive is {status.state}")


def _free(writer: ArchiveWriter) -> float:
    found = os.statvfs(writer.directory)
    return float(found.f_bavail * found.f_frsize)
