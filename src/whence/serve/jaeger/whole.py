"""Whole traces as OTLP: the spans of an archive's lines, found by their places, and the log events that are shown with them.

The law: a line is given as it was written, but for what the caller may not see; a span that stands twice is given once, two that
have one id (both sides of a call, in Zipkin's way) are both given.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from whence.archive.reader import Archive, Segment, StoredLine
from whence.errors import DataError
from whence.event.ids import span_event_id_of, span_id_of
from whence.event.model import Event
from whence.otlp.parse import parse_line
from whence.otlp.shown import Around, Json, around_of, event_on_span, is_projection, span_of_event, tree_of
from whence.otlp.wire import protobuf_of_tree
from whence.serve.jaeger.fields import parent_of, span_of
from whence.serve.jaeger.limit import in_time

Where = tuple[str, int]
"""A line: its segment's stem, and its offset."""
_KEPT: Final = 24
"""Lines that are kept parsed, of a MiB at most: neighbours in the list of traces are neighbours in the archive."""
_NEAR: Final = 4 << 20
"""Bytes that are read on to the next line that is wanted rather than opening the file again."""
CHUNK: Final = 1_500_000
"""Bytes of JSON of one message's spans; as protobuf they are fewer."""


@dataclass(slots=True)
class Trace:
    """A trace: its id, and its spans by what surrounds them."""

    id: str
    groups: dict[bytes, tuple[Around, list[Json]]] = field(default_factory=dict)
    _near: dict[int, tuple[Around, list[Json]]] = field(default_factory=dict, repr=False, compare=False)
    """The group of each object that surrounded a span, which is kept, so that no other can be taken for it."""

    def add(self, around: Around, span: Json) -> None:
        """One more span."""
        near = self._near.get(id(around))
        if near is None:
            near = self._near[id(around)] = around, self.groups.setdefault(orjson.dumps(around), (around, []))[1]
        near[1].append(span)

    def __len__(self) -> int:
        return sum(len(spans) for _, spans in self.groups.values())

    def spans(self) -> Iterator[tuple[Around, Json]]:
        """Every span with what surrounds it."""
        for around, spans in self.groups.values():
            for span in spans:
                yield around, span

    def tree(self) -> Json:
        """The trace as one OTLP JSON object."""
        return tree_of(self.groups.values())

    def chunks(self) -> Iterator[Json]:
        """The trace as several OTLP JSON objects, none of them empty, each of about `CHUNK` bytes at most."""
        size = 0
        some: dict[int, tuple[Around, list[Json]]] = {}
        for around, spans in self.groups.values():
            for span in spans:
                length = len(orjson.dumps(span))
                if some and size + length > CHUNK:
                    yield tree_of(some.values())
                    some, size = {}, 0
                if id(around) not in some:
                    some[id(around)] = (around, [])
                    size += len(orjson.dumps(around))
                some[id(around)][1].append(span)
                size += length
        if some:
            yield tree_of(some.values())


def protobuf_of(tree: Json) -> bytes:
    """TracesData in protobuf, without a span that OTLP has no place for (an archive of another writer may have one)."""
    try:
        return protobuf_of_tree("traces", tree)
    except DataError:
        written = []
        for part in _one_by_one(tree):
            try:
                written.append(protobuf_of_tree("traces", part))
            except DataError:
                continue
        return b"".join(written)


def _one_by_one(tree: Json) -> Iterator[Json]:
    for group in tree["resourceSpans"]:
        for part in group["scopeSpans"]:
            for span in part["spans"]:
                yield {"resourceSpans": [{**group, "scopeSpans": [{**part, "spans": [span]}]}]}


# --- lines ----------------------------------------------------------------------------------------------------------------

Found = dict[str, list[tuple[Around, Json]]]
"""A line's spans by their trace, each with what surrounds it."""


class Reader:
    """Lines of an archive by their places, which are best asked for in ascending order. Of one thread."""

    def __init__(self, archive: Archive) -> None:
        self._segments: Mapping[str, Segment] = {segment.stem: segment for segment in archive.segments()}
        self._stream: Iterator[StoredLine] | None = None
        self._at: Where = ("", 0)

    def line(self, place: Where) -> bytes | None:
        """The line at a place; None where it is gone."""
        stem, offset = place
        segment = self._segments.get(stem)
        if segment is None:
            return None
        if self._stream is None or self._at[0] != stem or not self._at[1] <= offset <= self._at[1] + _NEAR:
            self._stream = segment.lines([], start=offset)
        for line in self._stream:
            self._at = (stem, line.place.offset + len(line.data) + 1)
            if line.place.offset >= offset:
                if line.place.offset == offset:
                    return line.data
                break
        self._stream = None
        return None


