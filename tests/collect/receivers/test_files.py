"""The receiver otlp_json_file: every line of every file once, through rotation, compression, restarts and trouble."""

import gzip
import logging
import os
import shutil
from pathlib import Path

import pytest
import zstandard

from build_files import Pipeline, a_line, lines_of, reading
from whence.collect.batch import Batch
from whence.collect.outcome import Unacceptable


def names(prefix: str, count: int) -> list[str]:
    """What `lines_of` says."""
    return [f"{prefix}-{n}" for n in range(count)]


def test_lines_of_every_signal_are_read_in_their_order(tmp_path: Path) -> None:
    """Each goes to the pipeline of its signal."""
    (tmp_path / "a.jsonl").write_bytes(
        a_line("l1", "l2") + a_line("s1", signal="traces") + a_line("m1", signal="metrics")
    )
    with reading(tmp_path, "*.jsonl") as one:
        assert one.has(4) == ["l1", "l2", "s1", "m1"]
        assert [batch.signal for batch in one.pipeline.kept] == ["logs", "traces", "metrics"]
        assert {batch.transport for batch in one.pipeline.kept} == {"file"}


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    """A line that is not finished waits for its end."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines_of("a", 2))
    with reading(tmp_path, "a.jsonl") as one:
        one.has(2)
        line = a_line("whole")
        with file.open("ab") as writer:
            writer.write(line[:20])
            writer.flush()
            one.rounds(8)
            assert len(one.said) == 2
            writer.write(line[20:])
        assert one.has(3)[-1] == "whole"


def test_a_last_line_without_an_end_is_read_where_it_is_whole(tmp_path: Path) -> None:
    """No part of a JSON object is one; what comes behind it later is read too."""
    file = tmp_path / "a.json"
    file.write_bytes(a_line("only").rstrip())
    with reading(tmp_path, "a.json") as one:
        one.has(1)
        with file.open("ab") as writer:
            writer.write(b"\n" + a_line("next"))
        assert one.has(2) == ["only", "next"]


def test_bad_lines_are_counted_told_with_their_place_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are taken."""
    bad = [b"no json\n", b"[1]\n", b'{"other": 1}\n', b'{"resourceLogs": 7}\n', b'{"resourceLogs": [{"scope']
    (tmp_path / "a.jsonl").write_bytes(a_line("x") + bad[0] + bad[1] + b"\n" + b"{}\n" + bad[2] + bad[3] + a_line("y"))
    with caplog.at_level(logging.WARNING), reading(tmp_path, "a.jsonl") as one:
        assert one.has(2) == ["x", "y"]
        assert one.counted("whence_receiver_file_lines_skipped") == 4
    told = [record.getMessage() for record in caplog.records]
    assert [f", line {n} (byte" in "\n".join(told) for n in range(1, 8)] == [
        False,
        True,
        True,
        False,
        False,
        True,
        True,
    ]
    assert str(tmp_path / "a.jsonl") in told[0]


def test_a_line_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    """Its rest is passed over, and the next line is read."""
    (tmp_path / "a.jsonl").write_bytes(a_line("x") + a_line("long", pad=3_000_000) + a_line("y"))
    with reading(tmp_path, "a.jsonl", max_log_size="10KiB") as one:
        assert one.has(2) == ["x", "y"]


def test_by_default_what_is_there_at_the_first_start_is_passed_over(tmp_path: Path) -> None:
    """What is appended, and files that come later, even while nothing runs, are read from their beginnings."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines_of("old", 3))
    with reading(tmp_path, "*.jsonl", start_at="end") as one:
        one.rounds()
        with file.open("ab") as writer:
            writer.write(a_line("new"))
        one.has(1)
        (tmp_path / "b.jsonl").write_bytes(a_line("b"))
        assert one.has(2) == ["new", "b"]
    with file.open("ab") as writer:
        writer.write(a_line("meanwhile"))
    (tmp_path / "c.jsonl").write_bytes(a_line("c"))
    with reading(tmp_path, "*.jsonl", start_at="end") as one:
        assert sorted(one.has(2)) == ["c", "meanwhile"]


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    """Nothing is read twice."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines_of("a", 5))
    with reading(tmp_path, "a.jsonl") as one:
        one.has(5)
    with file.open("ab") as writer:
        writer.write(a_line("more"))
    with reading(tmp_path, "a.jsonl") as one:
        assert one.has(1) == ["more"]


