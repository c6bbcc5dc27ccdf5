"""The pages on integrations and on plain OpenTelemetry are true: what they show is run, as it stands, in their order.

A block that begins with a file's name in a comment is that file; other Python of a page is one program; `$` is a command.
"""

import os
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from build_programs import ROOT, events_in, run_program

BLOCK = re.compile(r"```(python|yaml|console)\n(.*?)```", re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:py|yaml))\n")


def follow(page: str, folder: Path) -> None:
    """Do what a page says, in this folder."""
    program = []
    for kind, text in BLOCK.findall((ROOT / "docs" / page).read_text()):
        named = FILE.match(text)
        if named:
            (folder / named[1]).write_text(text)
        elif kind == "python":
            program.append(text)
        else:
            for line in text.splitlines():
                path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
                run_program("sh", "-c", line.removeprefix("$ "), cwd=folder, PATH=path)
    if program:
        (folder / "page.py").write_text("\n\n".join(program))
        run_program(sys.executable, "page.py", cwd=folder)


def test_the_page_on_integrations_runs(tmp_path: Path) -> None:
    """All of its blocks, one after the other, and each kind of event it speaks of is recorded."""
    pytest.importorskip("mesa")
    follow("integrations.md", tmp_path)
    events = events_in(tmp_path / "market")
    counted = Counter(event.type for event in events)
    assert counted["simulation_start"] == counted["simulation_end"] == 3
    assert counted["turn_start"] == counted["turn_end"] == 5 + 1 + 3
    assert counted["provider.called"] == 3 + 3
    assert counted["provider.responded"] == 2 + 3
    by_id = {event.id: event for event in events}
    decided = [event for event in events if event.type == "decision" and event.payload["decision_type"] == "price"]
    assert decided
    for decision in decided:
        assert [by_id[cause].kind for cause in decision.caused_by] == ["action", "state"]
    coffee = next(event for event in events if event.type == "coffee.made")
    assert by_id[coffee.caused_by[0]].payload["action_type"] == "wait"


def test_the_page_on_opentelemetry_runs(tmp_path: Path) -> None:
    """All four ways lead into one archive, with the link as a cause in each."""
    follow("opentelemetry.md", tmp_path)
    events = events_in(tmp_path / "archive")
    for run in ("today", "shop", "till"):
        found = {event.type: event for event in events if event.run == run}
        assert found["delivery"].caused_by == (found["checkout"].id,)
        assert found["SELECT"].parent_span_id == found["checkout"].span_id
        assert any(event.description == "no courier today" for event in events if event.run == run)
    (began,) = (event for event in events if event.type == "payment.began" and event.run == "today")
    assert began.attributes["amount"] == 12
    assert [event.type for event in events if event.run == "own-1"] == ["work"]


def test_the_page_on_examples_names_what_there_is() -> None:
    """Every example and no other, by its path."""
    page = (ROOT / "docs" / "examples.md").read_text()
    named = set(re.findall(r"\(\.\./(examples/[^)]+)\)", page))
    assert all((ROOT / name).is_file() for name in named)
    top = {path.name for path in (ROOT / "examples").iterdir() if not path.name.startswith("_")}
    assert {Path(name).parts[1] for name in named} == top
