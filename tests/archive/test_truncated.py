"""Cut anywhere: an archive shortened at any byte is read, recovered and verified without an exception, and never silently."""

import os
import shutil
from pathlib import Path

import pytest

from build_archive import some_lines, stored_uids, uid_of, write_archive
from build_examples import often
from whence.archive.reader import Archive
from whence.archive.recovery import recover
from whence.archive.verify import verify
from whence.archive.writer import ArchiveWriter, WriterOptions


def make(directory: Path, form: str) -> Path:
    """A small archive; the file of the given form in it."""
    if form == "open":
        writer = ArchiveWriter(directory)
        writer.append("run", "logs", some_lines(5, size=20))
        copy = directory.with_name("copy")
        shutil.copytree(directory, copy)  # as a killed writer leaves it: unsealed and unlocked
        writer.close()
        shutil.rmtree(directory)
        copy.rename(directory)
        return next(directory.rglob("*.jsonl"))
    write_archive(directory, some_lines(5, size=20), WriterOptions(compress_over=0 if form == "zst" else None))
    patterns = {"plain": "*.jsonl", "zst": "*.jsonl.zst", "seal": "*.seal.json"}
    return next(directory.rglob(patterns[form]))


@pytest.mark.parametrize("form", ["open", "plain", "zst", "seal"])
def test_truncation_at_every_byte(tmp_path: Path, form: str) -> None:
    """Each length from 0 to one less than whole: whole lines before the cut are read, the loss is told, starting works.

    Here every seventh length, and each one around the ends of lines; every one in the long version.
    """
    source = tmp_path / "source"
    original = make(source, form)
    whole = original.read_bytes()
    ends = [n for n, byte in enumerate(whole) if byte == ord("\n") and form != "zst"]
    near = {end + off for end in [*ends, 2, len(whole) - 3] for off in range(-2, 3)}
    for length in sorted({*range(0, len(whole), often(7, 1)), *(near & set(range(len(whole))))}):
        directory = tmp_path / "cut"
        shutil.copytree(source, directory)
        file = directory / original.relative_to(source)
        os.truncate(file, length)
        archive = Archive(directory)
        found = [uid_of(line.data) for line in archive.lines()]
        list(Archive(directory).events())
        assert found == ["0", "1", "2", "3", "4"][: len(found)]
        if form in ("open", "plain"):
            assert len(found) == whole.count(b"\n", 0, length)
        report = verify(directory)
        assert report.ok == (form == "open"), (length, report.problems)
        if form == "open":
            assert bool(report.tails) == (whole[length - 1 : length] not in (b"\n", b""))
        recover(directory)
        recovered = [uid_of(line.data) for line in Archive(directory).lines()]
        assert recovered == found, length
        if form == "open":
            assert verify(directory).ok
            assert not verify(directory).unsealed
            assert sum(path.stat().st_size for path in directory.rglob("*.jsonl*")) == length
            assert stored_uids(directory) == found
        shutil.rmtree(directory)


def test_zero_filled_tails_are_set_aside(tmp_path: Path) -> None:
    """A file system may show NUL bytes where data never reached the disk: they are no line, with a newline behind or not."""
    for n, tail in enumerate([b"\0" * 4096, b"\0" * 100 + b"\n", b'{"resourceLogs":[\0\0\0\0}\n\0\0', b"\0\n\0\n"]):
        directory = tmp_path / str(n)
        file = make(directory, "open")
        with file.open("ab") as open_file:
            open_file.write(tail)
        kinds = [repair.kind for repair in recover(directory)]
        assert kinds == ["torn", "sealed"]
        assert stored_uids(directory) == ["0", "1", "2", "3", "4"]
        assert next(directory.rglob("*.torn-*")).read_bytes() == tail
        assert verify(directory).ok