class Lines:
    """The spans of an archive's lines by place, some of them kept as they were parsed. Of one thread."""

    def __init__(self, archive: Archive) -> None:
        self._reader = Reader(archive)
        self._kept: OrderedDict[Where, Found] = OrderedDict()

    def read(self, places: Iterable[Where]) -> Iterator[Found]:
        """The spans of each of these lines, in the order of the places. A line that is gone is left out."""
        for place in sorted(set(places)):
            in_time()
            if (found := self._kept.get(place)) is not None:
                self._kept.move_to_end(place)
            elif (data := self._reader.line(place)) is not None:
                found = self._kept[place] = spans_in(data)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            if found is not None:
                yield found


def spans_in(data: bytes) -> Found:
    """The spans of a line by their trace; none of a line that is no OTLP JSON of spans."""
    found: Found = {}
    try:
        tree = parse_line(data)
        for group in tree.get("resourceSpans") or ():
            resource, url = group.get("resource") or {}, group.get("schemaUrl") or ""
            for part in group.get("scopeSpans") or ():
                around = resource, url, part.get("scope") or {}, part.get("schemaUrl") or ""
                for span in part.get("spans") or ():
                    trace = span.get("traceId")
                    if isinstance(trace, str):
                        found.setdefault(trace.lower(), []).append((around, span))
    except (DataError, AttributeError, TypeError):
        pass
    return found


# --- traces ---------------------------------------------------------------------------------------------------------------


class Seen:
    """What of a trace a caller may see: by id, and where several have one id by their time and name too."""

    def __init__(self, rows: Iterable[tuple[str, int, str]]) -> None:
        self._rows = frozenset(rows)
        self._ids = frozenset(id for id, _, _ in self._rows)

    def alone(self, id: str, time: Any, name: Any) -> bool:
        """Whether this may be seen, which nothing else has the id of."""
        return id in self._ids

    def among(self, id: str, time: Any, name: Any) -> bool:
        """Whether this one of those that have the id may be seen."""
        return (id, int(time or 0), str(name or "")) in self._rows


def _anything(id: str, time: Any, name: Any) -> bool:
    return True


class Parts(NamedTuple):
    """What a trace is put together of."""

    places: list[Where]
    """The lines its spans stand in."""
    logs: list[Event]
    """The log events that are shown in it."""
    seen: Seen | None
    """The spans and span events that may be seen; None for all of them."""
    ties: Mapping[str, tuple[str, str]]
    """Where each known cause of those log events is shown."""


Masked = Callable[[Json, Around], tuple[Json, Around]]


def assemble(trace: str, parts: Parts, lines: Lines, masked: Masked | None = None) -> Trace:
    """The trace of these parts; `masked`: what a span and what surrounds it look like to the caller."""
    written: dict[str, list[tuple[Around, Json]]] = {}
    for found in lines.read(parts.places):
        for around, span in found.get(trace, ()):
            alike = written.setdefault(span_of(span), [])
            if (around, span) not in alike and not is_projection(span.get("attributes")):
                alike.append((around, span))
    spans: dict[str, tuple[Around, Json]] = {}
    others: list[tuple[Around, Json]] = []
    for own, alike in written.items():
        may_see = _anything if parts.seen is None else parts.seen.alone if len(alike) == 1 else parts.seen.among
        for around, span in alike:
            if may_see(span_id_of(trace, own), span.get("startTimeUnixNano"), span.get("name")):
                shown = (around, _shown(trace, own, span, may_see))
                if spans.setdefault(own, shown) is not shown:
                    others.append(shown)
    made = Trace(trace)
    extra: list[tuple[Around, Json]] = []
    for event in parts.logs:
        on = spans.get(event.span_id or "") if event.trace_id else None
        if on is not None:
            on[1]["events"].append(event_on_span(event))
        else:
            extra.append((around_of(event), span_of_event(event, parts.ties)))
    for around, span in (*spans.values(), *others, *extra):
        if masked is not None:
            span, around = masked(span, around)  # noqa: PLW2901 - from here on only what may be seen
        made.add(around, span)
    return made


def _shown(trace: str, own: str, span: Json, may_see: Callable[[str, Any, Any], bool]) -> Json:
    """A copy of a span: lists of its events and a status always there, without projections and what may not be seen."""
    events = [
        event
        for n, event in enumerate(span.get("events") or ())
        if not is_projection(event.get("attributes"))
        and may_see(span_event_id_of(trace, own, n), event.get("timeUnixNano"), event.get("name"))
    ]
    shown = {**span, "events": events, "status": span.get("status") or {}}
    if not parent_of(span).strip("0"):
        shown.pop("parentSpanId", None)  # a parent of zeros would be shown as a span that is missing
    return shown
