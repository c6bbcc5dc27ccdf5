"""`whence query` and `whence sql`: an archive asked in the filter language or in SQL."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from whence.cli.columns import in_columns
from whence.cli.lines import clock_text, duration_text, row_of
from whence.cli.options import ARCHIVE, ArchiveOption, JsonOption, TimeoutOption, parse_timeout
from whence.cli.output import screen, write, write_json
from whence.cli.reading import finish
from whence.cli.screen import Screen
from whence.cli.text import safe, to_json
from whence.event.flat import plain, to_flat
from whence.filter.names import Kind
from whence.filter.parse import parse_query
from whence.filter.tree import Head
from whence.index.answers import Answers
from whence.index.answers import open as open_answers
from whence.index.rows import Rows, cell


def query(
    expression: Annotated[str, typer.Argument(metavar="EXPR", help="A filter, and pipes if you like.")],
    *,
    archive: ArchiveOption = ARCHIVE,
    limit: Annotated[int | None, typer.Option(min=0, metavar="N", help="The first N only.")] = None,
    timeout: TimeoutOption = None,
    json: JsonOption = False,
) -> int:
    """Ask in the filter language: conditions, causes, counts.

    Events in the order of time, or the table that pipes make of them, such as `severity >= ERROR | count by agent`.
    """
    asked = parse_query(expression, now=time.time_ns())
    if limit is not None:
        asked = replace(asked, pipes=(*asked.pipes, Head(limit)))
    answers = open_answers(archive)
    found = answers.engine.ask(asked, timeout=parse_timeout(timeout))
    there = screen()
    if isinstance(found, Rows):
        _tell_table(found.names, _shown(found.rows, found.kinds, json=json), there, json=json)
    else:
        write(
            to_json(to_flat(event))
            if json
            else f"{there.paint(clock_text(event.time), 'dim')} {row_of(event, there).text}"
            for event in found
        )
    return _finish(answers, archive, partial=found.partial)


def sql(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="One SELECT.")],
    *,
    archive: ArchiveOption = ARCHIVE,
    json: JsonOption = False,
) -> int:
    """Ask in SQL, over events, spans, causes and runs.

    One SELECT in DuckDB's SQL over the views `events`, `spans`, `causes` and `runs`. It can read nothing else.
    """
    answers = open_answers(archive)
    reader = answers.sql(text)
    rows = (row for batch in reader for row in zip(*(column.to_pylist() for column in batch.columns), strict=True))
    shown = (tuple(_json_value(value) for value in row) for row in rows)
    _tell_table(reader.schema.names, shown, screen(), json=json)
    return _finish(answers, archive, partial=False)


def _finish(answers: Answers, archive: Path, *, partial: bool) -> int:
    answers.engine.archive.problems[:] = answers.engine.problems()
    return finish(answers.engine.archive, archive, partial=partial)


def _json_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else plain(value)


def _shown(rows: Iterable[tuple[Any, ...]], kinds: Sequence[Kind], *, json: bool) -> Iterator[tuple[Any, ...]]:
    """The values as people and programs know them: times as text, severities by name, JSON as what it says."""
    for row in rows:
        yield tuple((cell if json else _value)(value, kind) for value, kind in zip(row, kinds, strict=True))


def _value(value: Any, kind: Kind) -> Any:
    if value is not None and kind is Kind.TIME:
        return clock_text(int(value))
    return duration_text(round(value)) if value is not None and kind is Kind.DURATION else cell(value, kind)


def _tell_table(names: list[str], rows: Iterable[tuple[Any, ...]], there: Screen, *, json: bool) -> None:
    if json:
        write_json(dict(zip(names, row, strict=True)) for row in rows)
        return
    write(in_columns(tuple(map(safe, names)), (tuple(map(_cell, row)) for row in rows), there))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    return safe(value) if isinstance(value, str) else to_json(value)
