"""`whence import`: JSON Lines files of OTLP, structlog or eliot, checked line by line and taken into the archive."""

import gzip
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Annotated, Any, Final, NamedTuple

import orjson
import typer
import zstandard

from whence.archive.writer import ArchiveWriter
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption
from whence.cli.output import note, progress, write, write_json
from whence.cli.upkeep import index_closed
from whence.errors import DataError, StorageError
from whence.event import names
from whence.event.model import Event
from whence.otlp.decode import Place, decode, events_of, signal_of
from whence.otlp.foreign import Foreign, otlp_of
from whence.otlp.from_eliot import from_eliot, is_eliot
from whence.otlp.from_structlog import from_structlog, is_structlog
from whence.otlp.page import Line

GROUP: Final = "imported"
"""The archive's folder for what was imported. Which run an event is of is said by the event, never by the folder."""
MAX_LINE: Final = 64 << 20
"""Bytes: a longer line is not taken; a small compressed file can hold one that would fill memory."""
_SIGNALS: Final = ("resourceLogs", "resourceSpans", "resourceMetrics")
_LEVELS: Final = (("resourceLogs", "scopeLogs", "logRecords"), ("resourceSpans", "scopeSpans", "spans"))
OTLP: Final = "otlp"


class Form(NamedTuple):
    """How another tool writes its lines: whether one looks like that, and what it becomes."""

    fits: Callable[[Mapping[str, Any]], bool]
    take: Callable[[Mapping[str, Any]], Foreign]


FORMS: Final = {"eliot": Form(is_eliot, from_eliot), "structlog": Form(is_structlog, from_structlog)}
"""Asked in this order of a line that is no OTLP."""
_BATCH: Final = 1 << 20
_SHOWN_BAD: Final = 20


class Bad(NamedTuple):
    """A line, or a record in one, that was not taken: the line's number from 1, its offset in (uncompressed) bytes, and why."""

    line: int
    offset: int
    cause: str


@dataclass(slots=True)
class FileReport:
    """What became of one file."""

    file: str
    lines: int = 0
    records: int = 0
    bad: list[Bad] = field(default_factory=list)
    trouble: str | None = None


