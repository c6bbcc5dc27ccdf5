"""The README is true: its demo output is what the demo prints, its example runs, its links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import readme

ROOT = readme.README.parent


def test_the_readme_shows_what_the_demo_prints() -> None:
    """Ids and times aside, line by line; `python tests/readme.py` writes it anew."""
    assert readme.steady(readme.demo()) == readme.steady(readme.shown())


def test_the_readme_example_runs_and_answers_why(tmp_path: Path) -> None:
    """The Python block, pasted into a file, records events whose causes lead back to the first."""
    (code,) = re.findall(r"```python\n(.*?)```", readme.README.read_text(), re.DOTALL)
    (tmp_path / "example.py").write_text(code)
    subprocess.run([sys.executable, "example.py"], cwd=tmp_path, check=True)
    command = [sys.executable, "-c", "from whence.cli import main; main()"]
    shown = subprocess.run(
        [*command, "log", "-a", "my-archive", "--type", "refund.paid", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (event_id,) = re.findall(r'"id":\s*"([^"]+)"', shown)
    why = subprocess.run(
        [*command, "why", "-a", "my-archive", event_id], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "wind 6.1 -> 31" in why
    assert "ferry sails -> stays" in why
    assert "refund.paid" in why


def test_every_link_in_the_documentation_leads_to_a_file() -> None:
    """Relative links in README and docs point at files that are there."""
    for page in [readme.README, *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
