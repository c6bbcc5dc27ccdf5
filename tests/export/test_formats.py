"""Every export format, read back by the tools it is meant for."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from build import TRACE, Built, a_span, an_archive, an_event
from whence.archive.reader import Archive
from whence.errors import ConfigError, DataError
from whence.event.flat import ORDER, from_flat
from whence.event.kinds import Severity
from whence.event.model import Event
from whence.export.cells import cell
from whence.export.chrome import assign_lanes
from whence.export.source import Source
from whence.export.table import OWN, Format, format_named, format_of_file, formats
from whence.otlp.project import projected_span_id

SPANS = ("00f067aa0ba902b7", "00f067aa0ba902b8")


def a_story() -> list[Built]:
    """A span with one inside, events in and outside of them, causes, odd text and nested values."""
    root = a_span("plan", span=SPANS[0], took=9_000_000)
    inner = a_span("step", span=SPANS[1], parent=SPANS[0], took=2_000_000, failed="no")
    first = an_event("decided", root.id, span=SPANS[0], agent="a1", payload={"of": [1, {"x": None}], "big": 2**63 - 1})
    then = an_event("=cmd|' /C calc'!A0", first, agent="a2", description='a,"b"\r\nline\u2028two', turn=-3)
    lone = an_event("lone", agent="a2", severity=Severity.ERROR, attributes={"n": 1.5, "deep": {"k": [True]}})
    return [root, inner, first, then, lone]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """An archive of the story."""
    return Archive(an_archive(tmp_path / "archive", a_story()))


def written(name: str, source: Any) -> bytes:
    """What a format writes."""
    out = io.BytesIO()
    format_named(name).load()(source, out)
    return out.getvalue()


def test_jsonl_gives_back_the_same_events(archive: Archive) -> None:
    """One flat event a line, and `from_flat` reads each as it was."""
    lines = written("jsonl", Source(archive)).splitlines()
    assert [from_flat(json.loads(line)) for line in lines] == list(archive.events())


def test_json_is_one_array_of_the_same_objects(archive: Archive) -> None:
    """JSON and JSON Lines hold equal objects; an archive without a match is an empty array."""
    array = json.loads(written("json", Source(archive)))
    assert array == [json.loads(line) for line in written("jsonl", Source(archive)).splitlines()]
    assert json.loads(written("json", Source(archive, lambda _: False))) == []


def test_csv_is_read_back_by_the_csv_module(archive: Archive) -> None:
    """Line ends, commas and quotes in a cell survive; nested values are JSON text."""
    data = written("csv", Source(archive))
    rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    assert list(rows[0]) == list(ORDER)
    events = list(archive.events())
    assert [row["id"] for row in rows] == [event.id for event in events]
    by_type = {row["type"]: row for row in rows}
    assert json.loads(by_type["decided"]["payload"]) == {"of": [1, {"x": None}], "big": 2**63 - 1}
    odd = by_type["'=cmd|' /C calc'!A0"]
    assert odd["description"] == 'a,"b"\r\nline\u2028two'
    assert odd["turn"] == "-3"
    assert data.count(b"\r\n") == len(events) + 2  # the header's, each row's, and the one inside of a cell


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
@pytest.mark.parametrize("rest", ["1+1", "SUM(A1)", "cmd|' /C calc'!A0", 'HYPERLINK("http://x")', ""])
def test_no_text_cell_begins_a_formula(start: str, rest: str) -> None:
    """Text that a spreadsheet would run stands behind an apostrophe."""
    assert cell(start + rest) == "'" + start + rest


def test_parquet_and_arrow_hold_every_event(archive: Archive) -> None:
    """Both are read back by pyarrow with typed columns; times are nanoseconds in UTC."""
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    events = list(archive.events())
    for table in (
        pq.read_table(io.BytesIO(written("parquet", Source(archive)))),
        pa.ipc.open_file(written("arrow", Source(archive))).read_all(),
    ):
        assert table.column_names == list(ORDER)
        assert table["id"].to_pylist() == [event.id for event in events]
        assert table["time"].cast(pa.int64()).to_pylist() == [event.time for event in events]
        assert [tuple(ids) for ids in table["caused_by"].to_pylist()] == [event.caused_by for event in events]
        payloads = [json.loads(text) if text else {} for text in table["payload"].to_pylist()]
        assert payloads == [event.payload for event in events]


def test_otlp_lines_are_the_stored_ones(archive: Archive) -> None:
    """With everything wanted the stored bytes are given; with a choice, whole records and nothing else."""
    stored = [line.data for line in archive.lines()]
    assert written("otlp", Source(archive)).splitlines() == stored
    only = written("otlp", Source(archive, lambda event: event.type == "lone")).splitlines()
    assert only == [line for line in stored if b'"lone"' in line]


def test_a_line_of_many_records_is_thinned_to_the_wanted_ones(tmp_path: Path) -> None:
    """Records not wanted leave the line, what surrounds the others stays."""
    first, second = an_event("one"), an_event("two")
    group = first.data["resourceLogs"][0]
    group["scopeLogs"][0]["logRecords"] += second.data["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    (tmp_path / "other.jsonl").write_bytes(first.line)
    found = json.loads(written("otlp", Source(Archive(tmp_path), lambda event: event.type == "two")))
    assert found["resourceLogs"][0]["resource"] == group["resource"]
    assert [r["eventName"] for r in found["resourceLogs"][0]["scopeLogs"][0]["logRecords"]] == ["two"]


def test_chrome_draws_slices_instants_and_arrows(archive: Archive) -> None:
    """A slice a span, a lane an agent, an instant for an event without arrows, and two ends for each arrow."""
    trace = json.loads(written("chrome", Source(archive)))["traceEvents"]
    by_name = {part["name"]: part for part in trace if part["ph"] in "Xi"}
    assert by_name["plan"]["dur"] == 9_000.0
    assert by_name["lone"]["ph"] == "i"
    lanes = {part["args"]["name"] for part in trace if part["name"] == "thread_name"}
    assert lanes == {"main", "a1", "a2"}
    ends = [(part["ph"], part["id"], part["pid"], part["tid"], part["ts"]) for part in trace if part["ph"] in "sf"]
    assert [end[:2] for end in ends] == [("s", 1), ("f", 1), ("s", 2), ("f", 2)]
    spots = [(by_name[name]["pid"], by_name[name]["tid"], by_name[name]["ts"]) for name in ("plan", "decided")]
    assert {end[2:] for end in ends} >= set(spots)
    assert min(part["ts"] for part in trace if "ts" in part) == 0


def test_slices_on_one_lane_never_overlap_in_part() -> None:
    """Whatever overlaps without being inside the other gets a lane of its own."""
    lengths = [(start, -end, f"{start}-{end}") for start in range(0, 12, 2) for end in range(start + 1, 13, 3)]
    lanes: dict[int, list[tuple[int, int]]] = {}
    for id, lane in assign_lanes(lengths):
        start, end = map(int, id.split("-"))
        for other_start, other_end in lanes.setdefault(lane, []):
            apart = end <= other_start or other_end <= start
            inside = (start <= other_start and other_end <= end) or (other_start <= start and end <= other_end)
            assert apart or inside
        lanes[lane].append((start, end))


def test_jaeger_is_one_trace_with_references_and_logs(archive: Archive) -> None:
    """Spans with parents as CHILD_OF, events as logs of their span, an error as a tag."""
    [trace] = json.loads(written("jaeger", Source(archive)))["data"]
    assert trace["traceID"] == TRACE
    spans = {span["operationName"]: span for span in trace["spans"]}
    assert spans["step"]["references"] == [{"refType": "CHILD_OF", "traceID": TRACE, "spanID": SPANS[0]}]
    assert spans["plan"]["duration"] == 9_000
    fields = {tag["key"]: tag["value"] for tag in spans["plan"]["logs"][0]["fields"]}
    assert fields["event"] == "decided"
    assert {"key": "error", "type": "bool", "value": True} in spans["step"]["tags"]
    assert trace["processes"][spans["plan"]["processID"]]["serviceName"] == "tests"


def test_jaeger_refers_to_causes_that_are_events(tmp_path: Path) -> None:
    """To the span that the cause happened in, or the one that it is shown as, as the collector and the server show it."""
    gone = "00f067aa0ba902ff"
    plan, ask = a_span("plan", span=SPANS[0]), an_event("ask", span=SPANS[0])
    wake = an_event("wake", ask, span=gone)
    fail = an_event("fail", wake, "elsewhere", span=gone)
    source = Source(Archive(an_archive(tmp_path, [plan, ask, wake, fail])))
    [trace] = json.loads(written("jaeger", source))["data"]
    followed = {
        span["operationName"]: [one["spanID"] for one in span["references"] if one["refType"] == "FOLLOWS_FROM"]
        for span in trace["spans"]
    }
    assert followed == {"plan": [], "wake": [SPANS[0]], "fail": [f"{projected_span_id(wake.id):016x}"]}


def test_jaeger_wants_exactly_one_trace(archive: Archive) -> None:
    """No trace, or several, is an error that says what to do."""
    with pytest.raises(DataError, match="--trace"):
        written("jaeger", Source(archive, lambda event: event.trace_id is None))


def test_a_format_is_told_by_the_longest_ending_that_fits() -> None:
    """`.trace.json` is Chrome's, `.json` is an array; an ending nobody knows is an error that lists the formats."""
    assert format_of_file("a.json").name == "json"
    assert format_of_file("a.trace.json").name == "chrome"
    assert format_of_file("a.OTLP.jsonl").name == "otlp"
    with pytest.raises(ConfigError, match="mermaid"):
        format_of_file("a.xyz")
    with pytest.raises(ConfigError, match="did you mean 'parquet'"):
        format_named("parket")


