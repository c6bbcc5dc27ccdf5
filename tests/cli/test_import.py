"""`whence import`: files of any writer, checked line by line."""

import gzip
from pathlib import Path

import orjson
import pytest
import zstandard

from build import START, Built, a_span, an_archive, an_event
from build_cli import Ask

GOOD_METRIC = (
    b'{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{},"metrics":[{"name":"m","sum":{"dataPoints":'
    b'[{"timeUnixNano":"7","asInt":"1"},{"timeUnixNano":"9","asInt":"2"}]}}]}]}]}\n'
)


def a_file(path: Path, *lines: Built | bytes) -> Path:
    """An OTLP JSON Lines file of these lines."""
    path.write_bytes(b"".join(line.line if isinstance(line, Built) else line for line in lines))
    return path


def test_all_signals_are_taken_in(tmp_path: Path, whence: Ask) -> None:
    """Logs, spans and metrics of one file, blank lines and all."""
    events = [an_event("one"), a_span(span="a" * 16)]
    file = a_file(tmp_path / "otel.jsonl", events[0], b"\n", events[1], GOOD_METRIC)
    answer = whence("import", file, "-a", tmp_path / "x", "--json")
    assert answer.code == 0 and answer.err == ""
    assert answer.json == {"file": str(file), "lines": 3, "records": 4, "bad": []}
    assert [event["id"] for event in whence("log", "-a", tmp_path / "x", "--json").json_lines] == [
        one.id for one in events
    ]
    assert whence("verify", "-a", tmp_path / "x").code == 0


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_however_it_is_compressed_it_reads_the_same(tmp_path: Path, whence: Ask, pack) -> None:  # type: ignore[no-untyped-def]
    """What the bytes are decides, not the name."""
    event = an_event("one", description="x" * 1000)
    file = tmp_path / "otel.dat"
    file.write_bytes(pack(event.line * 1) + pack(an_event("two").line))
    assert whence("import", file, "-a", tmp_path / "x").code == 0
    assert [one["type"] for one in whence("log", "-a", tmp_path / "x", "--json").json_lines] == ["one", "two"]


def test_importing_twice_shows_nothing_twice(tmp_path: Path, whence: Ask) -> None:
    """Records without an id get one that comes out the same each time, compressed or not."""
    nameless = [an_event("plain", uid=False, time=START), an_event("plain", uid=False, time=START)]
    file = a_file(tmp_path / "otel.jsonl", *nameless, an_event("named"), a_span(span="a" * 16))
    packed = tmp_path / "otel.jsonl.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    for source in (file, file, packed):
        assert whence("import", source, "-a", tmp_path / "x").code == 0
    events = whence("log", "-a", tmp_path / "x", "--json").json_lines
    assert len(events) == 4 and len({event["id"] for event in events}) == 4


def test_ids_given_on_import_stay_when_the_archive_is_imported_on(tmp_path: Path, whence: Ask) -> None:
    """A cause that names an imported event finds it wherever it goes."""
    whence("import", a_file(tmp_path / "otel.jsonl", an_event("plain", uid=False)), "-a", tmp_path / "x")
    (first,) = whence("log", "-a", tmp_path / "x", "--json").json_lines
    files = [path for path in (tmp_path / "x").rglob("*.jsonl*") if path.is_file()]
    whence("import", *files, "-a", tmp_path / "y")
    (second,) = whence("log", "-a", tmp_path / "y", "--json").json_lines
    assert first["id"] == second["id"]


def test_bad_lines_are_named_and_hide_no_good_ones(tmp_path: Path, whence: Ask) -> None:
    """With file, line and byte; exit code 1."""
    bad = [b"not json\n", b"[1]\n", b'{"hello":1}\n', b'{"resourceLogs":7}\n', b"\x00\x00\n"]
    file = a_file(tmp_path / "otel.jsonl", an_event("first"), *bad, an_event("last"), b'{"resourceLogs":[{"torn')
    answer = whence("import", file, "-a", tmp_path / "x", "--json")
    assert answer.code == 1
    assert [one["line"] for one in answer.json["bad"]] == [2, 3, 4, 5, 6, 8]
    assert answer.json["bad"][0]["offset"] == file.read_bytes().index(b"not json")
    assert f"{file}, line 2 (byte " in answer.err and answer.err.count("\n") == 6
    assert [event["type"] for event in whence("log", "-a", tmp_path / "x", "--json").json_lines] == ["first", "last"]
    assert whence("verify", "-a", tmp_path / "x").code == 0


