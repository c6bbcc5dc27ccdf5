"""Each system call in turn kills the process or fails: nothing acknowledged is lost, nothing is there twice."""

from pathlib import Path

import pytest

from build_archive import TORTURE, run_script


@pytest.mark.timeout(600)
@pytest.mark.parametrize("work", ["write", "recover"])
@pytest.mark.parametrize("fault", ["kill", "EIO", "ENOSPC", "EROFS", "EMFILE", "EDQUOT"])
def test_no_system_call_can_break_an_archive(tmp_path: Path, work: str, fault: str) -> None:
    """Writing, rotating, sealing, compressing and recovering survive a fault at any step, and the next start ends the job."""
    step = 1 if TORTURE else 3 if fault == "kill" else 23
    print(run_script("break_calls.py", tmp_path, work, fault, step, timeout=500))
