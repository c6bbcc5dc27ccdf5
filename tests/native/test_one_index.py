"""The native core and the pure one make one index: the same rows of the same lines, and the same said of what is broken."""

import random
from itertools import accumulate
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from build import a_span, an_event
from build_columns import STEM, a_line, agree, refused
from build_mutants import text_mutant
from build_native import MANY, needs_native
from build_requests import everything, json_of, other_spellings, requests
from whence.archive.reader import list_segments
from whence.errors import DataError
from whence.event.kinds import Severity
from whence.index import lines as columns
from whence.index.requests import lines_and_columns
from whence.index.terms import TermsBuilder
from whence.otlp import wire
from whence.otlp.decode import Place
from whence.otlp.limits import Limits

pytestmark = needs_native
GOLDEN = Path(__file__).parents[1] / "golden"
EACH = pytest.mark.parametrize("signal", ["logs", "traces"])


@EACH
@pytest.mark.parametrize("odd", [0.0, 0.02, 0.2])
def test_any_line_becomes_the_same_rows(signal: str, odd: float) -> None:
    """Every name that means something with every kind of value, fields in any order, oddities few and many."""
    chance = random.Random(f"{signal} {odd}")
    for _ in range(3):
        agree([a_line(chance, signal, odd) for _ in range(50)])


@EACH
@MANY
@given(data=st.data())
def test_any_request_becomes_the_same_rows(signal: Any, data: st.DataObject) -> None:
    """Of the whole schema, as lines of ours and as other writers spell them."""
    message = data.draw(requests(signal, right=False))
    ours = [line.data for line in wire.lines_of_protobuf(signal, message.SerializeToString()).lines]
    theirs = orjson.dumps(data.draw(other_spellings(json_of(message))))
    agree([*ours, theirs])


@EACH
def test_broken_lines_are_never_read_otherwise(signal: str) -> None:
    """Cut, changed, with pieces of other JSON in them: the same rows of what can be read, the same told of the rest."""
    chance = random.Random(f"broken {signal}")
    for _ in range(8):
        line = a_line(chance, signal, 0.0)
        agree([text_mutant(line, chance) for _ in range(40)])
    written = orjson.dumps(json_of(everything(signal)))
    agree([written[:end] for end in range(0, len(written), 11)])


ODD: tuple[bytes, ...] = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b"{",
    b'{"resourceLogs":1}',
    b'{"resourceLogs":null}',
    b'{"resourceLogs":[null]}',
    b'{"resourceMetrics":[{"anything":[1,2,{}]}]}',
    b'{"resourceMetrics":[],"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}',
    b'{"resourceLogs":[],"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}',
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}],"resource":{"attributes":[{"key":"late"}]}}]}',
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}],"scope":{"name":"late"}}]}]}',
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"a","eventName":null},{"eventName":null,"eventName":"a"}]}]}]}',
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"\\ud800"}]}]}]}',
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"doubleValue":NaN}}]}]}]}',
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityText":"\xc4\xb1nfo"}]}]}]}',
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"\xff"}}]}]}]}',
    b'\xef\xbb\xbf{"resourceLogs":[]}',
    b' \t{"resourceSpans" : [ { "scopeSpans" : [ { "spans" : [ { "name" : "spaced" } , 7 ] } ] } ] } \r',
    b'{"resourceSpans":[{"resource":{"attributes":{}},"scopeSpans":[{"scope":[],"spans":[{}]}]}]}',
    b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":9223372036854775808}]}]}]}',
    b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"droppedLinksCount":9223372036854775807,"droppedEventsCount":1}]}]}]}',
    b'{"resourceSpans":' + b"[" * 2000 + b"]" * 2000 + b"}",
    b'{"unknown":' + b"[" * 700 + b"]" * 700 + b',"resourceLogs":[]}',
)


def test_odd_lines_are_read_alike() -> None:
    """Each alone, and all among good ones, in their order."""
    good = an_event("good", id="good").line.rstrip()
    for line in ODD:
        agree([line])
    found = agree([line for odd in ODD for line in (good, odd)])
    assert found["id"].to_pylist().count("good") == len(ODD)


@pytest.mark.parametrize("levels", [1, 62, 63, 64, 65, 300])
def test_depth_is_counted_alike(levels: int) -> None:
    """Lists in lists and maps in maps, up to where a value is refused and beyond."""
    for before, after in (
        (b'{"arrayValue":{"values":[', b"]}}"),
        (b'{"kvlistValue":{"values":[{"key":"k","value":', b"}]}}"),
    ):
        value = before * levels + b'{"intValue":"1"}' + after * levels
        record = b'{"attributes":[{"key":"a","value":' + value + b'}],"body":' + value + b"}"
        agree([b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + record + b"]}]}]}"])


