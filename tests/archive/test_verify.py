"""Verification: every changed bit, missing byte and missing segment of what was sealed is found and named."""

import shutil
from pathlib import Path

import pytest

from build_archive import TORTURE, a_line, some_lines, write_archive
from whence.archive import names
from whence.archive.seal import parse_seal, seal_text
from whence.archive.verify import verify
from whence.archive.writer import ArchiveWriter, WriterOptions
from whence.errors import NotFoundError


@pytest.fixture
def chained(tmp_path: Path) -> Path:
    """An archive of one chain of several sealed segments, plain."""
    options = WriterOptions(rotate_bytes=1_000, compress_over=None)
    write_archive(tmp_path / "archive", some_lines(20), options)
    return tmp_path / "archive"


def files(directory: Path, ending: str) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.name.endswith(ending))


def test_a_whole_archive_has_no_problems(chained: Path) -> None:
    """Everything is counted and there is nothing to complain of."""
    report = verify(chained)
    assert (report.ok, report.segments, report.sealed, report.lines, report.records) == (True, 7, 7, 20, 20)
    assert report.bytes == sum(path.stat().st_size for path in files(chained, ".jsonl"))
    (newest,) = report.last_seals.values()
    assert newest == parse_seal(files(chained, ".seal.json")[-1].read_bytes()).digest


def test_no_archive_is_not_found(tmp_path: Path) -> None:
    """A wrong path is an error, not a clean report."""
    with pytest.raises(NotFoundError):
        verify(tmp_path / "nowhere")


@pytest.mark.parametrize("form", [".jsonl", ".jsonl.zst", ".seal.json"])
def test_every_flipped_bit_is_found(tmp_path: Path, form: str) -> None:
    """One bit at a time, through all of a sealed segment, its compressed form and its seal: all found, the file named."""
    write_archive(tmp_path, some_lines(6), WriterOptions(compress_over=0 if "zst" in form else None))
    (file,) = files(tmp_path, form)
    whole = file.read_bytes()
    missed = []
    bits = range(0, len(whole) * 8, 1 if TORTURE else 7)
    for bit in bits:
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << (bit % 8)
        file.write_bytes(changed)
        report = verify(tmp_path)
        if report.ok or file.name.partition(".")[0] not in report.problems[0].segment:
            missed.append(bit)
    file.write_bytes(whole)
    assert missed == []
    assert verify(tmp_path).ok
    print(f"{len(bits)} of {len(bits)} flipped bits found in {form}")


def test_a_missing_segment_in_the_middle_is_found(chained: Path) -> None:
    """Removing a segment with its seal leaves a hole in the numbers; removing the file alone leaves a seal without it."""
    third = files(chained, ".jsonl")[2]
    third.unlink()
    assert [problem.kind for problem in verify(chained).problems] == ["missing"]
    third.with_name(third.name.replace(".jsonl", ".seal.json")).unlink()
    (problem,) = verify(chained).problems
    assert problem.kind == "chain"
    assert "numbers 3 to 3" in problem.detail


def test_a_removed_seal_is_found(chained: Path) -> None:
    """Without its seal a segment looks as if it were still being written; later seals give that away."""
    files(chained, ".seal.json")[1].unlink()
    (problem,) = verify(chained).problems
    assert problem.kind == "chain"
    assert "no seal" in problem.detail


def test_a_segment_sealed_anew_after_a_change_is_found_by_the_next_seal(chained: Path) -> None:
    """Somebody who edits a line and makes a fitting seal breaks the chain."""
    file, seal = files(chained, ".jsonl")[1], files(chained, ".seal.json")[1]
    old = parse_seal(seal.read_bytes())
    file.unlink()
    seal.unlink()
    forged = chained.parent / "forged"
    write_archive(forged, [a_line(f"forged-{n}") for n in range(4)], WriterOptions(compress_over=None))
    fresh = parse_seal(files(forged, ".seal.json")[0].read_bytes())
    shutil.copy(files(forged, ".jsonl")[0], file)
    fields = {
        name: getattr(fresh, name)
        for name in ("bytes", "lines", "records", "sha256", "first_time", "last_time", "notes")
    }
    seal.write_bytes(seal_text(type(old)(segment=old.segment, previous=old.previous, **fields)))
    (problem,) = verify(chained).problems
    assert problem.kind == "chain"


def test_seals_swapped_between_segments_are_found(chained: Path) -> None:
    """A seal belongs to one segment."""
    first, second = files(chained, ".seal.json")[:2]
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    assert {problem.kind for problem in verify(chained).problems} >= {"changed"}


def test_what_is_being_written_is_no_damage(tmp_path: Path) -> None:
    """A running writer's segments and a torn tail are told apart from problems."""
    writer = ArchiveWriter(tmp_path)
    writer.append("run", "logs", some_lines(3))
    (file,) = files(tmp_path, ".jsonl")
    with file.open("ab") as open_file:
        open_file.write(b'{"resou')
    report = verify(tmp_path)
    assert report.ok
    assert report.unsealed == [f"run/{file.name.removesuffix(names.PLAIN)}"]
    assert [tail.length for tail in report.tails] == [7]
    writer.close()


def test_files_of_other_writers_are_counted_apart(tmp_path: Path) -> None:
    """Nothing can be said of them, and nothing is."""
    (tmp_path / "x.jsonl").write_bytes(a_line("1").data)
    report = verify(tmp_path)
    assert (report.ok, report.segments, report.foreign, report.sealed) == (True, 1, 1, 0)
