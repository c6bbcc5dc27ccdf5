"""Recording a program's logging changes nothing about it: it is set up, shown and filtered as without whence."""

import subprocess
import sys
from pathlib import Path

import pytest

from build_programs import environment_with, events_in

BEGIN = "import logging, logging.config, whence\nwhence.configure(archive='archive', metrics=False)\n"
SET_UP = {
    "basicConfig": "logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')",
    "dictConfig": """logging.config.dictConfig({
        "version": 1, "formatters": {"f": {"format": "%(levelname)s %(message)s"}},
        "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "f"}},
        "root": {"level": "INFO", "handlers": ["h"]}})""",
    "force": "logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s', force=True)",
}


def shown_and_recorded(program: str, folder: Path) -> tuple[list[str], list[str | None]]:
    """The lines on stderr of a program that records, and the log lines in its archive."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program],
        cwd=folder,
        env=environment_with({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stderr.splitlines(), [event.description for event in events_in(folder / "archive") if event.type == ""]


@pytest.mark.parametrize("way", SET_UP)
def test_a_program_sets_up_its_logging_as_ever_and_it_is_recorded(tmp_path: Path, way: str) -> None:
    """Its own handlers and levels count, whatever the way, and no line is doubled or lost."""
    program = f"{SET_UP[way]}\nlogging.getLogger('a').info('one')\nlogging.debug('hidden')\nlogging.warning('two')"
    assert shown_and_recorded(program, tmp_path) == (["INFO one", "WARNING two"], ["one", "two"])


def test_without_any_set_up_warnings_still_show(tmp_path: Path) -> None:
    """As Python shows what no handler hears; quieter lines do not show."""
    program = "logging.getLogger('a.b').warning('careful')\nlogging.getLogger('a').info('quiet')"
    assert shown_and_recorded(program, tmp_path) == (["careful"], ["careful"])


def test_a_logger_with_a_handler_of_its_own_shows_nothing_twice(tmp_path: Path) -> None:
    """Also where that handler is one that throws lines away."""
    program = "logging.getLogger('a').addHandler(logging.NullHandler())\nlogging.getLogger('a.b').error('handled')"
    assert shown_and_recorded(program, tmp_path) == ([], ["handled"])


def test_whences_own_warnings_are_shown_and_not_recorded(tmp_path: Path) -> None:
    """They would go round in circles; but trouble in recording is said."""
    program = "logging.getLogger('whence.record').warning('trouble')"
    assert shown_and_recorded(program, tmp_path) == (["trouble"], [])
