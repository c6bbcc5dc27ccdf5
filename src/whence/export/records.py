"""OTLP JSON Lines as they are stored: a line of which everything is wanted byte for byte, else its wanted records whole.

The law: a span with its span events is one record; it is kept where any of its events is wanted.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Final

from whence.archive.reader import StoredLine
from whence.errors import DataError
from whence.event.model import Event
from whence.export.flat_json import json_bytes
from whence.export.source import Source
from whence.otlp.decode import Place, decode, signal_of
from whence.otlp.parse import parse_line

_LEVELS: Final = {
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "traces": ("resourceSpans", "scopeSpans", "spans"),
}

Wanted = Callable[[Event], bool]


def write_records(source: Source, out: BinaryIO) -> None:
    """Every line with a wanted record in it. Nothing is put in order and nothing is taken out twice."""
    for line in source.lines():
        kept = line.data if source.wanted is None else wanted_part(line, source.wanted)
        if kept is not None:
            out.write(kept + b"\n")


def wanted_part(line: StoredLine, wanted: Wanted) -> bytes | None:
    """The line with only its wanted records; None where there are none, as in metrics and in what is no OTLP."""
    try:
        data = parse_line(line.data)
        found = decode(data, line.place)
        signal = signal_of(data)
    except DataError:
        return None
    flags = [wanted(event) for event in found.events]
    if signal == "metrics" or not any(flags):
        return None
    if all(flags) and not found.bad:
        return line.data
    return json_bytes(_thinned(data, _LEVELS[signal], line.place, wanted))


def _thinned(data: Mapping[str, Any], levels: tuple[str, str, str], place: Place, wanted: Wanted) -> dict[str, Any]:
    outer, middle, inner = levels
    groups = []
    for group in _objects(data.get(outer)):
        scopes = []
        for scope in _objects(group.get(middle)):
            records = [
                record
                for record in _objects(scope.get(inner))
                if any(map(wanted, _events_of(record, scope, group, levels, place)))
            ]
            if records:
                scopes.append({**scope, inner: records})
        if scopes:
            groups.append({**group, middle: scopes})
    return {outer: groups}


def _events_of(
    record: Any, scope: Mapping[str, Any], group: Mapping[str, Any], levels: tuple[str, str, str], place: Place
) -> list[Event]:
    """The events of one record, read as if it stood alone."""
    outer, middle, inner = levels
    return decode({outer: [{**group, middle: [{**scope, inner: [record]}]}]}, place).events


def _objects(of: Any) -> Iterator[Any]:
    return (one for one in of if isinstance(one, Mapping)) if isinstance(of, list) else iter(())
