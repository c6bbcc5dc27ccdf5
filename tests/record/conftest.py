"""Fixtures for recording: a recorder on a temporary archive, ended after each test, and what it recorded."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import whence
from whence.archive.reader import Archive
from whence.event.model import Event
from whence.record import configure as process
from whence.record.recorder import Recorder


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Recorder]]:
    """Begins a recorder on a fresh archive, run `r`, with logging and metrics off; the test may give other settings."""

    def begin(**settings: Any) -> Recorder:
        return whence.configure(
            **{"archive": tmp_path / "archive", "run": "r", "logging": False, "metrics": False, **settings}
        )

    yield begin
    whence.shutdown(60)
    process._recorder = None


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., list[Event]]:
    """Ends recording and gives the archive's events in order of writing, whence's own left out unless asked for."""

    def read(*, own: bool = False) -> list[Event]:
        whence.shutdown(60)
        archive = Archive(tmp_path / "archive")
        events = list(archive.events())
        assert archive.problems == []
        return [event for event in events if own or not event.type.startswith("whence.")]

    return read
