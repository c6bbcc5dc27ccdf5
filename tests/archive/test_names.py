"""Names on disk: any run id gets a folder of its own inside the archive, and a segment's name says what it is."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from build_archive import a_line, stored_uids
from whence.archive import names
from whence.archive.names import Stem, group_run, parse_file, parse_stem, safe_group, time_text, writer_name
from whence.archive.writer import ArchiveWriter

HOSTILE = [
    "../../x", "..", ".", "", "/", "/etc/passwd", "a/b", "a\\b", "a\0b", "\0", "emoji 😀", "\ud800", "\udfff\ud800", "x" * 300,
    "😀" * 100, "~", "~~", "~41", "CON", "nul.txt", "com1", ".hidden", "trailing.", "new\nline", "-rf", "*", "a:b", "A", "a",
    "logs-20260101T000000.000000Z-h.1.ff-000001.jsonl", "run.aside-00000000",
]  # fmt: skip


@given(st.text(st.characters()))
@example("\ud83d\ude00")
@example("😀")
def test_a_group_name_is_one_safe_component_and_says_its_run(run: str) -> None:
    """Any text becomes one path component of at most GROUP_BYTES bytes, from which the run is read back unless it was cut."""
    name = safe_group(run)
    assert len(name.encode()) <= names.GROUP_BYTES
    assert name
    assert not name.startswith(".")
    assert not name.endswith(".")
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")
    assert group_run(name) == (None if "~~" in name else run)


@given(st.text(), st.text())
def test_two_runs_never_share_a_group(one: str, other: str) -> None:
    """The name is a one-to-one function of the run."""
    assert (safe_group(one) == safe_group(other)) == (one == other)


def test_hostile_runs_all_differ() -> None:
    """The hostile list itself has no collision, escapes spelled out included."""
    assert len({safe_group(run) for run in HOSTILE}) == len(HOSTILE)


def test_a_name_not_made_by_us_names_no_run() -> None:
    """A folder that `safe_group` would not have made is not taken for a run."""
    assert [group_run(name) for name in ("~4", "~41", "a b", "é", "~zz", "~~", ".x")] == [None] * 7


@pytest.mark.parametrize("run", HOSTILE, ids=ascii)
def test_hostile_runs_are_written_inside_the_archive(tmp_path: Path, run: str) -> None:
    """Nothing is written outside the archive's directory, whatever the run is called, and it can be read back."""
    archive = tmp_path / "in" / "archive"
    writer = ArchiveWriter(archive)
    writer.append(run, "logs", [a_line("1")])
    assert writer.close().reason is None
    assert stored_uids(archive) == ["1"]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["archive"]
    assert [path.name for path in archive.iterdir()] == [safe_group(run)]


def test_a_stem_is_read_back_from_its_text() -> None:
    """Putting together and taking apart are each other's inverse, hosts with dots and dashes included."""
    stem = Stem("traces", time_text(1_700_000_000_123_456_789), writer_name("my-host.example", 12, "00ff"), 7)
    assert stem.text == "traces-20231114T221320.123456Z-my-host_example.12.00ff-000007"
    assert parse_stem(stem.text) == stem
    assert parse_stem("logs-2023-x") is None
    assert parse_stem("events" + stem.text[6:]) is None


def test_text_order_of_names_is_time_order() -> None:
    """Sorting file names sorts segments by when they were begun."""
    times = [0, 999, 1_000_000, 10**18, 1_700_000_000_000_001_000, 1_700_000_000_123_456_000, 253_402_300_799 * 10**9]
    assert sorted(time_text(ns) for ns in times) == [time_text(ns) for ns in times]


def test_each_file_of_a_segment_is_known_by_its_ending() -> None:
    """Only names we make are taken for ours."""
    stem = "logs-20231114T221320.123456Z-h.1.ff-000001"
    kinds = {ending: parse_file(stem + ending) for ending in (".jsonl", ".seal.json", ".jsonl.zst", ".jsonl.torn-12")}
    assert [found and found.kind for found in kinds.values()] == ["plain", "seal", "zst", "torn"]
    assert [found.kind for ending in kinds if (found := parse_file(stem + ending + ".tmp"))] == ["temporary"] * 4
    assert [parse_file(name) for name in ("x.jsonl", stem, stem + ".jsonl.gz", stem + ".txt", ".seal.json")] == [
        None
    ] * 5
