"""The archive's metrics are those of its writer, while there is one."""

from pathlib import Path

from whence.archive.writer import ArchiveWriter
from whence.collect.archive_metrics import archive_health, watch_archive
from whence.collect.telemetry import METRICS, Telemetry
from whence.otlp.page import Line


def test_an_archives_metrics_are_its_writers_status(tmp_path: Path) -> None:
    """Each number is read when somebody looks; afterwards there are none. Every name in the table has its number, but for what
    is counted as it happens."""
    telemetry = Telemetry()
    writer = ArchiveWriter(tmp_path)
    forget = watch_archive(telemetry, "whence", writer)
    data = b'{"resourceLogs":[]}\n'
    assert writer.wait(writer.append("collected", "logs", [Line(data, 2, 1, 1)]), 60)
    found = {family.name: family.samples[0] for family in telemetry.families()}
    assert set(found) == {name for name in METRICS if name.startswith("whence_archive_")} - {
        "whence_archive_fsync_duration",
        "whence_archive_overflowed",
        "whence_archive_removed_files",
        "whence_archive_removed_bytes",
    }
    assert found["whence_archive_bytes"].value == len(data)
    assert (found["whence_archive_lines"].value, found["whence_archive_records"].value) == (1, 2)
    assert found["whence_archive_writable"].value == 1
    assert found["whence_archive_free_bytes"].value > 0
    assert found["whence_archive_bytes"].labels == (("exporter", "whence"),)
    assert archive_health(writer.status).ok
    writer.close()
    forget()
    assert telemetry.families() == []
