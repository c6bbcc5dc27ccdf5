"""The house's floors hold: imports go down only, pure floors touch nothing outside, and one place imports OTel's logs."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "whence"
FLOORS = {
    "errors": 0, "version": 0, "native": 0, "event": 1, "otlp": 2, "filter": 2, "archive": 3, "causality": 4, "index": 5,
    "export": 6, "collect": 7, "replay": 7, "record": 8, "integrations": 9, "serve": 9, "cli": 10,
}  # fmt: skip
NEIGHBOURS = {
    "collect": ("record", "integrations", "replay"),
    "replay": ("collect",),
    "record": ("collect", "replay"),
    "integrations": ("collect", "serve"),
    "serve": ("record", "integrations"),
}
"""Floors that never import each other."""
PURE = ("event", "otlp", "filter", "causality")
IMPURE_MODULES = {
    "time",
    "os",
    "socket",
    "threading",
    "asyncio",
    "subprocess",
    "random",
    "secrets",
    "pathlib",
    "io",
    "sys",
}
FILES = sorted(SOURCE.rglob("*.py"))


def floor_of(module: str) -> str:
    """`whence.otlp.encode` lives on the floor `otlp`."""
    return module.split(".")[1]


def module_of(file: Path) -> str:
    return ".".join(("whence", *file.relative_to(SOURCE).with_suffix("").parts))


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node


def test_every_folder_of_the_package_is_a_known_floor() -> None:
    """A new folder must be given its place among the floors before anything imports it."""
    found = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert found <= set(FLOORS)


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_imports_go_down_only(file: Path) -> None:
    """No file imports its own package from a floor above its own."""
    module = module_of(file)
    if file == SOURCE / "__init__.py":
        return  # the facade is above every floor
    for name, node in imports(ast.parse(file.read_text())):
        if name.startswith("whence."):
            assert FLOORS[floor_of(name)] <= FLOORS[floor_of(module)], f"{module}:{node.lineno} imports {name}"


@pytest.mark.parametrize("file", [f for f in FILES if floor_of(module_of(f)) in NEIGHBOURS], ids=module_of)
def test_recording_and_collecting_never_import_each_other(file: Path) -> None:
    """A program that records does not load the collector, and the collector does not record."""
    for name, node in imports(ast.parse(file.read_text())):
        if name.startswith("whence."):
            module = module_of(file)
            assert floor_of(name) not in NEIGHBOURS[floor_of(module)], f"{module}:{node.lineno} imports {name}"


@pytest.mark.parametrize("file", [f for f in FILES if floor_of(module_of(f)) in PURE], ids=module_of)
def test_pure_floors_touch_nothing_outside(file: Path) -> None:
    """Pure files import no clock, file, socket, thread or environment, and open nothing."""
    tree = ast.parse(file.read_text())
    for name, node in imports(tree):
        if name == "typing" or _only_for_types(tree, node):
            continue
        assert name.split(".")[0] not in IMPURE_MODULES, f"{module_of(file)}:{node.lineno} imports {name}"
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert "open" not in calls


def _only_for_types(tree: ast.AST, wanted: ast.stmt) -> bool:
    """Whether an import stands under `if TYPE_CHECKING:`."""
    return any(
        isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING") and wanted in ast.walk(node)
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_only_one_file_imports_opentelemetry_logs(file: Path) -> None:
    """The logs API still lives under underscore paths; when it moves, one file must change."""
    if module_of(file) == "whence.record.otel":
        return
    for name, node in imports(ast.parse(file.read_text())):
        assert "opentelemetry._logs" not in name, f"{module_of(file)}:{node.lineno}"
        assert "opentelemetry.sdk._logs" not in name, f"{module_of(file)}:{node.lineno}"


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_attribute_names_are_spelled_in_one_table(file: Path) -> None:
    """No string `whence.<attribute>` stands outside event/names.py, docstrings and logger names aside."""
    if module_of(file) == "whence.event.names":
        return
    names = (SOURCE / "event" / "names.py").read_text()
    table = {
        node.value
        for node in ast.walk(ast.parse(names))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and "." in node.value
        and " " not in node.value
    }
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and node.value in table:
            pytest.fail(f"{module_of(file)}:{node.lineno} spells {node.value!r}; take it from event/names.py")


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_every_file_says_what_it_is(file: Path) -> None:
    """The first line of each file is its docstring, in one sentence."""
    docstring = ast.get_docstring(ast.parse(file.read_text()))
    assert docstring, f"{module_of(file)} has no docstring"


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_files_stay_rooms_one_can_oversee(file: Path) -> None:
    """A file is a page or three: beyond 450 lines it is time for two rooms."""
    assert len(file.read_text().splitlines()) <= 450
