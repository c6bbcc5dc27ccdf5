"""`whence doctor`: what is wrong with an installation or its settings is found and named."""

import os
from pathlib import Path

import pytest

from build_cli import Ask
from whence.cli.doctor import core, environment
from whence.native import choose

NAMES = {"traces": {"whence", "console", "otlp_proto_http"}, "logs": {"whence", "console"}, "metrics": {"whence"}}


def test_a_sound_installation_is_found_sound(tmp_path: Path, whence: Ask) -> None:
    """Exit code 0; python, packages, exporters, archive, disk."""
    answer = whence("doctor", "-a", tmp_path / "not-yet", "--json")
    found = {finding["what"]: finding for finding in answer.json_lines}
    assert {finding["what"] for finding in answer.json_lines if finding["health"] == "wrong"} == set()
    assert answer.code == 0
    assert {"python", "whence", "opentelemetry-sdk", "archive", "durability", "disk"} <= set(found)
    assert "core" in found  # native or pure Python, and why
    assert found["OTEL_TRACES_EXPORTER=whence"]["said"].startswith("whence.record.exporters:")
    assert not (tmp_path / "not-yet").exists() and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value", "health", "hint"),
    [
        ("OTEL_TRACES_EXPORTER", "whence", "ok", "whence"),
        ("OTEL_TRACES_EXPORTER", "whence,otlp", "ok", "otlp"),
        ("OTEL_TRACES_EXPORTER", "none", "ok", "none"),
        ("OTEL_TRACES_EXPORTER", "whnce", "wrong", "did you mean 'whence'?"),
        ("OTEL_LOGS_EXPORTER", "otlp", "wrong", "no exporter is called 'otlp'"),
        ("OTEL_TRACE_EXPORTER", "whence", "wrong", "OTEL_TRACES_EXPORTER"),
        ("OTEL_SDK_DISABLED", "true", "wrong", "switched off"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret", "ok", "not shown"),
        ("WHENCE_DURABILITY", "durabel", "wrong", "durable"),
        ("WHENCE_RUN", "r", "ok", "r"),
    ],
)
def test_variables_are_checked_for_spelling(variable: str, value: str, health: str, hint: str) -> None:
    """A typing error that OpenTelemetry would only warn of is found here; secrets are not printed."""
    (finding,) = environment({variable: value, "HOME": "/"}, NAMES)
    assert (
        (finding.what, finding.health) == (variable, health) and hint in finding.said and "secret" not in finding.said
    )


def test_the_core_that_is_not_in_use_is_named_with_its_reason() -> None:
    """A slow collector's owner sees at once that the native core is missing, and what to do."""
    found = core(choose("0"))
    assert (found.what, found.health) == ("core", "note") and "WHENCE_NATIVE=0" in found.said


def test_what_is_wrong_makes_the_exit_code_1(tmp_path: Path, whence: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a script can ask."""
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "whennce")
    answer = whence("doctor", "-a", tmp_path)
    assert answer.code == 1 and "WRONG  OTEL_LOGS_EXPORTER" in answer.out


def test_an_archive_that_is_a_file_or_forbidden_is_wrong(tmp_path: Path, whence: Ask) -> None:
    """Found by trying to write."""
    (tmp_path / "file").touch()
    answer = whence("doctor", "-a", tmp_path / "file")
    assert answer.code == 1 and "is not a directory" in answer.out
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o500)
        assert whence("doctor", "-a", tmp_path / "closed").code == 1
