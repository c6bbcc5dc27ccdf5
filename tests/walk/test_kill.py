"""A program that is killed, restarted and killed again: what it was told is safe is there, once and whole."""

import pytest

from build_examples import often
from build_walk import run

KILLS = often(8, 200)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("durability", ["interval", "durable"])
def test_a_killed_program_loses_nothing_it_was_told_is_safe(tmp_path, durability: str) -> None:
    """SIGKILL at random moments, the same archive again and again, runs resumed and new: every event whose emit returned
    before the last completed flush (with `durable`: every event whose emit returned) is there once, batches whole or not
    at all, every restart counts on, nothing is unreadable and all seals hold."""
    done = run("kill_again.py", tmp_path / "archive", KILLS, 20261121, durability, timeout=800)
    print(done.stdout)
    assert f"{KILLS} kills" in done.stdout