def test_others_add_formats_by_entry_point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installed package's format is found under its name; one of ours cannot be replaced."""
    found = tmp_path / "acme-1.dist-info"
    found.mkdir()
    (found / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (found / "entry_points.txt").write_text("[whence.export_formats]\nids = acme_ids:IDS\ncsv = acme_ids:CSV\n")
    (tmp_path / "acme_ids.py").write_text(
        "from whence.export.table import Format\n"
        "IDS = Format('ids', ('.ids',), 'events', 'acme_ids:write', 'ids only')\n"
        "CSV = Format('csv', ('.csv',), 'events', 'acme_ids:write', 'not ours')\n"
        "def write(source, out):\n"
        "    for event in source.events():\n"
        "        out.write(event.id.encode() + b'\\n')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert format_of_file("x.ids").name == "ids"
    assert formats()["csv"] in OWN
    archive = Archive(an_archive(tmp_path / "archive", [an_event(id="01KDV0000000000000000000AA")]))
    assert written("ids", Source(archive)) == b"01KDV0000000000000000000AA\n"


def test_a_missing_package_is_named() -> None:
    """Where an optional package is not installed the error says how to get it."""
    with pytest.raises(ConfigError, match=r"nowhere_at_all is not installed; pip install"):
        Format("x", (), "events", "nowhere_at_all:write", "").load()


class Endless:
    """A source whose events never all are in memory at once: it counts how many are alive."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.made = 0

    def events(self) -> Iterator[Event]:
        for n in range(self.count):
            self.made = n + 1
            yield Event(id=str(n), type="t", time=n)


class Watching(io.RawIOBase):
    """A file that notes how many events were made when its first bytes came."""

    def __init__(self, source: Endless) -> None:
        self.source = source
        self.first: int | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.first is None and len(data) > 1:
            self.first = self.source.made
        return len(data)


@pytest.mark.parametrize("name", ["jsonl", "json", "csv", "chrome"])
def test_formats_write_while_they_read(name: str) -> None:
    """The first bytes are out long before the last event is read."""
    source = Endless(50_000)
    out = Watching(source)
    format_named(name).load()(source, out)  # type: ignore[arg-type]
    assert out.first is not None
    assert out.first < 5_000 or name == "chrome"
