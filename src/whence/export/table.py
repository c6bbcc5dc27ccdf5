"""The formats an archive can be exported in, one line each: a new format is a file and a line here, or an entry point.

A package of somebody else's adds formats through the entry point group `whence.export_formats`, each a `Format`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import BinaryIO, Final, Literal

from whence.errors import ConfigError
from whence.event.misfits import nearest

ENTRY_POINTS: Final = "whence.export_formats"

Write = Callable[[object, BinaryIO], None]


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    `endings`: the file name endings that ask for it. `takes`: `events` for a `source.Source`, `chain` for a
    `picture.Picture`. `write`: the function, as `module:name`, called with that and an open binary file.
    """

    name: str
    endings: tuple[str, ...]
    takes: Literal["events", "chain"]
    write: str
    help: str

    def load(self) -> Write:
        """Its function. Raises ConfigError where a package it needs is not installed."""
        module, _, name = self.write.partition(":")
        try:
            found: Write = getattr(import_module(module), name)
        except ModuleNotFoundError as missing:
            if missing.name and missing.name.startswith("whence."):
                raise
            raise ConfigError(
                f"cannot write {self.name}: the package {missing.name} is not installed; pip install 'whence[query]'"
            ) from None
        return found


OWN: Final = (
    Format("jsonl", (".jsonl", ".ndjson"), "events", "whence.export.flat_json:write_lines", "flat events, one a line"),
    Format("json", (".json",), "events", "whence.export.flat_json:write_array", "flat events, one array"),
    Format("csv", (".csv",), "events", "whence.export.cells:write_cells", "one row an event, safe in a spreadsheet"),
    Format(
        "otlp", (".otlp.jsonl",), "events", "whence.export.records:write_records", "OTLP JSON Lines, as they are stored"
    ),
    Format("parquet", (".parquet",), "events", "whence.export.columns:write_parquet", "one row an event, in columns"),
    Format("arrow", (".arrow", ".feather"), "events", "whence.export.columns:write_arrow", "Arrow IPC, in batches"),
    Format(
        "chrome",
        (".trace.json", ".chrome.json", ".perfetto.json"),
        "events",
        "whence.export.chrome:write_trace",
        "for Perfetto and chrome://tracing: a lane an agent, arrows for causes",
    ),
    Format(
        "jaeger", (".jaeger.json",), "events", "whence.export.jaeger:write_trace", "one trace, as Jaeger's own JSON"
    ),
    Format("dot", (".dot", ".gv"), "chain", "whence.export.picture:write_dot", "a causal chain, for Graphviz"),
    Format(
        "mermaid", (".mmd", ".mermaid"), "chain", "whence.export.picture:write_mermaid", "a causal chain, for Mermaid"
    ),
)


def formats() -> dict[str, Format]:
    """Every format by name, those of other installed packages included; an own name cannot be taken over."""
    found = {format.name: format for format in _foreign()}
    return found | {format.name: format for format in OWN}


def _foreign() -> Iterator[Format]:
    for entry in entry_points(group=ENTRY_POINTS):
        format = entry.load()
        if not isinstance(format, Format):
            raise ConfigError(f"cannot use the export format {entry.name} ({entry.value}): it is no Format")
        yield format


def format_named(name: str) -> Format:
    """The format of that name. Raises ConfigError naming the nearest."""
    known = formats()
    if name not in known:
        raise ConfigError(f"cannot export as {name!r}: there is no such format{nearest(name, list(known))}")
    return known[name]


def format_of_file(file_name: str) -> Format:
    """The format that a file name's ending asks for, the longest that fits. Raises ConfigError where none does."""
    fitting = [
        (len(ending), format)
        for format in formats().values()
        for ending in format.endings
        if file_name.lower().endswith(ending)
    ]
    if not fitting:
        raise ConfigError(
            f"cannot tell the format of {file_name!r} from its ending: say --format {', '.join(formats())}"
        )
    return max(fitting, key=lambda one: one[0])[1]
