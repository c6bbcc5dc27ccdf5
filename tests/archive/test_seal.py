"""Closing a segment: its seal is of what its file holds, and its compressed form takes its place only where it is the same."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from build_archive import a_line, some_lines, stored_uids
from whence.archive.recovery import recover
from whence.archive.terms import WriterOptions
from whence.archive.verify import verify
from whence.archive.writer import ArchiveWriter


def two_files(directory: Path, compress_over: int) -> ArchiveWriter:
    """A writer with a segment in each of two groups."""
    writer = ArchiveWriter(directory, WriterOptions(compress_over=compress_over))
    writer.append("first", "logs", some_lines(40, size=5_000))
    writer.append("second", "logs", [a_line("x", size=5_000)])
    return writer


def break_reads(monkeypatch: pytest.MonkeyPatch, folder: Path, change: Callable[[bytes], bytes]) -> None:
    """What is read of the plain file in a folder is changed."""
    read = os.pread
    wanted = [path.stat().st_ino for path in folder.glob("*.jsonl")]

    def pread(fd: int, size: int, at: int) -> bytes:
        found = read(fd, size, at)
        return change(found) if found and os.fstat(fd).st_ino in wanted else found

    monkeypatch.setattr(os, "pread", pread)


def refuse(_: bytes) -> bytes:
    """As a device that has lost what it took."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_file_that_cannot_be_read_stays_as_it_is_and_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sealed by a later start, once the device gives it again."""
    writer = two_files(tmp_path, 1 << 20)
    break_reads(monkeypatch, tmp_path / "first", refuse)
    writer.close()
    assert "the device" in (writer.status.last_error or "")
    assert not list((tmp_path / "first").glob("*.seal.json"))
    assert len(list((tmp_path / "second").glob("*.seal.json"))) == 1
    monkeypatch.undo()
    recover(tmp_path)
    assert verify(tmp_path).ok
    assert sorted(stored_uids(tmp_path)) == sorted([*map(str, range(40)), "x"])


def test_a_plain_file_stays_where_its_compressed_form_is_not_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here what is read of it is another thing each time; nothing of that goes into a compressed file that is kept."""
    writer = two_files(tmp_path, 1_000)
    turns = iter(range(1_000))
    break_reads(monkeypatch, tmp_path / "first", lambda found: found[:-2] + str(next(turns) % 10).encode() + found[-1:])
    writer.close()
    monkeypatch.undo()
    assert "cannot compress" in (writer.status.last_error or "")
    assert [path.suffix for path in (tmp_path / "first").glob("*.jsonl*")] == [".jsonl"]
    assert [path.suffix for path in (tmp_path / "second").glob("*.jsonl*")] == [".zst"]


def test_what_another_program_writes_into_an_open_file_costs_none_of_our_lines(tmp_path: Path) -> None:
    """A line put between ours is sealed with them, and nothing at the end is cut off for it."""
    writer = ArchiveWriter(tmp_path, WriterOptions(compress_over=1_000))
    writer.append("g", "logs", some_lines(20, size=500))
    writer.sync()
    [plain] = (tmp_path / "g").glob("*.jsonl")
    with plain.open("ab") as other:
        other.write(a_line("theirs").data)
    writer.append("g", "logs", [a_line("ours", size=500)])
    assert writer.close().reason is None
    assert sorted(stored_uids(tmp_path)) == sorted([*map(str, range(20)), "theirs", "ours"])
    assert [path.suffix for path in (tmp_path / "g").glob("*.jsonl*")] == [".zst"]
    assert verify(tmp_path).ok
