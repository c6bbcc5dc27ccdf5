"""The help in docs/cli.md is the help that the commands print.

`PYTHONPATH=tests python tests/cli/test_docs.py` writes it anew.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from build_cli import Ask
from whence.cli.app import call
from whence.cli.table import COMMANDS

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
BLOCK = re.compile(r"<!-- help: ?(\S*) -->\n.*?<!-- end -->", re.DOTALL)


def help_of(command: str) -> str:
    """What `whence COMMAND --help` prints on 80 columns."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert call([*command.split(), "--help"]) == 0
    return out.getvalue().rstrip()


def regenerated(page: str) -> str:
    """The page with each marked block made anew."""
    return BLOCK.sub(lambda found: f"<!-- help: {found[1]} -->\n```\n{help_of(found[1])}\n```\n<!-- end -->", page)


def test_the_help_in_the_page_is_what_the_commands_print(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that was not written anew after a change is found here."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("WHENCE_ARCHIVE", raising=False)
    page = PAGE.read_text()
    assert page == regenerated(page)


def test_every_command_is_in_the_page() -> None:
    """A new command is documented or it is not there."""
    assert {found[1] for found in BLOCK.finditer(PAGE.read_text())} == {"", *COMMANDS}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_the_overview_says_of_each_command_what_its_own_help_does(
    command: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The overview is made without loading the commands, so the two could differ."""
    monkeypatch.setenv("COLUMNS", "200")
    assert command.help in " ".join(help_of(command.name).split())  # type: ignore[attr-defined]


def test_the_example_of_the_page_on_causes_gives_the_answer_shown_there(tmp_path: Path, whence: Ask) -> None:
    """But for ids and times."""
    page = (PAGE.parent / "why.md").read_text()
    (example,) = re.findall(r"```python\n(import whence\n.*?)```", page, re.DOTALL)
    subprocess.run([sys.executable, "-c", example], cwd=tmp_path, check=True, timeout=60)
    riot = whence("log", "-a", tmp_path / "whence-archive", "--type", "riot", "--json").json["id"]
    shown = page.split("$ whence why ")[1].split("```")[0].splitlines()[1:]
    answer = whence("why", riot, "-a", tmp_path / "whence-archive").out.splitlines()
    assert [re.sub(r"\+\S+", "", line).split() for line in answer] == [
        re.sub(r"\+\S+", "", line).split() for line in shown
    ]


if __name__ == "__main__":
    os.environ["COLUMNS"] = "80"
    PAGE.write_text(regenerated(PAGE.read_text()))