def test_a_bad_record_costs_nothing_but_itself(tmp_path: Path, whence: Ask) -> None:
    """A batch of another writer may hold hundreds."""
    data = an_event("first").data
    records = data["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    records.append({"timeUnixNano": "not a number"})
    records += an_event("last").data["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    answer = whence(
        "import", a_file(tmp_path / "otel.jsonl", orjson.dumps(data) + b"\n"), "-a", tmp_path / "x", "--json"
    )
    assert answer.code == 1 and answer.json["records"] == 2
    assert [one["line"] for one in answer.json["bad"]] == [1] and "log record 1" in answer.json["bad"][0]["cause"]
    assert [event["type"] for event in whence("log", "-a", tmp_path / "x", "--json").json_lines] == ["first", "last"]


def test_a_thousand_bad_lines_do_not_flood_the_terminal(tmp_path: Path, whence: Ask) -> None:
    """The first few are named, the rest counted."""
    answer = whence("import", a_file(tmp_path / "otel.jsonl", b"bad\n" * 1000), "-a", tmp_path / "x")
    assert answer.code == 1 and answer.err.count("\n") == 21 and "980 more lines" in answer.err


def test_a_file_that_cannot_be_read_to_its_end_is_trouble(tmp_path: Path, whence: Ask) -> None:
    """What was readable is taken, the other files are too; exit code 3."""
    cut = tmp_path / "cut.gz"
    whole = gzip.compress(b"".join(an_event(f"e{n}", description=str(n) * 99).line for n in range(500)))
    cut.write_bytes(whole[: len(whole) // 2])
    good = a_file(tmp_path / "good.jsonl", an_event("good"))
    answer = whence("import", tmp_path / "none.jsonl", cut, good, "-a", tmp_path / "x")
    assert answer.code == 3 and answer.err.count("cannot read") == 2
    assert "good" in {event["type"] for event in whence("log", "-a", tmp_path / "x", "--json").json_lines}


def test_a_line_too_long_to_hold_is_left_out(tmp_path: Path, whence: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """And costs neither memory nor the line after it."""
    monkeypatch.setattr("whence.cli.importing.MAX_LINE", 1 << 16)
    long = an_event("long", description="x" * (1 << 17))
    answer = whence("import", a_file(tmp_path / "otel.jsonl", long, an_event("next")), "-a", tmp_path / "x", "--json")
    assert [one["line"] for one in answer.json["bad"]] == [1] and answer.json["lines"] == 1


def test_an_archive_that_cannot_be_written_is_trouble(tmp_path: Path, whence: Ask) -> None:
    """Said before any file is read."""
    (tmp_path / "file").touch()
    answer = whence("import", a_file(tmp_path / "otel.jsonl", an_event()), "-a", tmp_path / "file")
    assert answer.code == 3 and answer.out == "" and answer.err.count("\n") == 1


def test_an_archive_of_ours_can_be_taken_into_another(tmp_path: Path, whence: Ask) -> None:
    """Merging two archives is an import, with causes across them found."""
    cause = an_event("cause", run="a")
    effect = an_event("effect", cause, run="b")
    an_archive(tmp_path / "a", [cause])
    an_archive(tmp_path / "b", [effect])
    assert whence("check", "-a", tmp_path / "b").code == 1
    files = [path for path in (tmp_path / "a").rglob("*.jsonl*") if path.is_file()]
    assert whence("import", *files, "-a", tmp_path / "b").code == 0
    assert whence("check", "-a", tmp_path / "b").code == 0
    assert [hop["id"] for hop in whence("why", effect.id, "-a", tmp_path / "b", "--json").json["hops"]] == [
        cause.id,
        effect.id,
    ]


def test_no_line_of_an_import_is_written_with_its_line_end_doubled(tmp_path: Path, whence: Ask) -> None:
    """Files from Windows end their lines with CR LF; an archive's lines end with LF."""
    file = a_file(
        tmp_path / "otel.jsonl", an_event("one").line.replace(b"\n", b"\r\n"), an_event("two").line.rstrip(b"\n")
    )
    assert whence("import", file, "-a", tmp_path / "x").code == 0
    (segment,) = (tmp_path / "x").rglob("*.jsonl")
    assert [list(orjson.loads(line)) for line in segment.read_bytes().split(b"\n")[:-1]] == [["resourceLogs"]] * 2
    assert b"\r" not in segment.read_bytes()
