"""A hundred subscribers at once, each given every event once: the benchmark's own check, in a short form."""

import subprocess
import sys
from pathlib import Path

from build_examples import TORTURE

ROOT = Path(__file__).parents[3]


def test_a_hundred_subscribers_get_each_event_once() -> None:
    """Over real sockets, checked byte for byte; the long form is 10,000 events a second for 20 seconds."""
    rate, seconds = (10_000, 20) if TORTURE else (1_500, 1)
    command = [sys.executable, "-m", "benchmarks.serve_live", "--subscribers", "100"]
    command += ["--rate", str(rate), "--seconds", str(seconds)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=True)
    assert f"{rate * seconds:,} events, each once" in found.stdout
