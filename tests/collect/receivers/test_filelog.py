"""The receiver filelog: lines of text and JSON as log records, each once, the bad ones too."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from build_files import Pipeline, reading
from whence.collect.batch import Batch
from whence.collect.outcome import Unacceptable
from whence.collect.receivers import filelog
from whence.otlp.value import plain_value

JSON: list[dict[str, Any]] = [
    {
        "type": "json_parser",
        "timestamp": {"parse_from": "attributes.time", "layout": "%Y-%m-%dT%H:%M:%S.%fZ"},
        "severity": {"parse_from": "attributes.level"},
    }
]


def logs(folder: Path, *include: str, **settings: Any) -> Any:
    """filelog, reading."""
    return reading(folder, *include, plug=filelog.PLUG, signals=("logs",), **settings)


def attributes(record: dict[str, Any]) -> dict[str, Any]:
    """Of a record."""
    return {pair["key"]: plain_value(pair["value"]) for pair in record.get("attributes", ())}


def append(file: Path, data: bytes) -> None:
    """To a file."""
    with file.open("ab") as writer:
        writer.write(data)


def a_line(n: int, level: str = "info") -> bytes:
    """A line of JSON as programs write them."""
    return orjson.dumps({"time": f"2024-01-02T03:04:05.{n:06d}Z", "level": level, "message": f"m{n}"}) + b"\n"


def test_lines_of_json_become_records_with_time_severity_and_attributes(tmp_path: Path) -> None:
    """The body is the line, as it is the Collector's."""
    (tmp_path / "a.log").write_bytes(a_line(1) + a_line(2, "error"))
    with logs(tmp_path, "a.log", operators=JSON, attributes={"team": "shop"}, resource={"service.name": "cart"}) as one:
        assert one.has(2) == [a_line(1).decode().rstrip(), a_line(2, "error").decode().rstrip()]
        first, second = one.pipeline.records
        (batch,) = one.pipeline.kept
    assert (first["timeUnixNano"], first["severityNumber"]) == ("1704164645000001000", 9)
    assert (second["severityNumber"], second["severityText"]) == (17, "error")
    assert int(first["observedTimeUnixNano"]) > int(first["timeUnixNano"])
    assert attributes(first) == {
        "log.file.name": "a.log", "team": "shop", "time": "2024-01-02T03:04:05.000001Z", "level": "info", "message": "m1",
    }  # fmt: skip
    assert attributes((batch.tree or {})["resourceLogs"][0]["resource"]) == {"service.name": "cart"}


def test_a_line_that_is_no_json_is_kept_counted_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As text, in its place among the others; `on_error: drop` is the Collector's way to be rid of it."""
    bad = [b"no json", b'{"torn', b"[1, 2]", b"\xff\xfe", b'"text"']
    (tmp_path / "a.log").write_bytes(a_line(1) + b"\n".join(bad) + b"\n\n  \n" + a_line(2))
    with logs(tmp_path, "a.log", operators=JSON) as one:
        said = one.has(7)
        assert said[1:6] == ["no json", '{"torn', "[1, 2]", "\ufffd\ufffd", '"text"']
        assert one.counted("whence_receiver_file_lines_unparsed") == 5
        assert one.counted("whence_receiver_file_lines_skipped") == 0
    assert "a.log, line 2 (byte 69): json_parser: no JSON" in caplog.text
    (tmp_path / "b.log").write_bytes(a_line(1) + b"no json\n")
    with logs(tmp_path, "b.log", operators=[{**JSON[0], "on_error": "drop"}]) as one:
        append(tmp_path / "b.log", a_line(2))
        assert len(one.has(2)) == 2


