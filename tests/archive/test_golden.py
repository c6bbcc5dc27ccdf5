"""Archives of the past: every form that was ever written is read for ever. The files are never edited or made anew."""

import shutil
from pathlib import Path

import pytest

from whence.archive.reader import Archive
from whence.archive.recovery import recover
from whence.archive.verify import verify

GOLDEN = Path(__file__).parents[1] / "golden" / "archive"
LOGS = [f"log-{n}" for n in range(25)]


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A copy of the first format's archive: compressed, sealed, unsealed with a torn line, and a file by another writer."""
    shutil.copytree(GOLDEN / "v1", tmp_path / "v1")
    return tmp_path / "v1"


def test_the_first_format_is_read(first: Path) -> None:
    """Every event of every file, in order, and the torn line told."""
    archive = Archive(first)
    assert [event.id for event in archive.events(signal="logs", groups={"run~2F1"})] == LOGS
    others = [
        "foreign-0",
        "foreign-1",
        "killed-0",
        "killed-1",
        "killed-2",
        "span:0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
    ]
    assert sorted(event.id for event in archive.events()) == sorted([*LOGS, *others])
    assert [problem.kind for problem in archive.problems] == ["tail"]
    assert {segment.endings for segment in archive.segments(groups={"run~2F1"})} == {(".jsonl",), (".jsonl.zst",)}


def test_the_first_format_is_verified(first: Path) -> None:
    """Seals of the first format still hold."""
    report = verify(first)
    assert report.ok, report.problems
    assert (report.sealed, report.foreign, len(report.unsealed), len(report.tails)) == (5, 1, 1, 1)
    assert report.records == 27


def test_the_first_format_is_recovered(first: Path) -> None:
    """What a writer of that time left is put right today."""
    assert [repair.kind for repair in recover(first)] == ["torn", "sealed"]
    report = verify(first)
    assert report.ok
    assert not report.unsealed
    assert report.records == 30
