"""Each system call in turn kills the process or fails: nothing acknowledged is lost, nothing is there twice."""

from pathlib import Path

import pytest

from build_archive import run_script
from build_examples import often

STEPS = {"kill": 5, "EIO": 23, "ENOSPC": 29, "EROFS": 31, "EMFILE": 37, "EDQUOT": 41}
"""Every how many-th call is broken here; the long version breaks each."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("work", ["write", "recover"])
def test_no_system_call_can_break_an_archive(tmp_path: Path, work: str) -> None:
    """Writing, rotating, sealing, compressing and recovering survive a fault at any step, and the next start ends the job."""
    faults = [f"{fault}:{often(here, 1)}" for fault, here in STEPS.items()]
    print(run_script("break_calls.py", tmp_path, work, *faults, timeout=500))
