"""A trace as tail sampling sees it: its spans as they came, and batches of spans out of many traces.

The law: pure. Spans, scopes and resources are shared with the batches they came in, and never changed.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from whence.collect.records.draft import Json
from whence.collect.records.plain import as_string
from whence.otlp.value import plain_value, whole


class Span(NamedTuple):
    """One span and what it stands in."""

    group: Json
    """The ResourceSpans, without what is in its scopes."""
    part: Json
    """The ScopeSpans, without its spans."""
    record: Json


class Trace(NamedTuple):
    """All that is known of a trace."""

    id: str
    spans: list[Span]

    def values(self, key: str) -> Iterator[Any]:
        """The values of an attribute of its spans and their resources."""
        seen: set[int] = set()
        for span in self.spans:
            resource = span.group.get("resource") or {}
            holders = [span.record] if id(resource) in seen else [span.record, resource]
            seen.add(id(resource))
            for holder in holders:
                for pair in holder.get("attributes") or ():
                    if pair.get("key") == key and (value := pair.get("value")) is not None:
                        yield plain_value(value)

    def duration_ms(self) -> float:
        """From the first start to the last end."""
        starts = [whole(span.record.get("startTimeUnixNano") or 0) for span in self.spans]
        ends = [whole(span.record.get("endTimeUnixNano") or 0) for span in self.spans]
        return (max(ends, default=0) - min(starts, default=0)) / 1e6

    def codes(self) -> set[int]:
        """The status codes of its spans."""
        return {whole((span.record.get("status") or {}).get("code") or 0) for span in self.spans}

    def states(self, key: str) -> set[str]:
        """The values of a member of its spans' tracestates."""
        members = (member for span in self.spans for member in as_string(span.record.get("traceState")).split(","))
        return {value for name, _, value in (member.strip().partition("=") for member in members) if name == key}


def spans_of(tree: Json) -> Iterator[Span]:
    """Every span of a tree, in its order. What it stands in comes without the other spans, so that they can be forgotten."""
    for group in tree.get("resourceSpans") or ():
        bare = {name: value for name, value in group.items() if name != "scopeSpans"}
        for part in group.get("scopeSpans") or ():
            alone = {name: value for name, value in part.items() if name != "spans"}
            for record in part.get("spans") or ():
                yield Span(bare, alone, record)


def tree_of(spans: Iterable[Span]) -> Json:
    """A tree of spans, each in its resource and scope, as those first come."""
    groups: dict[int, tuple[Json, dict[int, tuple[Json, list[Json]]]]] = {}
    for span in spans:
        _, parts = groups.setdefault(id(span.group), (span.group, {}))
        _, records = parts.setdefault(id(span.part), (span.part, []))
        records.append(span.record)
    return {
        "resourceSpans": [
            {**group, "scopeSpans": [{**part, "spans": records} for part, records in parts.values()]}
            for group, parts in groups.values()
        ]
    }
