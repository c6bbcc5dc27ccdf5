"""`validate`, `components` and `print-config` as people type them."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from whence.cli.app import call

GOOD = """\
extensions:
  health_check: {endpoint: "127.0.0.1:0"}
  bearertokenauth: {token: "${env:TOKEN}"}
  basicauth/in: {htpasswd: {inline: "ann:pw"}}
receivers: {line_for_nobody: }
exporters: {nothing_such: {headers: {X-Key: k}, api_key: 007}}
service: {}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOKEN", "s3cret")
    file = tmp_path / "otel.yaml"
    file.write_text(GOOD)
    return file


def test_validate_says_every_fault_and_exits_with_1(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line each, on standard error, with its place."""
    assert call(["validate", "--config", str(config)]) == 1
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert lines[0].startswith(f"whence: {config}:5: receivers::line_for_nobody: there is no receiver line_for_nobody")
    assert lines[1].startswith(f"whence: {config}:6: exporters::nothing_such: there is no exporter nothing_such")
    assert any("service::pipelines: missing" in line for line in lines)
    assert said.out == ""


def test_validate_speaks_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One value, for editors and CI."""
    assert call(["validate", "--config", str(config), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["valid"] is False
    assert told["problems"][0]["line"] == 5
    assert told["problems"][0]["key"] == "receivers::line_for_nobody"


def test_a_bad_configuration_does_not_start(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`collect` says the same, and exits with 2."""
    assert call(["collect", "--config", str(config)]) == 2
    assert "there is no receiver line_for_nobody" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--no-validate"], ["--no-validate", "--format", "json"]])
def test_print_config_takes_secrets_out(config: Path, capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    """Tokens, headers, and whatever sounds secret, also in a configuration that is not right; numbers as they were written."""
    assert call(["print-config", "--config", str(config), *flags]) == 0
    out = capsys.readouterr().out
    for secret in ("s3cret", "ann:pw", "007"):
        assert secret not in out
    told = YAML(typ="safe").load(out)
    assert told["extensions"]["bearertokenauth"]["token"] == "[REDACTED]"
    assert told["exporters"]["nothing_such"]["headers"] == {"X-Key": "[REDACTED]"}
    assert told["extensions"]["health_check"]["endpoint"] == "127.0.0.1:0"


def test_print_config_shows_all_when_told_to(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the text of numbers where it says more than the number."""
    assert call(["print-config", "--config", str(config), "--no-validate", "--mode", "unredacted"]) == 0
    told = YAML(typ="safe").load(capsys.readouterr().out)
    assert told["extensions"]["bearertokenauth"]["token"] == "s3cret"
    assert told["exporters"]["nothing_such"]["api_key"] == "007"


def test_components_are_listed_in_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    """With the signals and stability of each, and its other names."""
    assert call(["components"]) == 0
    told = YAML(typ="safe").load(capsys.readouterr().out)
    exporters = {one["name"]: one for one in told["exporters"]}
    assert exporters["otlp_grpc"]["aliases"] == ["otlp"]
    assert set(exporters["whence"]["stability"]) == {"logs", "traces", "metrics"}
    assert [one["name"] for one in told["connectors"]] == ["forward"]
    assert told["buildinfo"]["command"] == "whence"