def import_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="JSON Lines: plain, .gz or .zst.")],
    *,
    archive: ArchiveOption = ARCHIVE,
    form: Annotated[
        str | None, typer.Option("--from", metavar="FORM", help="otlp, structlog or eliot; otherwise each line tells.")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Take files of OTLP, structlog or eliot into the archive.

    OTLP JSON Lines from any writer: the Collector's file exporter, another archive; structlog's JSON lines; eliot's logs,
    whose actions become causes. Plain or compressed. Every line is checked; one that is nothing of these is reported with
    its place and left out, the others are taken. Importing a file again adds nothing that readers would show twice. Exits
    with 1 where lines were left out, with 3 where a file could not be read to its end.
    """
    if form is not None and form not in (OTLP, *FORMS):
        raise typer.BadParameter(f"{form!r} is no form: expected {OTLP}, structlog or eliot")
    reports = []
    writer = ArchiveWriter(archive)
    with closing(writer), progress("importing") as tell:
        for file in files:
            tell(str(file))
            report = FileReport(str(file))
            reports.append(report)
            try:
                with file.open("rb") as raw:
                    _take(writer, plain_lines(raw), stem_of(file), report, form)
            except (OSError, EOFError, zstandard.ZstdError) as fault:
                report.trouble = f"cannot read {file} to its end: {fault}"
            _tell(report, json)
        closed = writer.close()
    index_closed(archive, writer.status.bytes)
    if closed.records_unwritten:
        raise StorageError(
            f"cannot write {closed.records_unwritten} records to {archive}: {closed.reason}; import again"
        )
    if any(report.trouble for report in reports):
        return 3
    return int(any(report.bad for report in reports))


def _tell(report: FileReport, json: bool) -> None:
    if json:
        bad = [one._asdict() for one in report.bad]
        found = {"file": report.file, "lines": report.lines, "records": report.records, "bad": bad}
        write_json([found | ({"trouble": report.trouble} if report.trouble else {})])
    else:
        write([f"{report.file}: {report.records} records in {report.lines} lines"])
    for one in report.bad[:_SHOWN_BAD]:
        note(f"{report.file}, line {one.line} (byte {one.offset}), left out: {one.cause}")
    if len(report.bad) > _SHOWN_BAD:
        note(f"{report.file}: {len(report.bad) - _SHOWN_BAD} more lines left out")
    if report.trouble:
        note(report.trouble)


def _take(
    writer: ArchiveWriter, lines: Iterable[tuple[int, bytes]], stem: str, report: FileReport, form: str | None
) -> None:
    """Check and append line by line, in batches of one signal."""
    waiting: dict[str, list[Line]] = {}
    size = 0
    for number, (offset, data) in enumerate(lines, 1):
        if not data.strip():
            continue
        try:
            signal, line, bad = checked(data, Place(stem, offset), form)
        except DataError as fault:
            report.bad.append(Bad(number, offset, str(fault)))
            continue
        report.bad.extend(Bad(number, offset, cause) for cause in bad)
        report.lines += 1
        report.records += line.records
        waiting.setdefault(signal, []).append(line)
        size += len(line.data)
        if size >= _BATCH:
            _append(writer, waiting)
            size = 0
    _append(writer, waiting)


def _append(writer: ArchiveWriter, waiting: dict[str, list[Line]]) -> None:
    for signal, lines in waiting.items():
        writer.append(GROUP, signal, lines)  # type: ignore[arg-type]
    waiting.clear()


# --- deciding: pure ---------------------------------------------------------------------------------------------------


def checked(data: bytes, place: Place, form: str | None = None) -> tuple[str, Line, list[str]]:
    """The signal and the archive line of one line of a file, each log record with an id, and what had to be left out of it.

    `form`: what it must be; None: what it looks like. Raises DataError where nothing of it can be taken.
    """
    if len(data) > MAX_LINE:
        raise DataError(f"longer than {MAX_LINE >> 20} MiB")
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError as fault:
        raise DataError(f"not JSON: {fault}") from None
    foreign = _foreign(parsed, form)
    if foreign is not None:
        parsed = otlp_of(foreign, place.stem)
        data = orjson.dumps(parsed)
    events, bad = decode(parsed, place)
    signal = signal_of(parsed)
    if signal == "metrics":
        times = list(_point_times(parsed))
        return signal, _line(data, len(times), times), []
    if bad:
        if not events:
            raise DataError(bad[0])
        parsed = without_bad(parsed, place)
        data = orjson.dumps(parsed)
        events = events_of(parsed, place)
    if signal == "logs":
        data = with_ids(parsed, events, data)
    return (
        signal,
        _line(data, sum(event.signal != "span_event" for event in events), [event.time for event in events]),
        bad,
    )


def _foreign(parsed: Any, form: str | None) -> Foreign | None:
    """The line as another tool's; None where it is to be OTLP. Raises DataError where it is nothing that is known."""
    if form == OTLP or (form is None and (not isinstance(parsed, Mapping) or any(key in parsed for key in _SIGNALS))):
        return None
    if not isinstance(parsed, Mapping):
        raise DataError(f"no line of {form}: expected a JSON object")
    if form is not None:
        return FORMS[form].take(parsed)
    for known in FORMS.values():
        if known.fits(parsed):
            return known.take(parsed)
    raise DataError(f"neither {OTLP} nor {' nor '.join(FORMS)}: if you know which it is, say --from")


def without_bad(parsed: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The same OTLP object without the records that cannot be read."""
    ((key, scopes, records),) = (names for names in _LEVELS if names[0] in parsed)

    def readable(resource: Mapping[str, Any], scope: Mapping[str, Any], record: Any) -> bool:
        alone = {key: [{**resource, scopes: [{**scope, records: [record]}]}]}
        return not decode(alone, place).bad

    return {
        key: [
            {
                **resource,
                scopes: [
                    {**scope, records: [one for one in scope.get(records) or () if readable(resource, scope, one)]}
                    for scope in resource.get(scopes) or ()
                    if isinstance(scope, Mapping)
                ],
            }
            for resource in parsed[key]
            if isinstance(resource, Mapping)
        ]
    }


def _line(data: bytes, records: int, times: list[int]) -> Line:
    return Line(data.rstrip(b"\r\n") + b"\n", records, min(times, default=0), max(times, default=0))


def with_ids(parsed: dict[str, Any], events: list[Event], data: bytes) -> bytes:
    """The line with each log record's id written down, so that it stays the same in its new place; `data` if all had one."""
    changed = False
    for record, event in zip(_log_records(parsed), events, strict=True):
        attributes = record.get("attributes") or []
        if not any(isinstance(one, Mapping) and one.get("key") == names.ID for one in attributes):
            record["attributes"] = [*attributes, {"key": names.ID, "value": {"stringValue": event.id}}]
            changed = True
    return orjson.dumps(parsed) if changed else data


def _log_records(parsed: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in parsed.get("resourceLogs") or ():
        for scope in resource.get("scopeLogs") or ():
            yield from scope.get("logRecords") or ()


def _point_times(value: Any) -> Iterator[int]:
    """The time of every metric data point, wherever in the object it is."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "dataPoints" and isinstance(inner, list):
                yield from (_as_time(point) for point in inner)
            else:
                yield from _point_times(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _point_times(inner)


def _as_time(point: Any) -> int:
    try:
        return int(point["timeUnixNano"])
    except (TypeError, KeyError, ValueError):
        return 0


# --- reading ----------------------------------------------------------------------------------------------------------


def stem_of(file: Path) -> str:
    """The file's name without the endings that say how it is written, so that compressing it changes no id."""
    name = file.name
    for ending in (".gz", ".zst", ".jsonl", ".json"):
        name = name.removesuffix(ending)
    return name


def plain_lines(raw: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The offset and bytes of each line, decompressed if its first bytes say so; a line over `MAX_LINE` is cut."""
    start = raw.read(4)
    raw.seek(0)
    if start.startswith(b"\x1f\x8b"):
        plain: Any = gzip.GzipFile(fileobj=raw)
    elif start == b"\x28\xb5\x2f\xfd":
        plain = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))
    else:
        plain = raw
    offset = 0
    while line := plain.readline(MAX_LINE + 1):
        yield offset, line
        offset += len(line)
        while not line.endswith(b"\n") and (line := plain.readline(MAX_LINE)):
            offset += len(line)  # the rest of a line that is too long
