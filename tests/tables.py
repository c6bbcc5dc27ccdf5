"""The tables in the documentation that are made from the code: `python tests/tables.py` writes them anew, tests compare them.

A table stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; everything else in the page is written by hand.
"""

import sys
import types
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from whence.event.registry import VOCABULARIES
from whence.event.typed import COMMON, TypedEvent, When
from whence.record.settings import GROUPS, Settings, variables

DOCS = Path(__file__).parents[1] / "docs"
EVERY_EVENT = {*COMMON, "description", "details"}


# --- docs/configuration.md ----------------------------------------------------------------------------------------------


def settings_table() -> str:
    """Every setting: its key, its variable, its default and what it means."""
    named = {place: variable for variable, place in variables().items()}
    rows = [["key", "variable", "default", "meaning"], ["---"] * 4]
    for place, field in _settings(Settings, ()):
        variable = f"`{named[place]}`" if place in named else ""
        rows.append([f"`{'.'.join(place)}`", variable, _default(field), field.description or ""])
    return _table(rows)


def _settings(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, field in model.model_fields.items():
        yield (*above, name), field
        if not above and name in GROUPS:
            yield from _settings(GROUPS[name], (name,))


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if value is None and "or_never" in str(field.metadata):
        return "`never`"
    if value is None or value in ({}, ()) or isinstance(value, BaseModel):
        return ""
    if isinstance(value, Enum):
        return f"`{value.name.lower()}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if "parse_duration" in str(field.metadata):
        return f"`{value:g}s`"
    if "parse_size" in str(field.metadata) or "or_never" in str(field.metadata):
        return f"`{value // 1_000_000}MB`" if value % 1_000_000 == 0 else f"`{value >> 20}MiB`"
    return f"`{value}`"


# --- docs/events.md -----------------------------------------------------------------------------------------------------


def events_of(vocabulary: types.ModuleType) -> list[type[TypedEvent]]:
    """The event models a vocabulary defines, in the order in which it defines them."""
    return [
        model
        for model in vars(vocabulary).values()
        if isinstance(model, type)
        and issubclass(model, TypedEvent)
        and model.__module__ == vocabulary.__name__
        and model.type
    ]


def common_table() -> str:
    """The fields every event may have."""
    rows = [["field", "value", "meaning"], ["---"] * 3]
    for name, field in TypedEvent.model_fields.items():
        rows.append([f"`{name}`", _type(field.annotation), field.description or ""])
    return _table(rows)


def events_tables() -> str:
    """Each vocabulary as a section with its events: type and model, kind and severity, its own fields, what it means."""
    sections = []
    for vocabulary in VOCABULARIES:
        name = vocabulary.__name__.rpartition(".")[2]
        rows = [["type", "model", "kind", "its own fields", "meaning"], ["---"] * 5]
        for model in events_of(vocabulary):
            fields = "<br>".join(
                _field(model, name, field) for name, field in model.model_fields.items() if _own(model, name)
            )
            about = " ".join((model.__doc__ or "").split())
            rows.append([f"`{model.type}`", f"`{model.__name__}`", _kind(model), fields, about])
        doc = (vocabulary.__doc__ or "").strip()
        sections.append(f"### {name}\n\n{doc}\n\n`from {vocabulary.__name__} import ...`\n\n{_table(rows)}")
    return "\n\n".join(sections)


def _own(model: type[TypedEvent], name: str) -> bool:
    """Its own, or a common field of which it asks more than others do."""
    field, common = model.model_fields[name], TypedEvent.model_fields.get(name)
    return common is None or (field.default, field.annotation) != (common.default, common.annotation)


def _field(model: type[TypedEvent], name: str, field: FieldInfo) -> str:
    wanted = (
        " required"
        if field.is_required()
        else ""
        if field.default in (None, PydanticUndefined)
        else f" = {field.default!r}"
    )
    return f"`{name}` ({_type(field.annotation)}{wanted}): {field.description}"


def _kind(model: type[TypedEvent]) -> str:
    severity = model.__dict__.get("severity", model.severity)
    if isinstance(severity, When):
        return f"{model.kind.value}; {severity.severity.name} where `{severity.field}` is set"
    return model.kind.value if severity is None else f"{model.kind.value}, {severity.name}"


_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "any"}


def _type(annotation: Any) -> str:
    if annotation in _WORDS:
        return _WORDS[annotation]
    arguments = [item for item in typing.get_args(annotation) if item is not type(None)]
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated or origin in (types.UnionType, typing.Union):
        return _type(arguments[0])
    return (
        "list" if origin is list else "mapping" if origin is dict else getattr(annotation, "__name__", str(annotation))
    )


# --- pages --------------------------------------------------------------------------------------------------------------


def _table(rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


PAGES = {
    "configuration.md": {"settings": settings_table},
    "events.md": {"common": common_table, "vocabularies": events_tables},
}


def page_with_tables(page: str) -> str:
    """The page's text as it should be: its tables made anew."""
    text = (DOCS / page).read_text()
    for name, make in PAGES[page].items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"docs/{page} has no place for the table {name!r}")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n\n{make()}\n\n{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    for page in PAGES:
        (DOCS / page).write_text(page_with_tables(page))
        sys.stdout.write(f"docs/{page}\n")
