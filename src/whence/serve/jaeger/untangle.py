"""Trees that viewers can draw: Jaeger's UI and Grafana take a span without a parent to be below the first span that it links to.

The law: pure. A span that is below itself in that way, as one that links to what came of it is, would not be drawn at all, nor
would what is below it: such a link is left out, or where only parents go round in a circle one parent, and a warning says so.
"""

from collections.abc import Iterable, Sequence

from whence.otlp.shown import Json
from whence.serve.jaeger.fields import WARNINGS, ns_of, parent_of, span_of, warnings_in
from whence.serve.jaeger.whole import Trace


def drawable(trace: Trace) -> Trace:
    """The trace, in which each span is below another or below none; the very one that is given if it was so."""
    spans = [span for _, span in trace.spans()]
    changed = untangle(spans)
    if not changed:
        return trace
    made = Trace(trace.id)
    for n, (around, span) in enumerate(trace.spans()):
        if n in changed:
            span, said = changed[n]  # noqa: PLW2901 - in its place
            span["attributes"] = warned(span.get("attributes") or [], said)
        made.add(around, span)
    return made


def untangle(spans: Sequence[Json]) -> dict[int, tuple[Json, list[str]]]:
    """What is to stand in the place of some of these spans, and what to say of it, by their place."""
    places: dict[str, int] = {}
    for n, span in enumerate(spans):
        places.setdefault(span_of(span), n)
    left = {n: _above(span, places) for n, span in enumerate(spans)}
    cut: dict[int, list[int]] = {}
    done: set[int] = set()
    for start in range(len(spans)):
        while circle := _circle(start, left, done):
            by_link = [n for n in circle if left[n][0][0]]
            chosen = min(by_link or circle, key=lambda n: (ns_of(spans[n].get("startTimeUnixNano")), n))
            cut.setdefault(chosen, []).append(left[chosen].pop(0)[0])
    return {n: _without(spans[n], numbers) for n, numbers in sorted(cut.items())}


Above = list[tuple[int, int]]
"""What a span may be taken to be below, in order: 0 for its parent, or a link's number from 1 on, and the other span's place."""


def _above(span: Json, places: dict[str, int]) -> Above:
    ids = [parent_of(span), *map(span_of, span.get("links") or ())]
    return [(n, places[own]) for n, own in enumerate(ids) if own in places]


def _circle(start: int, left: dict[int, Above], done: set[int]) -> list[int]:
    """The places of spans that are each below the next, and the last below the first; empty where the way up ends."""
    path: dict[int, None] = {}
    at = start
    while at not in done and at not in path:
        path[at] = None
        if not left[at]:
            break
        at = left[at][0][1]
    else:
        if at in path:
            way = list(path)
            return way[way.index(at) :]
    done.update(path)
    return []


def _without(span: Json, numbers: Iterable[int]) -> tuple[Json, list[str]]:
    """A copy without its parent (0) or some of its links, and what to say of that."""
    shown, said = dict(span), []
    gone = set(numbers)
    if 0 in gone:
        said.append(f"its parent {shown.pop('parentSpanId')} is below it, in a circle")
    links = span.get("links") or ()
    said += [
        f"its link to {links[n - 1].get('spanId')}, which is below it, is left out: viewers would draw neither"
        for n in sorted(gone - {0})
    ]
    if gone - {0}:
        shown["links"] = [link for n, link in enumerate(links, 1) if n not in gone]
    return shown, said


def warned(attributes: Sequence[Json], said: Sequence[str]) -> list[Json]:
    """A span's attributes with these warnings, behind those that it has."""
    values = [{"stringValue": text} for text in (*warnings_in(attributes), *said)]
    rest = [pair for pair in attributes if pair.get("key") != WARNINGS]
    return [{"key": WARNINGS, "value": {"arrayValue": {"values": values}}}, *rest]
