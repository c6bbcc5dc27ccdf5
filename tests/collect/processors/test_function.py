"""A function of somebody else's, found by its entry point in a package that is really installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from build_processors import Sink, a_host, a_log, a_span, attributes, body, logs, records, spans
from whence.collect.batch import Batch
from whence.collect.processors.function import plug_of
from whence.collect.settings import Settings
from whence.errors import ConfigError

PACKAGE = Path(__file__).parent / "shouting"
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[2])
from build_processors import Sink, a_host, a_log, body, logs, records
from whence.collect.kinds import Catalog
from whence.collect.settings import Settings

catalog = Catalog()
kind = catalog.find("processor", "shout")
process = catalog.plug(kind).build(Settings(), a_host("shout"), Sink())
after = process(logs(a_log("quiet", {"drop": False}), a_log("gone", {"drop": True})))
print(kind.help, [body(record) for record in records(after)])
"""


def made(function: object) -> object:
    return plug_of(function).build(Settings(), a_host("f"), Sink())  # type: ignore[arg-type]


def test_an_installed_package_s_function_is_a_processor(tmp_path: Path) -> None:
    """Files and an entry point as pip leaves them, on the path of a new interpreter."""
    target = tmp_path / "site"
    target.mkdir()
    (target / "shouting.py").write_text((PACKAGE / "shouting.py").read_text())
    information = target / "shouting-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text((PACKAGE / "entry_points.txt").read_text())
    (information / "RECORD").write_text("")
    command = [sys.executable, "-c", PROGRAM, str(target), str(Path(__file__).parents[2])]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(target)}, timeout=60
    )
    assert done.stdout == "of shouting ['QUIET!']\n", done.stderr


def test_a_function_of_records_gets_its_own_copy() -> None:
    """Whatever it does to it, the batch stays."""

    def process(record: dict, resource: dict, scope: dict) -> dict | None:
        resource.clear()
        scope["name"] = "changed"
        if record.get("name") == "b":
            return None
        record["attributes"].append({"key": "seen", "value": {"boolValue": True}})
        return record

    batch = spans(a_span("a", {"x": 1}), a_span("b"))
    after = made(process)(batch)  # type: ignore[operator]
    assert [attributes(span) for span in records(after)] == [{"x": 1, "seen": True}]
    assert attributes(records(batch)[0]) == {"x": 1}
    assert (batch.tree or {})["resourceSpans"][0]["scopeSpans"][0]["scope"] == {"name": "app"}


def test_one_that_changes_nothing_gives_the_very_batch() -> None:
    """Bytes stay bytes."""
    batch = logs(a_log("x"))
    assert made(lambda record, resource, scope: record)(batch) is batch  # type: ignore[operator]


def test_a_function_of_batches_decides_about_all_of_it() -> None:
    """A batch, another one, or None."""

    def process(batch: Batch) -> Batch | None:
        return batch if batch.signal == "logs" else None

    batch = logs(a_log("x"))
    assert made(process)(batch) is batch  # type: ignore[operator]
    assert made(process)(spans(a_span())) is None  # type: ignore[operator]


def test_what_it_gives_wrongly_is_said() -> None:
    """By the function's name."""
    with pytest.raises(TypeError, match="gave str, not a dict or None"):
        made(lambda record, resource, scope: "x")(logs(a_log("x")))  # type: ignore[operator]
    with pytest.raises(TypeError, match="gave int, not a Batch or None"):
        made(lambda batch: 5)(logs(a_log("x")))  # type: ignore[operator]


@pytest.mark.parametrize("function", [lambda: None, lambda record, scope: None, lambda record: None, lambda a, b: None])
def test_a_function_of_anything_else_is_refused(function: object) -> None:
    """With what it must take."""
    with pytest.raises(ConfigError, match=r"it must take \(batch\), or"):
        plug_of(function)  # type: ignore[arg-type]


def test_the_record_that_it_gives_is_what_is_stored() -> None:
    """A new object is as good as a changed one."""
    after = made(lambda record, resource, scope: {"body": {"stringValue": "new"}})(logs(a_log("x")))  # type: ignore[operator]
    assert [body(record) for record in records(after)] == ["new"]
    assert after.lines().lines[0].records == 1
