"""Reading: every good line of every file, whoever wrote it; damage is told with its place and hides nothing."""

import gzip
import os
import threading
from pathlib import Path

import pytest
import zstandard

from build import an_event
from build_archive import a_line, some_lines, uid_of, write_archive
from whence.archive.reader import Archive, list_segments
from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.errors import DataError, NotFoundError
from whence.event import names
from whence.otlp.decode import Place

FOREIGN = b"".join(line.data for line in some_lines(5))


def uids(archive: Archive, **which) -> list[str]:
    return [uid_of(line.data) for line in archive.lines(**which)]


def an_archive(
    directory: Path, count: int, *, compress_over: int | None = None, rotate_bytes: int = 10**9, size: int = 0
) -> Archive:
    write_archive(
        directory, some_lines(count, size=size), WriterOptions(rotate_bytes=rotate_bytes, compress_over=compress_over)
    )
    return Archive(directory)


def only_file(directory: Path, pattern: str) -> Path:
    (file,) = directory.rglob(pattern)
    return file


def test_nothing_there_is_not_found(tmp_path: Path) -> None:
    """An archive that does not exist is an error that names it; an empty directory is an empty archive."""
    with pytest.raises(NotFoundError, match="nowhere"):
        Archive(tmp_path / "nowhere")
    assert list(Archive(tmp_path).events()) == []


@pytest.mark.parametrize("compress_over", [None, 0])
def test_lines_come_in_order_across_segments(tmp_path: Path, compress_over: int | None) -> None:
    """Segments are read in the order they were written, whatever form they are in."""
    archive = an_archive(tmp_path, 100, compress_over=compress_over, rotate_bytes=3_000)
    assert len(archive.segments()) > 5
    assert uids(archive) == [str(n) for n in range(100)]
    assert archive.problems == []


def test_groups_and_signals_are_chosen_by_file(tmp_path: Path) -> None:
    """Asking for one group and signal opens only their files."""
    writer = ArchiveWriter(tmp_path)
    for group in ("one", "two"):
        writer.append(group, "logs", [a_line(f"{group}-log")])
        writer.append(group, "traces", [a_line(f"{group}-span", key="resourceSpans")])
    writer.close()
    archive = Archive(tmp_path)
    assert uids(archive, groups={"two"}, signal="logs") == ["two-log"]
    assert {segment.group for segment in archive.segments(signal="traces")} == {"one", "two"}


def test_a_place_stays_the_same_when_a_segment_is_sealed_and_compressed(tmp_path: Path) -> None:
    """The same line has the same place live, sealed and compressed, and is read alone through it."""
    writer = ArchiveWriter(tmp_path, WriterOptions(compress_over=0))
    writer.append("run", "logs", some_lines(3_000, size=400))
    live = list(Archive(tmp_path).lines())
    writer.close()
    archive = Archive(tmp_path)
    only_file(tmp_path, "*.zst")
    assert list(archive.lines()) == live
    for line in (live[0], live[1], live[1_500], live[-1]):
        assert archive.read_line(line.place) == line.data
    segment = archive.segments()[0]
    assert segment.last_lines(2) == live[-2:]
    assert segment.last_lines(1_500) == live[-1_500:]
    assert segment.last_lines(10**6) == live


