"""The collector's own log, and what systemd is told."""

import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from whence.collect.config.model import LogSettings
from whence.collect.logs import set_up_log
from whence.collect.run import notify
from whence.collect.table import BUILT_IN
from whence.collect.upstream import INSTEAD
from whence.errors import ConfigError


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    logger = logging.getLogger("whence")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    for handler in logger.handlers:
        handler.close()
    logger.handlers[:], logger.level, logger.propagate = before


def _logged(file: Path, **settings: object) -> list[str]:
    """The lines of an entry with a line break, one below the level, and one with a traceback."""
    set_up_log(LogSettings.model_validate({"output_paths": [str(file)], **settings}), {"process": "1"})
    log = logging.getLogger("whence.collect.otlp_http/2")
    log.warning("two\nlines of %s", "text")
    log.debug("detail")
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("failed")
    return file.read_text().splitlines()


def test_an_entry_is_a_line_for_people(tmp_path: Path) -> None:
    """Time, level, component, text, fields; never a second line, so that nobody can forge one."""
    first, second = _logged(tmp_path / "log")
    assert first[24:] == '  warn  otlp_http/2  two\\nlines of text  {"process": "1"}'
    assert first[:2] == "20" and first[23] == "Z"
    assert second.endswith('  error  otlp_http/2  failed  {"process": "1"}')


def test_an_entry_is_an_object_for_machines(tmp_path: Path) -> None:
    """With the Collector's keys, one's own fields, and at level debug the traceback."""
    lines = [
        json.loads(line)
        for line in _logged(tmp_path / "log", encoding="json", level="debug", initial_fields={"team": "a"})
    ]
    assert [line["msg"] for line in lines] == ["two\nlines of text", "detail", "failed"]
    assert [line["level"] for line in lines] == ["warn", "debug", "error"]
    assert lines[0]["otelcol.component.id"] == "otlp_http/2"
    assert (lines[0]["team"], lines[0]["process"]) == ("a", "1")
    assert "ValueError: broken" in lines[2]["stacktrace"]


def test_a_log_file_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    """Before anything is logged into nowhere."""
    with pytest.raises(ConfigError, match="No such file or directory"):
        set_up_log(LogSettings(output_paths=(str(tmp_path / "none" / "log"),)), {})


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the socket it names; without one, nobody is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1")
        assert one.recv(100) == b"READY=1"
    notify("STOPPING=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("STOPPING=1")


def test_nothing_that_whence_has_is_said_to_be_missing() -> None:
    """The table of what the upstream Collector has and the table of what is here do not meet."""
    here = {(kind.role, name) for kind in BUILT_IN for name in (kind.type, *kind.aliases)}
    assert not here & set(INSTEAD)
