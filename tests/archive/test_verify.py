"""Verification: every changed bit, missing byte and missing segment of what was sealed is found and named."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from build_archive import a_line, some_lines, write_archive
from build_examples import often
from whence.archive import names
from whence.archive.digested import text_of
from whence.archive.recovery import recover
from whence.archive.removal import remove, survey
from whence.archive.retention import Policy, plan
from whence.archive.roll import enrol
from whence.archive.seal import parse_seal
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
    bits = range(0, len(whole) * 8, often(29, 1))
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
    seal.write_bytes(text_of(type(old)(segment=old.segment, previous=old.previous, **fields)))
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


# --- the roll of seals ------------------------------------------------------------------------------------------------


def remove_segment(seal: Path) -> None:
    """A segment with its seal, as a careless hand would."""
    for path in seal.parent.glob(seal.name.removesuffix(names.SEALED) + ".*"):
        path.unlink()


@pytest.mark.parametrize(("first", "last"), [(0, 1), (0, 3), (2, 4), (5, 7), (6, 7), (0, 7)])
def test_missing_files_are_found_wherever_they_stood(chained: Path, first: int, last: int) -> None:
    """The oldest, some between, the newest, all of them: one problem that names the place."""
    seals = files(chained, names.SEALED)
    for seal in seals[first:last]:
        remove_segment(seal)
    report = verify(chained)
    (problem,) = report.problems
    assert problem.kind == ("missing" if last == len(seals) else "chain")
    if last == len(seals):
        assert problem.segment.endswith(seals[-1].name.removesuffix(names.SEALED))
        assert (f"from number {first + 1} on" in problem.detail) == (last - first > 1)
    else:
        assert f"numbers {first + 1} to {last} of its writer" in problem.detail


def test_a_removed_or_remade_newest_seal_is_found(chained: Path) -> None:
    """A file that was sealed is not taken for one that is still being written, and a seal not for the one that was made."""
    newest = files(chained, names.SEALED)[-1]
    whole = newest.read_bytes()
    newest.unlink()
    report = verify(chained)
    assert ([problem.kind for problem in report.problems], len(report.unsealed)) == (["missing"], 1)
    newest.write_bytes(text_of(replace(parse_seal(whole), notes={"recovered": True})))
    assert [(problem.kind, problem.detail) for problem in verify(chained).problems] == [
        ("changed", "it is not the seal that was made")
    ]
    newest.write_bytes(whole)
    assert verify(chained).ok


def test_a_file_that_is_recovered_is_enrolled_anew(chained: Path) -> None:
    """Recovery seals what has no seal; the archive is whole again, and says that it was recovered."""
    newest = files(chained, names.SEALED)[-1]
    newest.unlink()
    recover(chained)
    assert verify(chained).ok
    assert parse_seal(newest.read_bytes()).notes == {"recovered": True}


def test_what_retention_removed_is_not_missed(chained: Path) -> None:
    """The newest ones as well."""
    everything = plan([one for one, _ in survey(chained)], Policy(total_bytes=0), 0).going
    assert not [found for found in remove(chained, everything, 1, lambda _: None) if found.trouble]
    assert (verify(chained).ok, verify(chained).removed) == (True, 7)


@pytest.mark.parametrize("damage", [b"", b"\0" * 50, b"\xff\xfe garbage\n", None])
def test_a_roll_that_is_damaged_or_gone_disturbs_nothing(chained: Path, damage: bytes | None) -> None:
    """Archives of earlier versions have none; a line cut off does not spoil the next."""
    (roll,) = files(chained, names.ROLL)
    if damage is None:
        roll.unlink()
    else:
        roll.write_bytes(damage)
    assert verify(chained).ok
    folder = os.open(roll.parent, os.O_RDONLY)
    stem = files(chained, names.SEALED)[-1].name.removesuffix(names.SEALED)
    gone = stem[:-6] + "000099"
    enrol(folder, gone, "0" * 64)
    os.close(folder)
    (problem,) = verify(chained).problems
    assert problem.segment.endswith(gone)
