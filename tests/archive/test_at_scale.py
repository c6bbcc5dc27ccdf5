"""Cuts and flipped bits by the thousand, over archives of every form at once: nothing fails to start, nothing goes unnoticed.

A short sample by default; with WHENCE_TORTURE=1 5,000 truncations and 20,000 flipped bits.
"""

import os
import random
import shutil
from pathlib import Path

import pytest

from build_archive import some_lines, uid_of, write_archive
from build_examples import often
from whence.archive import names
from whence.archive.reader import Archive
from whence.archive.recovery import recover
from whence.archive.verify import verify
from whence.archive.writer import ArchiveWriter, WriterOptions

CUTS = often(70, 5_000)
FLIPS = often(250, 20_000)
SEED = int(os.environ.get("WHENCE_SEED", "7"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two chains of three segments each, one plain and one compressed, all sealed."""
    directory = tmp_path_factory.mktemp("scale") / "archive"
    for group, over in (("plain", None), ("packed", 0)):
        options = WriterOptions(rotate_bytes=1_500, compress_over=over)
        write_archive(directory, some_lines(15, size=40), options, group)
    assert verify(directory).ok
    return directory


def files(directory: Path) -> list[Path]:
    """All but the roll, which is not sealed itself and is never needed."""
    return sorted(path for path in directory.rglob("*") if path.is_file() and path.name != names.ROLL)


def read(directory: Path) -> list[str]:
    """The ids that are read, each line being one that was written."""
    whole = {line.data.rstrip(b"\n") for line in some_lines(15, size=40)}
    return [uid_of(line.data) for line in Archive(directory).lines() if line.data in whole]


def test_every_flipped_bit_of_a_sealed_archive_is_found(archive: Path, tmp_path: Path) -> None:
    """In any file, at any place: verification names the file, and reading raises nothing."""
    copy = tmp_path / "copy"
    shutil.copytree(archive, copy)
    dice = random.Random(SEED)
    places = [(file, bit) for file in files(copy) for bit in range(file.stat().st_size * 8)]
    missed = []
    for n, (file, bit) in enumerate(dice.sample(places, min(FLIPS, len(places)))):
        whole = file.read_bytes()
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << (bit % 8)
        file.write_bytes(changed)
        report = verify(copy)
        stem = file.name.partition(".seal")[0].partition(".jsonl")[0]
        if not any(stem in problem.segment for problem in report.problems):
            missed.append((file.name, bit))
        if n % 4 == 0:
            read(copy)
        file.write_bytes(whole)
    assert missed == []
    assert verify(copy).ok


def test_every_cut_is_survived_and_told(archive: Path, tmp_path: Path) -> None:
    """In any sealed file, at any length: the loss is found, other files lose nothing, and recovery and a new writer start."""
    dice = random.Random(SEED)
    places = [(file, length) for file in files(archive) for length in range(file.stat().st_size)]
    expected = sorted(read(archive))
    for n, (original, length) in enumerate(dice.sample(places, min(CUTS, len(places)))):
        copy = tmp_path / "copy"
        shutil.copytree(archive, copy)
        file = copy / original.relative_to(archive)
        os.truncate(file, length)
        report = verify(copy)
        assert not report.ok, (file.name, length)
        found = sorted(read(copy))
        assert found == expected or names.SEALED not in file.name
        assert len(found) >= len(expected) - 5
        recover(copy)
        assert sorted(read(copy)) == found, (file.name, length)
        if n % 20 == 0:
            writer = ArchiveWriter(copy)
            writer.append("new", "logs", some_lines(1, first=99, size=40))
            assert writer.close().reason is None
        shutil.rmtree(copy)