def test_rotation_by_rename(tmp_path: Path) -> None:
    """What is written to the old file before and after it is renamed is read, and nothing twice; also where its new name does
    not match."""
    for include in ("a.jsonl*", "a.jsonl"):
        folder = tmp_path / include.replace("*", "star")
        folder.mkdir()
        file = folder / "a.jsonl"
        file.write_bytes(lines_of("a", 5))
        with reading(folder, include) as one:
            one.has(5)
            with file.open("ab") as writer:
                writer.write(a_line("before"))
                file.rename(folder / "a.jsonl.1")
                file.write_bytes(a_line("new"))
                writer.write(a_line("after"))
            assert sorted(one.has(8)[5:]) == ["after", "before", "new"]


def test_rotation_by_copy_and_truncate(tmp_path: Path) -> None:
    """The copy is known as what was read; what was not read before the cut is read from the copy."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines_of("a", 20))
    with reading(tmp_path, "a.jsonl*") as one:
        one.has(20)
        shutil.copy(file, tmp_path / "a.jsonl.1")
        os.truncate(file, 0)
        with file.open("ab") as writer:
            writer.write(lines_of("b", 30))  # longer than before: only its bytes tell
        assert one.has(50)[20:] == names("b", 30)
        one.pipeline.refuse()
        with file.open("ab") as writer:
            writer.write(lines_of("c", 3))
        one.until(lambda: one.pipeline.offered > 2)
        shutil.copy(file, tmp_path / "a.jsonl.2")
        os.truncate(file, 0)
        one.pipeline.failure = None
        assert one.has(53)[50:] == names("c", 3)


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_rotated_file_that_is_compressed_is_not_read_again(tmp_path: Path, ending: str) -> None:
    """By what it holds: also what the plain one had not given yet is read from it, once."""

    def packed(data: bytes) -> bytes:
        return gzip.compress(data) if ending == ".gz" else zstandard.compress(data)

    file = tmp_path / "a.jsonl"
    file.write_bytes(lines_of("a", 20))
    with reading(tmp_path, "a.jsonl*") as one:
        one.has(20)
    more = file.read_bytes() + lines_of("b", 3)
    file.unlink()
    (tmp_path / f"a.jsonl.1{ending}").write_bytes(packed(more))
    (tmp_path / f"other.jsonl{ending}").write_bytes(packed(lines_of("other", 1)))
    with reading(tmp_path, "*.jsonl*") as one:
        assert sorted(one.has(4)) == [*names("b", 3), "other-0"]
        (tmp_path / f"a.jsonl.1{ending}").rename(tmp_path / f"a.jsonl.2{ending}")
        shutil.copy(tmp_path / f"a.jsonl.2{ending}", tmp_path / f"copy.jsonl{ending}")
        (tmp_path / f"a.jsonl.2{ending}").unlink()
        one.rounds(8)
        assert len(one.said) == 4


def test_a_damaged_compressed_file_gives_what_it_can(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said, the others are read, and when it is whole the rest of it is."""
    data = gzip.compress(lines_of("a", 3000))
    (tmp_path / "a.jsonl.gz").write_bytes(data[: len(data) // 2])
    (tmp_path / "b.jsonl").write_bytes(a_line("b"))
    with caplog.at_level(logging.WARNING), reading(tmp_path, "*.jsonl*") as one:
        one.until(lambda: "b" in one.said and "a-10" in one.said)
        one.rounds()
        assert "cannot read" in caplog.text
        (tmp_path / "a.jsonl.gz").write_bytes(data)
        assert sorted(one.has(3001)) == sorted([*names("a", 3000), "b"])


def test_small_files_that_begin_alike_are_different_files(tmp_path: Path) -> None:
    """Rather twice than not at all: what was read of them is too short to say that one is a copy of the other."""
    with reading(tmp_path, "*.jsonl") as one:
        for n in range(3):
            (tmp_path / f"{n}.jsonl").write_bytes(a_line("the same"))
            one.has(n + 1)


def test_what_is_refused_is_offered_again(tmp_path: Path) -> None:
    """The position stands still meanwhile, also over a restart."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines_of("a", 5))
    pipeline = Pipeline()
    pipeline.refuse()
    with reading(tmp_path, "a.jsonl", pipeline=pipeline) as one:
        one.until(lambda: pipeline.offered > 3)
    assert pipeline.kept == []
    with reading(tmp_path, "a.jsonl", pipeline=pipeline) as one:
        one.until(lambda: pipeline.offered > 6)
        pipeline.failure = None
        assert one.has(5) == names("a", 5)


def test_what_is_unacceptable_is_left_out_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The line is named; its neighbours, which came with it, are taken."""
    (tmp_path / "a.jsonl").write_bytes(lines_of("a", 5))
    pipeline = Pipeline()

    def bad(batch: Batch) -> Exception | None:
        return Unacceptable("no threes") if b"a-3" in batch.protobuf() else None

    pipeline.unacceptable = bad
    with caplog.at_level(logging.WARNING), reading(tmp_path, "a.jsonl", pipeline=pipeline) as one:
        assert one.has(4) == ["a-0", "a-1", "a-2", "a-4"]
        assert one.counted("whence_receiver_file_lines_skipped") == 1
    assert "line 4 " in caplog.text and "no threes" in caplog.text


def test_a_file_is_deleted_only_when_all_of_it_was_taken(tmp_path: Path) -> None:
    """While it is refused, and while its last line has no end, it stays."""
    whole, torn, packed = tmp_path / "a.jsonl", tmp_path / "torn.jsonl", tmp_path / "p.jsonl.gz"
    whole.write_bytes(lines_of("a", 5))
    torn.write_bytes(a_line("t") + b'{"resource')
    packed.write_bytes(gzip.compress(lines_of("p", 2)))
    pipeline = Pipeline()
    pipeline.refuse()
    with reading(tmp_path, "*.jsonl*", pipeline=pipeline, delete_after_read=True) as one:
        one.until(lambda: pipeline.offered > 3)
        assert whole.exists() and torn.exists() and packed.exists()
        pipeline.failure = None
        one.has(8)
        one.until(lambda: not whole.exists() and not packed.exists())
        one.rounds()
        assert torn.exists()


def test_replaying_reads_everything_again_and_again(tmp_path: Path) -> None:
    """One pass after the other, however often the pipeline makes it wait."""
    (tmp_path / "a.jsonl").write_bytes(lines_of("a", 3))
    with reading(tmp_path, "a.jsonl", replay_file=True, start_at="end") as one:
        one.until(lambda: len(one.said) >= 9)
        assert one.said[:9] == names("a", 3) * 3


def test_the_files_of_an_archive_are_read_closed_and_compressed_or_not(tmp_path: Path) -> None:
    """Each record once, while the writer closes and compresses them."""
    from whence.archive.writer import ArchiveWriter, WriterOptions

    writer = ArchiveWriter(tmp_path / "archive", WriterOptions(rotate_bytes=20_000, compress_over=0))
    batch = Batch("logs", lines_of("a", 1).rstrip(), "json")
    with reading(tmp_path, "archive/*/*.jsonl*") as one:
        for n in range(300):
            line = Batch("logs", a_line(f"a-{n}").rstrip(), "json").lines().lines
            writer.append("g", "logs", line)
        writer.close(60)
        one.until(lambda: set(one.said) == set(names("a", 300)))
        one.rounds(8)
        assert sorted(one.said) == sorted(names("a", 300))
        assert list((tmp_path / "archive").rglob("*.zst"))
    assert batch.count() == 1


def test_the_name_of_the_file_can_be_had_as_an_attribute(tmp_path: Path) -> None:
    """On log records, spans and data points, by the Collector's names."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(a_line("l") + a_line("s", signal="traces") + a_line("m", signal="metrics"))
    with reading(tmp_path, "a.jsonl", include_file_name=True, include_file_record_number=True) as one:
        one.has(3)
        log, span, metric = one.pipeline.records
    for record, number in ((log, 1), (span, 2), (metric["gauge"]["dataPoints"][0], 3)):
        assert {pair["key"]: pair["value"] for pair in record["attributes"]} == {
            "log.file.name": {"stringValue": "a.jsonl"},
            "log.file.record_number": {"intValue": str(number)},
        }
