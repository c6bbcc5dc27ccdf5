"""Golden lines: what was once written is read for ever as the same events. They are never edited; new forms get new files."""

from pathlib import Path

import orjson
import pytest

from build_otlp import strictly
from whence.event.flat import to_flat
from whence.otlp.decode import Place, decode

GOLDEN = Path(__file__).parents[1] / "golden" / "otlp"
FILES = sorted(GOLDEN.glob("*.jsonl"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_golden_line_is_read_as_it_was(file: Path) -> None:
    """Each event in its flat JSON form, ids of place included."""
    found = []
    offset = 0
    for line in file.read_bytes().splitlines(keepends=True):
        events, bad = decode(line, Place(file.stem, offset))
        assert bad == []
        found += [to_flat(event) for event in events]
        offset += len(line)
    assert found == orjson.loads(file.with_name(f"{file.stem}.events.json").read_bytes())


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.stem.startswith("whence-")], ids=lambda file: file.stem
)
def test_a_golden_line_of_ours_is_strict_otlp(file: Path) -> None:
    """For protobuf's own reader."""
    for line in file.read_bytes().splitlines():
        strictly(line)


def test_there_are_golden_lines_of_each_signal_and_of_the_official_exporter() -> None:
    """A folder without files would pass silently."""
    assert {file.stem for file in FILES} >= {
        "whence-1-logs",
        "whence-1-traces",
        "whence-1-metrics",
        "official-0.66b1-logs",
        "official-0.66b1-traces",
    }
