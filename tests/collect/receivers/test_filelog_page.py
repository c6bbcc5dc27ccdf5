"""The page on receivers is true: its programs log, its configurations read, and what it says of the settings is so."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from build_files import a_line
from build_lines import WHENCE
from build_walk import environment
from waiting import until
from whence.archive.reader import Archive
from whence.collect.receivers.filelog import FilelogSettings
from whence.collect.receivers.operators.chain import OPERATORS
from whence.collect.receivers.otlp_json_file import OTLPFileSettings
from whence.event.model import Event

PAGE = (Path(__file__).parents[3] / "docs" / "receivers.md").read_text()
BLOCKS = re.findall(r"```(python|yaml)\n(.*?)```", PAGE, re.DOTALL)
QUIET = "--set=service.telemetry.metrics.level=none"


def collected(folder: Path, config: str, enough: Callable[[list[Event]], bool]) -> list[Event]:
    """What is in the archive when a collector with a configuration of the page has been started, and stopped again."""
    text = next(text for kind, text in BLOCKS if kind == "yaml" and text.startswith(f"# {config}\n"))
    (folder / config).write_text(text)
    command = [WHENCE, "collect", "--config", config, "--state", str(folder / "state"), QUIET]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment())
    try:
        until(lambda: enough(_events(folder)) or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        process.terminate()
        assert process.wait(90) == 0
    finally:
        process.kill()
    return _events(folder)


def _events(folder: Path) -> list[Event]:
    return list(Archive(folder / "archive").events()) if (folder / "archive").exists() else []


@pytest.mark.skipif(sys.platform == "win32", reason="stops a process by a signal")
def test_logs_of_structlog_and_of_the_standard_library_become_records(tmp_path: Path) -> None:
    """The programs of the page, then its configuration."""
    pytest.importorskip("structlog")
    pytest.importorskip("pythonjsonlogger")
    for number, (kind, text) in enumerate(BLOCKS):
        if kind == "python":
            (tmp_path / f"{number}.py").write_text(text)
            subprocess.run([sys.executable, f"{number}.py"], cwd=tmp_path, env=environment(), check=True, timeout=90)
    found = {event.description: event for event in collected(tmp_path, "logs.yaml", lambda events: len(events) >= 3)}
    assert set(found) == {"order placed", "payment failed", "stock low"}
    placed, failed, low = found["order placed"], found["payment failed"], found["stock low"]
    assert (placed.severity, failed.severity, low.severity) == (9, 17, 13)
    assert placed.attributes["order"] == 7
    assert placed.attributes["customer"] == {"id": "c-1", "tier": "gold"}
    assert "timestamp" not in placed.attributes and placed.time < failed.time
    assert (low.attributes["item"], low.attributes["left"]) == ("coffee", 2)
    assert low.resource["service.name"] == "shop"
    assert low.scope == {"name": "shop.cart"}
    assert abs(low.time - placed.time) < 600 * 10**9


def test_files_of_otlp_are_read(tmp_path: Path) -> None:
    """With the configuration of the page."""
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "a.jsonl").write_bytes(a_line("one", "two") + a_line("span", signal="traces"))
    found = collected(tmp_path, "otlp.yaml", lambda events: len(events) >= 3)
    assert {event.description or event.type for event in found} == {"one", "two", "span"}


def test_every_setting_and_operator_is_on_the_page() -> None:
    """Those of the Collector's that are noted at the start and do nothing here are not."""
    told = set(re.findall(r"[a-z_0-9]+", PAGE))
    for model in (FilelogSettings, OTLPFileSettings):
        for name, field in model.model_fields.items():
            noted = isinstance(field.json_schema_extra, dict) and "noted" in field.json_schema_extra
            assert name in told or noted or name == "header" or name.endswith("_resolved"), name
    assert set(OPERATORS) <= told
