"""Killed writers: nothing acknowledged is lost, nothing is there twice, every restart works without a human."""

from pathlib import Path

import pytest

from build_archive import run_script
from build_examples import often


@pytest.mark.timeout(900)
@pytest.mark.parametrize("durability", ["durable", "interval"])
def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path, durability: str) -> None:
    """SIGKILL at random moments of writing, rotating, sealing and compressing, then recovery and verification."""
    kills = often(25, 1_000)
    print(run_script("kill_writers.py", tmp_path / "archive", kills, 20261121, durability, timeout=800))
