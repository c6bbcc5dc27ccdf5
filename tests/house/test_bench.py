"""The benchmark still runs: a tiny run of it prints every section and every row."""

import subprocess
import sys
from pathlib import Path

import pytest

from whence.native import CORE

ROOT = Path(__file__).parents[2]
CORES = 1 if CORE.module is None else 2
ROWS = {
    "Microseconds an event costs": 14 + 3 * (CORES - 1),
    "Microseconds until one call returns": 3,
    "CPU microseconds to encode": 2 + CORES,
    "A burst of": 6,
    "Events on disk after kill -9": 5,
    "Resident MiB": 1,
}

WAYS = 4 + 10 * CORES
"""Rows of a signal: those of others, and each way by each core; where there are events, their columns too."""
COLUMNS = 2 * CORES
CODEC_ROWS = {
    "Spans": WAYS + COLUMNS,
    "Log records": WAYS + COLUMNS,
    "Data points": WAYS,
    "Records of the SDK to OTLP JSON": 1 + CORES,
    "Events a second": 12,
}

QUERY_ROWS = {"To build": 3, "To ask": 18}

COLLECT_ROWS = {"8 requests of 512": 2}

FORWARD_ROWS = {"8 requests of 512": 1}

SERVE_ROWS = {"The API": 17, "What Jaeger and Grafana ask": 20, "Live streams": 1, "Subscribers": 1, "Until": 3}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("bench", "rows"),
    [
        ("record", ROWS),
        ("codec", CODEC_ROWS),
        ("query", QUERY_ROWS),
        ("collect", COLLECT_ROWS),
        ("forward", FORWARD_ROWS),
        ("serve", SERVE_ROWS),
    ],
)
def test_a_tiny_bench_prints_every_section_and_every_row(bench: str, rows: dict[str, int]) -> None:
    """Nobody finds out on the day of a release that a peer's call has changed."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{bench}", "--tiny"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=580,
    )
    assert done.returncode == 0, done.stderr
    sections = [section.splitlines() for section in done.stdout.strip().split("\n\n")[1:]]
    found = {section[0]: len(section) - 2 for section in sections}
    assert list(found.values()) == list(rows.values())
    assert all(title.startswith(expected) for title, expected in zip(found, rows, strict=True))
