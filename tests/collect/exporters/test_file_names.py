"""Names of closed files, which of them go, what fits into a file, and where a torn zstd file is whole."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from whence.collect.exporters.file_frames import whole_frames
from whence.collect.exporters.file_names import closed_at, closed_name, fitting, groups_there, surplus

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)


@pytest.mark.parametrize(
    ("path", "closed"),
    [
        ("out.json", "out-2026-01-02T03-04-05.678.json"),
        ("out.jsonl.zst", "out-2026-01-02T03-04-05.678.jsonl.zst"),
        ("a.b.json", "a.b-2026-01-02T03-04-05.678.json"),
        ("out", "out-2026-01-02T03-04-05.678"),
    ],
)
def test_a_closed_file_is_named_by_the_time_and_known_again(path: str, closed: str) -> None:
    """Before its ending, as the Collector does it."""
    assert closed_name(Path(path), AT, []) == closed
    assert closed_at(Path(path), closed, UTC) == AT


def test_no_closed_file_takes_anothers_name() -> None:
    """Two in one millisecond have two names."""
    assert closed_name(Path("out.json"), AT, ["out-2026-01-02T03-04-05.678.json"]) == "out-2026-01-02T03-04-05.679.json"


def test_those_too_old_and_those_too_many_go() -> None:
    """The newest are kept; names of no closed file never go."""
    path = Path("out.json")
    names = [closed_name(path, AT - timedelta(days=days), []) for days in range(5)]
    assert (
        surplus(path, [*names, "out.json", "out-x.json", "other-2020-01-01T00-00-00.000.json"], 3, 0, AT) == names[3:]
    )
    assert surplus(path, names, 0, 1, AT) == names[2:]
    assert surplus(path, names, 0, 0, AT) == []


def test_groups_are_known_by_their_files() -> None:
    """Closed files are of the same group."""
    paths = ["/d/a.json", "/d/b.json", "/d/a-2026-01-02T03-04-05.678.json", "/d/a-2026-01-02T03-04-05.678-size.json"]
    assert list(groups_there("/d/*.json", paths)) == ["a", "b"]


@given(st.lists(st.integers(1, 30)), st.integers(-5, 20), st.integers(1, 20))
def test_pieces_go_in_order_and_no_file_is_filled_too_far(sizes: list[int], room: int, most: int) -> None:
    """But by one piece that is larger than a file; and only the first file may get nothing."""
    counts = fitting(sizes, min(room, most), most)
    assert sum(counts) == len(sizes) and all(counts[1:])
    at = 0
    for number, count in enumerate(counts):
        has = sum(sizes[at : at + count])
        assert has <= (most if number else max(min(room, most), 0)) or count == 1
        at += count


@given(st.lists(st.binary(max_size=300_000), max_size=4), st.booleans(), st.integers(0, 40), st.integers(1, 19))
def test_a_torn_end_is_found_without_decompressing(plains: list[bytes], checksum: bool, cut: int, level: int) -> None:
    """Whole frames end where they end; of a torn one nothing counts."""
    packer = zstandard.ZstdCompressor(level=level, write_checksum=checksum)
    frames = [packer.compress(plain) for plain in plains]
    whole = b"".join(frames)
    assert whole_frames(whole) == len(whole)
    if frames and 0 < cut < len(frames[-1]):
        assert whole_frames(whole[:-cut]) == len(whole) - len(frames[-1])


def test_frames_that_say_nothing_are_passed() -> None:
    """Skippable ones, as in archives that can be searched; damage ends the whole part."""
    frame = zstandard.ZstdCompressor().compress(b"x" * 1000)
    skip = b"\x5e\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"
    assert whole_frames(frame + skip + frame) == len(frame + skip + frame)
    assert whole_frames(frame + skip[:-1]) == len(frame)
    assert whole_frames(frame + b"garbage") == len(frame)
