"""Writes the README's generated block: the output of `whence demo`, as it is. Run it after a change to the demo."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(<!-- demo: [^\n]*-->\n).*?(<!-- /demo -->)", re.DOTALL)


def demo() -> str:
    """What `make demo` prints, from a fresh folder."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", "from whence.cli import main; main()", "demo"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stdout


def shown() -> str:
    """What the README shows of it."""
    found = BLOCK.search(README.read_text())
    assert found, "the README has no demo block"
    return found[0].partition("```text\n")[2].rpartition("```")[0]


def steady(text: str) -> str:
    """The text without what differs from run to run: ids, elapsed times, and how wide the times are."""
    text = re.sub(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", "<id>", text)
    text = re.sub(r"in \d+\.\d s", "in <time>", text)
    return re.sub(r" *\+\d+\.\d+s", " <time>", text)


if __name__ == "__main__":
    text = README.read_text()
    README.write_text(BLOCK.sub(lambda found: f"{found[1]}```text\n{demo()}```\n{found[2]}", text))
