"""The pages about events and settings are true: their tables are the code's, and their examples run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import tables


@pytest.mark.parametrize("page", tables.PAGES)
def test_the_tables_in_the_documentation_are_the_codes(page: str) -> None:
    """Where this fails, `python tests/tables.py` writes them anew."""
    assert (tables.DOCS / page).read_text() == tables.page_with_tables(page)


def test_every_event_and_field_says_what_it_means() -> None:
    """A table with empty meanings helps nobody."""
    for vocabulary in tables.VOCABULARIES:
        for model in tables.events_of(vocabulary):
            assert model.__doc__, model
            for name, field in model.model_fields.items():
                assert field.description, f"{model.__name__}.{name}"


def test_the_examples_about_events_run(tmp_path: Path) -> None:
    """All Python in docs/events.md, one after the other, in one program."""
    blocks = re.findall(r"```python\n(.*?)```", (tables.DOCS / "events.md").read_text(), re.DOTALL)
    program = "\n".join([*blocks[:3], "whence.shutdown()", *blocks[3:]])
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
