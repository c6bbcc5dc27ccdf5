"""How the bytes of a file become records: what is too long, encodings, records of several lines."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_files import reading
from whence.collect.receivers import filelog
from whence.collect.receivers.files.lines import Line
from whence.collect.receivers.files.splitting import Splitting
from whence.collect.records.patterns import pattern

TEXT = st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=30)


def records(data: bytes, how: Splitting) -> list[Line]:
    """Of these bytes, as at the beginning of a file."""
    return list(how.records(io.BytesIO(data), 0, 0))


@given(st.lists(TEXT), st.integers(4, 40), st.booleans())
def test_what_is_too_long_comes_in_pieces_that_make_it_whole(texts: list[str], longest: int, ended: bool) -> None:
    """No byte is lost or twice, no character is cut, and no piece is longer than it may be."""
    data = "\n".join(texts).encode() + (b"\n" if ended else b"")
    found = records(data, Splitting(longest, True, "utf-8"))
    assert "".join(one.data.decode() + ("" if one.cut else "\n") for one in found).rstrip(
        "\n"
    ) == data.decode().removeprefix("\ufeff").rstrip("\n")
    assert [one.start for one in found] == [0, *(one.end for one in found)][: len(found)]
    assert not found or found[-1].end == len(data)
    assert all(len(one.data) <= longest for one in found)
    assert [one.number for one in found] == list(range(1, len(found) + 1))


@given(st.lists(TEXT), st.sampled_from(["utf-16le", "utf-16be", "utf-8"]), st.booleans())
def test_lines_of_wide_encodings_are_read_as_those_of_utf_8(texts: list[str], encoding: str, marked: bool) -> None:
    """Also with a mark of the byte order before them, and with characters that hold the byte of a line end."""
    texts = [text.replace("\ufeff", "") + "\u0a0a\u010a" for text in texts]
    data = (("\ufeff" if marked else "") + "".join(f"{text}\r\n" for text in texts)).encode(encoding)
    found = records(data, Splitting(1000, True, encoding))
    assert [one.data.decode() for one in found if one.ended] == texts
    assert [data[one.start : one.end].decode(encoding).strip("\ufeff\r\n") for one in found if one.ended] == texts


def test_records_of_several_lines_begin_or_end_with_a_pattern() -> None:
    """What stands before the first is a record too; the last one is open until the next begins."""
    data = b"head\n2024 a\n  at x\n  at y\n2024 b\n2024 c\n  at z\n"
    found = records(data, Splitting(1000, True, "utf-8", starts=pattern(r"^\d{4} ")))
    assert [(one.data, one.ended) for one in found] == [
        (b"head", True),
        (b"2024 a\n  at x\n  at y", True),
        (b"2024 b", True),
        (b"2024 c\n  at z", False),
    ]
    assert [data[one.start : one.end].rstrip(b"\n") for one in found] == [one.data for one in found]
    ends = records(b"a\nb;\nc;\nd", Splitting(1000, True, "utf-8", ends=pattern(";$")))
    assert [(one.data, one.ended) for one in ends] == [(b"a\nb;", True), (b"c;", True), (b"d", False)]
    long = records(b"s1\n" + b"x" * 6 + b"\ny\n", Splitting(8, True, "utf-8", starts=pattern("^s")))
    assert [(one.data, one.cut) for one in long] == [(b"s1", True), (b"xxxxxx\ny", False)]


def test_records_of_several_lines_are_read_as_they_are_written(tmp_path: Path) -> None:
    """The last when the file stands still for a while; one that is written slowly is one."""
    file = tmp_path / "a.log"
    file.write_text("2024 a\n  at x\n2024 b\n")
    settings = {"multiline": {"line_start_pattern": r"^\d{4} "}, "plug": filelog.PLUG, "signals": ("logs",)}
    with reading(tmp_path, "a.log", force_flush_period="1h", **settings) as one:  # type: ignore[arg-type]
        assert one.has(1) == ["2024 a\n  at x"]
        with file.open("a") as writer:
            writer.write("  at y\n2024 c\n")
        assert one.has(2)[1] == "2024 b\n  at y"
    with reading(tmp_path, "a.log", force_flush_period="10ms", **settings) as one:  # type: ignore[arg-type]
        assert one.has(1) == ["2024 c"]


@pytest.mark.parametrize("encoding", ["utf-16le", "utf-16be", "iso-8859-1", "big5", "ascii"])
def test_files_of_other_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    """Appended in halves of characters, and from the end on."""
    file = tmp_path / "a.log"
    file.write_bytes("old\n".encode(encoding))
    text = "plain" if encoding == "ascii" else "\u9ed1\u54b8" if encoding == "big5" else "gr\u00fcn"
    data = f"{text}\nnext\n".encode(encoding)
    with reading(tmp_path, "a.log", encoding=encoding, start_at="end", plug=filelog.PLUG, signals=("logs",)) as one:
        one.rounds()
        with file.open("ab", 0) as writer:
            writer.write(data[:7])
            one.rounds()
            writer.write(data[7:])
        assert one.has(2) == [text, "next"]


def test_a_giant_line_comes_in_pieces(tmp_path: Path) -> None:
    """Nothing of it is lost, each piece is told and counted, and memory is bounded by `max_log_size`."""
    (tmp_path / "a.log").write_bytes(b"x\n" + b"g" * 250_000 + b"\ny\n")
    with reading(tmp_path, "a.log", max_log_size="100KiB", plug=filelog.PLUG, signals=("logs",)) as one:
        said = one.has(5)
        assert said[0] == "x" and said[-1] == "y"
        assert [len(text) for text in said[1:4]] == [102_400, 102_400, 45_200]
        assert one.counted("whence_receiver_file_lines_unparsed") == 2