def test_our_own_lines_are_taken_whole() -> None:
    """What whence writes itself needs no second look: nothing is left to the slower core."""
    first = an_event("turn_start", payload={"a": [1, None, {"b": "ü"}], "c": 0.5}, kind="milestone", turn=3, agent="a7")
    lines = [
        first.line,
        an_event("step", first, "span:" + "0" * 32, severity=Severity.ERROR, description="it broke", uid=False).line,
        an_event(
            "plain", attributes={"session.id": "s", "x": True}, resource={"process.pid": 7, "host.name": "hö"}
        ).line,
        a_span("GET /", span="b" * 16, failed="boom", attributes={"http.route": "/"}).line,
    ]
    lines = [line.rstrip() for line in lines]
    assert refused(lines) == 0
    assert len(agree(lines)) >= len(lines)


@pytest.mark.parametrize("folder", ["archive", "otlp"])
def test_golden_files_become_the_same_rows(folder: str) -> None:
    """Archives of former versions, and what the official exporter wrote."""
    count = 0
    for segment in list_segments(GOLDEN / folder):
        count += len(agree([line.data for line in segment.lines([])]))
    assert count


def test_long_texts_and_many_keys_are_no_special_case() -> None:
    """Digests of ids over several blocks, more keys than are compared one by one, a batch of more than one round."""
    pairs = ",".join(f'{{"key":"k{n}","value":{{"intValue":"{n}"}}}}' for n in range(200))
    uid = f'{{"key":"log.record.uid","value":{{"stringValue":"{"id" * 300}"}}}}'
    record = f'{{"eventName":"{"long" * 500}","attributes":[{uid},{pairs}]}}'
    line = f'{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{",".join([record] * 5)}]}}]}}]}}'.encode()
    assert refused([line]) == 0
    agree([line])
    small = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + b",".join([b"{}"] * 3000) + b"]}]}]}"
    assert len(agree([small] * 3)) == 9000
    assert columns.ROWS < 6000


def test_a_segments_name_and_a_lines_place_make_the_ids_of_records_without_one() -> None:
    """The same as of the events, so that an index changes no id."""
    line = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"5"},{}]}]}]}'
    found = agree([line, line])
    assert len(set(found["id"].to_pylist())) == 4
    assert found["_stem"].to_pylist() == [STEM] * 4


@EACH
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_request_becomes_lines_and_columns_at_once(
    signal: Any, encoding: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines that the codec makes, and the rows that those lines have at their place; also of what is left to Python."""
    message = everything(signal)
    data = message.SerializeToString() if encoding == "protobuf" else orjson.dumps(json_of(message))
    place = Place(STEM, 4711)
    for limits in (Limits(), Limits(records_per_line=1)):
        taken = lines_and_columns(signal, data, place, print, encoding=encoding, limits=limits)
        assert taken.lines == getattr(wire, f"lines_of_{encoding}")(signal, data, limits)
        offsets = accumulate((len(line.data) for line in taken.lines.lines), initial=place.offset)
        placed = [(at, line.data) for at, line in zip(offsets, taken.lines.lines, strict=False)]
        assert all(data.endswith(b"}\n") for _, data in placed)
        expected = list(columns.pure_batches(STEM, placed, print))
        assert sum(map(len, expected)) > 0
        assert pa.Table.from_batches(taken.batches) == pa.Table.from_batches(expected)
        with monkeypatch.context() as patched:
            patched.setattr("whence.index.requests.NATIVE", None)
            pure = lines_and_columns(signal, data, place, print, encoding=encoding, limits=limits)
        assert (pure.lines, pa.Table.from_batches(pure.batches)) == (taken.lines, pa.Table.from_batches(expected))


def test_a_request_that_is_none_is_refused_in_the_codecs_words() -> None:
    """And of metrics there are lines and no rows."""
    for data, encoding in ((b"\xff", "protobuf"), (b"[", "json")):
        with pytest.raises(DataError) as refusal:
            lines_and_columns("logs", data, Place(STEM, 0), print, encoding=encoding)  # type: ignore[arg-type]
        with pytest.raises(DataError) as expected:
            getattr(wire, f"lines_of_{encoding}")("logs", data)
        assert str(refusal.value) == str(expected.value)
    taken = lines_and_columns("metrics", everything("metrics").SerializeToString(), Place(STEM, 0), print)
    assert taken.lines.lines
    assert taken.batches == []


def test_the_lists_of_terms_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words of ASCII and of other text, keys of any value, over several blocks and slices of them."""
    chance = random.Random("terms")
    whole = agree([a_line(chance, signal, 0.0) for _ in range(60) for signal in ("logs", "traces")]).to_batches()[0]
    blocks = [whole.slice(0, 40), whole.slice(40, 1), whole.slice(41), whole.slice(0, 0)]

    def made() -> dict[str, bytes]:
        builder = TermsBuilder()
        for block in blocks:
            builder.add(block)
        return {name: bytes(memoryview(array).cast("B")) for name, array in builder.finish().items()}

    found = made()
    monkeypatch.setattr("whence.index.terms.NATIVE", None)
    assert found == made()
