"""The house's floors hold: imports go down only, pure floors touch nothing outside, and one place imports OTel's logs."""

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

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


class Import(NamedTuple):
    """One module that a file imports, and whether only for its types."""

    name: str
    line: int
    for_types: bool


class Source(NamedTuple):
    """What the laws ask about a file."""

    imports: list[Import]
    texts: list[ast.Constant]
    calls: set[str]
    docstring: str | None
    lines: int


@cache
def source_of(file: Path) -> Source:
    """A file, read and parsed once for all laws."""
    text = file.read_text()
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    for_types = {
        id(inner)
        for node in nodes
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    return Source(
        [Import(name, node.lineno, id(node) in for_types) for node in nodes for name in _names(node)],
        [node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)],
        {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)},
        ast.get_docstring(tree),
        len(text.splitlines()),
    )


def _names(node: ast.AST) -> list[str]:
    """The modules that an import names."""
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


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
    for name, line, _ in source_of(file).imports:
        if name.startswith("whence."):
            assert FLOORS[floor_of(name)] <= FLOORS[floor_of(module)], f"{module}:{line} imports {name}"


@pytest.mark.parametrize("file", [f for f in FILES if floor_of(module_of(f)) in NEIGHBOURS], ids=module_of)
def test_recording_and_collecting_never_import_each_other(file: Path) -> None:
    """A program that records does not load the collector, and the collector does not record."""
    module = module_of(file)
    for name, line, _ in source_of(file).imports:
        if name.startswith("whence."):
            assert floor_of(name) not in NEIGHBOURS[floor_of(module)], f"{module}:{line} imports {name}"


@pytest.mark.parametrize("file", [f for f in FILES if floor_of(module_of(f)) in PURE], ids=module_of)
def test_pure_floors_touch_nothing_outside(file: Path) -> None:
    """Pure files import no clock, file, socket, thread or environment, and open nothing."""
    source = source_of(file)
    for name, line, for_types in source.imports:
        if name != "typing" and not for_types:
            assert name.split(".")[0] not in IMPURE_MODULES, f"{module_of(file)}:{line} imports {name}"
    assert "open" not in source.calls


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_only_one_file_imports_opentelemetry_logs(file: Path) -> None:
    """The logs API still lives under underscore paths; when it moves, one file must change."""
    if module_of(file) == "whence.record.otel":
        return
    for name, line, _ in source_of(file).imports:
        assert "opentelemetry._logs" not in name, f"{module_of(file)}:{line}"
        assert "opentelemetry.sdk._logs" not in name, f"{module_of(file)}:{line}"


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_attribute_names_are_spelled_in_one_table(file: Path) -> None:
    """No string `whence.<attribute>` stands outside event/names.py, docstrings and logger names aside."""
    if module_of(file) == "whence.event.names":
        return
    names = {text.value for text in source_of(SOURCE / "event" / "names.py").texts}
    table = {name for name in names if isinstance(name, str) and "." in name and " " not in name}
    for text in source_of(file).texts:
        if text.value in table:
            pytest.fail(f"{module_of(file)}:{text.lineno} spells {text.value!r}; take it from event/names.py")


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_every_file_says_what_it_is(file: Path) -> None:
    """The first line of each file is its docstring, in one sentence."""
    assert source_of(file).docstring, f"{module_of(file)} has no docstring"


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_files_stay_rooms_one_can_oversee(file: Path) -> None:
    """A file is a page or three: beyond 450 lines it is time for two rooms."""
    assert source_of(file).lines <= 450