def test_what_a_pipeline_never_takes_is_left_out_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Counted, and told with its place."""
    (tmp_path / "a.log").write_bytes(b"".join(a_line(n) for n in range(5)))
    pipeline = Pipeline()

    def bad(batch: Batch) -> Exception | None:
        return Unacceptable("no threes") if b"m3" in batch.protobuf() else None

    pipeline.unacceptable = bad
    with logs(tmp_path, "a.log", pipeline=pipeline) as one:
        one.has(4)
        assert one.counted("whence_receiver_file_lines_skipped") == 1
    assert "line 4 " in caplog.text and "no threes" in caplog.text


def test_a_last_line_without_an_end_waits_unless_it_is_whole(tmp_path: Path) -> None:
    """A JSON object is; of text nobody can tell, but `force_flush_period` says how long to wait."""
    file = tmp_path / "a.log"
    file.write_bytes(b"text\n" + a_line(1).rstrip())
    with logs(tmp_path, "a.log") as one:
        one.has(2)
        append(file, b"\nhalf a li")
        one.rounds(8)
        assert len(one.said) == 2
        append(file, b"ne\n")
        assert one.has(3)[-1] == "half a line"
        append(file, b"never ended")
        one.rounds(8)
        assert len(one.said) == 3
    with logs(tmp_path, "a.log", force_flush_period="1ms") as one:
        assert one.has(1) == ["never ended"]


def test_lines_of_structlog_and_eliot_become_what_they_are(tmp_path: Path) -> None:
    """With their type, time and causes; a line that is no such is kept as text."""
    (tmp_path / "shop.log").write_bytes(
        b'{"event": "order placed", "level": "warning", "timestamp": "2024-01-02T03:04:05Z", "order": 7}\nnoise\n'
    )
    with logs(tmp_path, "shop.log", format="structlog", attributes={"team": "shop"}) as one:
        one.has(2)
        first, second = one.pipeline.records
        assert one.counted("whence_receiver_file_lines_unparsed") == 1
    assert (first["timeUnixNano"], first["severityNumber"]) == ("1704164645000000000", 13)
    assert first["body"] == {"stringValue": "order placed"}
    assert attributes(first)["team"] == "shop"
    assert second["body"] == {"stringValue": "noise"}


def test_records_of_one_resource_and_scope_are_together(tmp_path: Path) -> None:
    """In their order; those of another are apart."""
    lines = [{"service": "a", "logger": "x"}, {"service": "a", "logger": "y"}, {"service": "b", "logger": "y"}]
    (tmp_path / "a.log").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in [*lines, lines[2]]))
    operators = [
        {"type": "json_parser", "scope_name": {"parse_from": "attributes.logger"}},
        {"type": "move", "from": "attributes.service", "to": 'resource["service.name"]'},
    ]
    with logs(tmp_path, "a.log", operators=operators) as one:
        one.has(4)
        (batch,) = one.pipeline.kept
    shape = [
        (attributes(resource["resource"])["service.name"], [(s["scope"]["name"], len(s["logRecords"])) for s in scopes])
        for resource in (batch.tree or {})["resourceLogs"]
        if (scopes := resource["scopeLogs"])
    ]
    assert shape == [("a", [("x", 1), ("y", 1)]), ("b", [("y", 2)])]


def test_spaces_around_a_line_go_unless_they_are_wanted(tmp_path: Path) -> None:
    """A line of spaces is none."""
    for n, (settings, said) in enumerate(
        (
            ({}, "a"),
            ({"preserve_leading_whitespaces": True}, "  a"),
            ({"preserve_trailing_whitespaces": True}, "a \t"),
        )
    ):
        folder = tmp_path / str(n)
        folder.mkdir()
        (folder / "a.log").write_bytes(b"  a \t\r\n   \n" if n == 0 else b"  a \t\r\n\n")
        with logs(folder, "a.log", **settings) as one:
            assert one.has(1) == [said]


def test_bytes_are_kept_with_the_encoding_nop(tmp_path: Path) -> None:
    """Nothing is decoded."""
    (tmp_path / "a.log").write_bytes(b"\xff\x00a\n")
    with logs(tmp_path, "a.log", encoding="nop") as one:
        one.until(lambda: one.pipeline.records)
        assert plain_value(one.pipeline.records[0]["body"]) == b"\xff\x00a"
