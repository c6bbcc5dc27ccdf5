"""What is said of a file in the attributes of its records, by the Collector's names."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from whence.collect.batch import LEVELS
from whence.collect.receivers.files.lines import Line
from whence.collect.receivers.files.look import Seen
from whence.collect.receivers.files.settings import FileSettings
from whence.collect.records.walk import METRIC_TYPES
from whence.otlp.value import any_value, faithful
from whence.otlp.wire import Signal

Namer = Callable[[Seen, Line], Any]


def _owner(path: str, read: Callable[[Path], str]) -> str | None:
    try:
        return read(Path(path))
    except (OSError, KeyError):
        return None


_NAMES: Final[Mapping[str, tuple[str, Namer]]] = {
    "include_file_name": ("log.file.name", lambda file, _: Path(file.path).name),
    "include_file_path": ("log.file.path", lambda file, _: file.path),
    "include_file_name_resolved": ("log.file.name_resolved", lambda file, _: Path(file.path).resolve().name),
    "include_file_path_resolved": ("log.file.path_resolved", lambda file, _: str(Path(file.path).resolve())),
    "include_file_owner_name": ("log.file.owner.name", lambda file, _: _owner(file.path, Path.owner)),
    "include_file_owner_group_name": ("log.file.owner.group.name", lambda file, _: _owner(file.path, Path.group)),
    "include_file_record_number": ("log.file.record_number", lambda _, line: line.number),
    "include_file_record_offset": ("log.file.record_offset", lambda _, line: line.start),
}

_OF_LINES: Final = ("log.file.record_number", "log.file.record_offset")
_NO_LINE: Final = Line(0, 0, b"", True)


def wanted(settings: FileSettings) -> list[tuple[str, Namer]]:
    """The attributes that these settings ask for."""
    return [named for key, named in _NAMES.items() if getattr(settings, key)]


def names_of(named: Sequence[tuple[str, Namer]], file: Seen) -> Callable[[Line], dict[str, Any]]:
    """Gives their values for a line of a file, as a map that is the asker's; what is not known is left out."""
    of_lines = [(name, read) for name, read in named if name in _OF_LINES]
    same = {
        name: faithful(value)[0]
        for name, read in named
        if name not in _OF_LINES and (value := read(file, _NO_LINE)) is not None
    }

    def names(line: Line) -> dict[str, Any]:
        found = same.copy()
        for name, read in of_lines:
            if (value := read(file, line)) is not None:
                found[name] = value
        return found

    return names


def added_to(tree: dict[str, Any], signal: Signal, values: Mapping[str, Any]) -> None:
    """Puts them on every log record, span or data point of a tree that is nobody else's; what a record says itself stays."""
    resources, scopes, records = LEVELS[signal]
    for resource in tree.get(resources, ()):
        for scope in resource.get(scopes, ()):
            for record in scope.get(records, ()):
                for one in _bearers(signal, record):
                    there = one.setdefault("attributes", [])
                    keys = {pair.get("key") for pair in there}
                    there += [
                        {"key": key, "value": any_value(value)} for key, value in values.items() if key not in keys
                    ]


def _bearers(signal: Signal, record: dict[str, Any]) -> list[dict[str, Any]]:
    if signal != "metrics":
        return [record]
    return [point for kind in METRIC_TYPES for point in record.get(kind, {}).get("dataPoints", ())]
