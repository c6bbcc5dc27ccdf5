"""What a span on its way out looks like to somebody from whom something is hidden.

The law: pure. Names, texts and attributes are masked as those of an event are; ids and times never.
"""

from dataclasses import replace
from typing import Any, Final

from whence.event.model import Event
from whence.otlp.shown import Around, Json
from whence.otlp.value import pairs, plain_attributes
from whence.serve.access.mask import Mask
from whence.serve.jaeger.whole import Masked

_EMPTY: Final = Event(id="", type="", time=0)


def masking(mask: Mask) -> Masked:
    """A function from a span and what surrounds it to what may be seen of both."""
    arounds: dict[int, tuple[Around, Around]] = {}

    def masked(span: Json, around: Around) -> tuple[Json, Around]:
        if id(around) not in arounds:
            arounds[id(around)] = around, _around(mask, around)
        return _span(mask, span), arounds[id(around)][1]

    return masked


def _attributes(mask: Mask, written: Any) -> list[Json]:
    found = mask.event(replace(_EMPTY, attributes=plain_attributes(written)))
    return pairs(found.attributes)


def _with(mask: Mask, of: Json) -> Json:
    return {**of, "attributes": _attributes(mask, of["attributes"])} if of.get("attributes") else of


def _span(mask: Mask, span: Json) -> Json:
    shown = {**_with(mask, span), "name": mask.text(str(span.get("name") or ""))}
    shown["events"] = [
        {**_with(mask, event), "name": mask.text(str(event.get("name") or ""))} for event in span.get("events", ())
    ]
    if span.get("links"):
        shown["links"] = [_with(mask, link) for link in span["links"]]
    if span.get("status", {}).get("message"):
        shown["status"] = {**span["status"], "message": mask.text(str(span["status"]["message"]))}
    return shown


def _around(mask: Mask, around: Around) -> Around:
    resource, url, scope, scope_url = around
    return _with(mask, resource), url, _with(mask, scope), scope_url