def test_a_place_that_is_none_says_so(tmp_path: Path) -> None:
    """An unknown segment is not found, an offset inside a line is an error of the caller's data."""
    archive = an_archive(tmp_path, 10)
    line = list(archive.lines())[3]
    with pytest.raises(NotFoundError):
        archive.read_line(Place("logs-x", 0))
    with pytest.raises(DataError):
        archive.read_line(line.place._replace(offset=line.place.offset + 1))
    with pytest.raises(DataError):
        archive.read_line(line.place._replace(offset=10**9))


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".jsonl.gz", ".json.gz", ".jsonl.zst", ".json.zst"])
@pytest.mark.parametrize("where", [".", "a/b/c"])
def test_files_by_other_writers_are_read_at_any_depth(tmp_path: Path, ending: str, where: str) -> None:
    """The Collector's file exporter, rotated and compressed by others: read as it is, also alone."""
    file = tmp_path / where / f"traces{ending}"
    file.parent.mkdir(parents=True, exist_ok=True)
    packed = {"gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress}
    file.write_bytes(packed.get(ending.rpartition(".")[2], bytes)(FOREIGN))
    for archive in (Archive(tmp_path), Archive(file)):
        assert uids(archive) == ["0", "1", "2", "3", "4"]
        assert uids(archive, signal="logs") == ["0", "1", "2", "3", "4"]
        assert uids(archive, signal="metrics") == []
        assert archive.problems == []
        line = list(archive.lines())[2]
        assert archive.read_line(line.place) == line.data
    assert Archive(file).segments()[0].last_lines(1)[0].data == FOREIGN.splitlines()[-1]


def test_two_files_of_one_name_have_their_own_places(tmp_path: Path) -> None:
    """`a/x.jsonl` and `b/x.jsonl` are two segments."""
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.jsonl").write_bytes(a_line(folder).data)
    archive = Archive(tmp_path)
    assert [uid_of(archive.read_line(line.place)) for line in archive.lines()] == ["a", "b"]


def test_several_frames_and_members_in_one_file_are_all_read(tmp_path: Path) -> None:
    """Appending compressors make files of many frames; none after the first is forgotten."""
    halves = [b"".join(line.data for line in some_lines(3, first=first)) for first in (0, 3)]
    (tmp_path / "a.jsonl.zst").write_bytes(b"".join(zstandard.ZstdCompressor().compress(half) for half in halves))
    (tmp_path / "b.jsonl.gz").write_bytes(b"".join(gzip.compress(half) for half in halves))
    archive = Archive(tmp_path)
    assert uids(archive) == [str(n) for n in range(6)] * 2
    assert archive.problems == []


@pytest.mark.parametrize("ending", ["zst", "gz"])
def test_a_cut_compressed_file_of_another_writer_is_noticed(tmp_path: Path, ending: str) -> None:
    """What can be read is given; that something is missing is told, though the library would not say so."""
    plain = b"".join(line.data for line in some_lines(20_000))
    packed = gzip.compress(plain) if ending == "gz" else zstandard.ZstdCompressor().compress(plain)
    (tmp_path / f"x.jsonl.{ending}").write_bytes(packed[: len(packed) * 2 // 3])
    archive = Archive(tmp_path)
    found = uids(archive)
    assert found == [str(n) for n in range(len(found))]
    assert 100 < len(found) < 20_000
    assert [problem.kind for problem in archive.problems] in (["bad line", "unreadable"], ["unreadable"])


def test_garbage_in_the_middle_hides_no_good_line(tmp_path: Path) -> None:
    """Random bytes, NULs, wrong UTF-8, plain text, numbers, arrays: each told with its place, the lines around are there."""
    bad = [
        os.urandom(50).replace(b"\n", b"").replace(b"{", b""),
        b"\0" * 100,
        b"\xff\xfe\xfd",
        b"Traceback (most",
        b"17",
        b"[]",
        b'"x"',
    ]
    data = b""
    for n, junk in enumerate(bad):
        data += a_line(str(n)).data + junk + b"\n"
    data += b"\n \r\n" + a_line("last").data
    (tmp_path / "x.jsonl").write_bytes(data)
    archive = Archive(tmp_path)
    assert uids(archive) == [*map(str, range(len(bad))), "last"]
    assert [problem.kind for problem in archive.problems] == ["bad line"] * len(bad)
    for problem, junk in zip(archive.problems, bad, strict=True):
        assert data[problem.offset : problem.offset + problem.length] == junk


def test_lines_that_only_look_like_events_are_told_by_events(tmp_path: Path) -> None:
    """A brace does not make an event: broken JSON and foreign objects are skipped with their place, once."""
    bad = [b'{"resourceLogs":[{"sco', b'{"hello":1}', b'{"resourceLogs":"\xff"}', b"{" * 5_000]
    data = a_line("1").data + b"\n".join(bad) + b"\n" + a_line("2").data
    (tmp_path / "x.jsonl").write_bytes(data)
    archive = Archive(tmp_path)
    for _ in range(2):
        assert [event.id for event in archive.events()] == ["1", "2"]
        assert len(archive.problems) == len(bad)
    assert {problem.offset for problem in archive.problems} == {data.index(b"\n" + line) + 1 for line in bad}


def test_unicode_line_separators_do_not_end_a_line(tmp_path: Path) -> None:
    """JSON strings carry U+2028, U+0085 and others raw: only a newline byte ends a line."""
    line = a_line("1", run="a\u2028b\u2029c\u0085d\x1ce\x0bf")
    (tmp_path / "x.jsonl").write_bytes(line.data * 2)
    assert len(list(Archive(tmp_path).lines())) == 2


def test_a_last_line_without_newline_is_an_event_only_in_files_of_others(tmp_path: Path) -> None:
    """`printf` writes no newline, so others' whole last line counts; in our segments it may still be growing."""
    (tmp_path / "foreign.jsonl").write_bytes(FOREIGN.removesuffix(b"\n"))
    assert uids(Archive(tmp_path)) == ["0", "1", "2", "3", "4"]
    writer = ArchiveWriter(tmp_path / "ours")
    writer.append("run", "logs", some_lines(2))
    with only_file(tmp_path / "ours", "*.jsonl").open("ab") as file:
        file.write(a_line("2").data.removesuffix(b"\n"))
    archive = Archive(tmp_path / "ours")
    assert uids(archive) == ["0", "1"]
    assert [problem.kind for problem in archive.problems] == ["tail"]


def test_empty_files_are_fine(tmp_path: Path) -> None:
    """An empty file, plain or packed, is no event and no problem."""
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "b.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(b""))
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(b""))
    (tmp_path / "d.jsonl.zst").touch()
    archive = Archive(tmp_path)
    assert list(archive.lines()) == []
    assert archive.problems == []


def test_an_id_that_comes_twice_is_given_once(tmp_path: Path) -> None:
    """A batch sent again is not two events, unless asked for."""
    (tmp_path / "a.jsonl").write_bytes(FOREIGN)
    (tmp_path / "b.jsonl").write_bytes(FOREIGN)
    assert [event.id for event in Archive(tmp_path).events()] == ["0", "1", "2", "3", "4"]
    assert len(list(Archive(tmp_path).events(unique=False))) == 10
    assert names.ID == "log.record.uid"


def test_a_damaged_frame_costs_only_itself(tmp_path: Path) -> None:
    """One changed byte in a compressed segment: the frames before and behind it are read, the gap is told."""
    archive = an_archive(tmp_path, 5_000, compress_over=0, size=300)
    file = only_file(tmp_path, "*.zst")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(data)
    found = uids(archive)
    assert 3_000 < len(found) < 5_000
    assert found[0] == "0"
    assert found[-1] == "4999"
    assert [problem.kind for problem in archive.problems] == ["damaged"]
    gap = archive.problems[0]
    assert gap.length == pytest.approx(256 << 10, rel=0.05)


def test_a_changed_byte_in_a_plain_sealed_segment_is_told(tmp_path: Path) -> None:
    """The lines are served, with the word that they are not what was sealed."""
    archive = an_archive(tmp_path, 10)
    file = only_file(tmp_path, "*.jsonl")
    file.write_bytes(file.read_bytes().replace(b"thing_happened", b"other_happened", 1))
    assert len(uids(archive)) == 10
    assert [problem.kind for problem in archive.problems] == ["changed"]


def test_bytes_behind_a_sealed_length_are_not_read(tmp_path: Path) -> None:
    """A seal ends its segment: what somebody appends later is no part of the archive, and told."""
    archive = an_archive(tmp_path, 3)
    with only_file(tmp_path, "*.jsonl").open("ab") as file:
        file.write(a_line("forged").data)
    assert uids(archive) == ["0", "1", "2"]
    assert [problem.kind for problem in archive.problems] == ["extra"]


def test_a_cut_sealed_segment_is_told(tmp_path: Path) -> None:
    """Missing bytes at the end of a sealed segment, plain or compressed, are told with their number."""
    for compress_over in (None, 0):
        directory = tmp_path / str(compress_over)
        archive = an_archive(directory, 3_000, compress_over=compress_over, size=300)
        file = only_file(directory, "*.jsonl.zst" if compress_over == 0 else "*.jsonl")
        os.truncate(file, file.stat().st_size // 2)
        assert 1_000 < len(uids(archive)) < 3_000
        assert {"missing", "unreadable"} & {problem.kind for problem in archive.problems}


def test_reading_goes_on_while_files_change_form(tmp_path: Path) -> None:
    """Segments that are sealed and compressed between listing and opening are read all the same."""
    writer = ArchiveWriter(tmp_path, WriterOptions(rotate_bytes=4_000, compress_over=0))
    stop = threading.Event()
    counts: list[int] = []
    problems = []

    def read() -> None:
        while not stop.is_set():
            archive = Archive(tmp_path)
            found = [int(uid) for uid in uids(archive)]
            assert found == list(range(len(found)))
            counts.append(len(found))
            problems.extend(problem for problem in archive.problems if problem.kind != "tail")

    reader = threading.Thread(target=read)
    reader.start()
    for line in some_lines(2_000, size=200):
        writer.append("run", "logs", [line])
    stop.set()
    reader.join()
    writer.close()
    assert counts == sorted(counts)
    assert problems == []
    assert len(uids(Archive(tmp_path))) == 2_000


def test_an_archive_that_stays_open_sees_every_file_that_comes_and_goes(tmp_path: Path) -> None:
    """However soon after a listing it changes: in the directory, in a folder, in a folder of a folder."""
    archive = Archive(tmp_path)
    for n in range(200):
        folder = tmp_path / ("" if n % 3 == 0 else "a" if n % 3 == 1 else f"b{n}/c")
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"file{n}.jsonl"
        file.write_bytes(an_event().line)
        assert len(archive.segments()) == n + 1 == len(list_segments(tmp_path))
    for folder in (tmp_path, tmp_path / "a"):
        os.utime(folder, (1, 1))
    assert len(archive.segments()) == 200
    assert archive.segments() == list_segments(tmp_path)
    (tmp_path / "a" / "file1.jsonl").unlink()
    assert len(archive.segments()) == 199
    (tmp_path / "a").rename(tmp_path / "moved")
    assert archive.segments() == list_segments(tmp_path)
