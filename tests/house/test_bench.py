"""The benchmark still runs: a tiny run of it prints every section and every row."""

import subprocess
import sys
from pathlib import Path

from benchmarks.record import ENCODERS, KEEPERS, NAMED, SECTIONS

ROOT = Path(__file__).parents[2]


def test_a_tiny_bench_prints_every_section_and_every_row() -> None:
    """Nobody finds out on the day of a release that a peer's call has changed."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.record", "--tiny"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    sections = done.stdout.split("\n\n")[1:]
    assert len(sections) == len(SECTIONS)
    for row in (*NAMED.values(), *ENCODERS.values()):
        assert row in done.stdout
    lost = next(section for section in sections if section.startswith("A burst"))
    assert all(NAMED[way] in lost for way in KEEPERS)
