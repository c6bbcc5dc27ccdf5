"""What a trace is given before a person sees it: ids of its own for each span, everything in order, and warnings of what is odd.

The law: pure, and no time is moved. Source: what Jaeger's query service does where nobody asks for raw traces (v2.20,
jaegerquery/internal/adjuster; of several equal keys the last holds).
"""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Final, NamedTuple

from whence.event import names
from whence.otlp.shown import Around, Json
from whence.serve.jaeger.fields import ns_of, number_of, parent_of, plain_of, span_of, times_of
from whence.serve.jaeger.untangle import untangle, warned
from whence.serve.jaeger.whole import Trace

_SERVER, _CLIENT = 2, 3
_HOSTS: Final = (names.HOST_ID, names.HOST_IP, names.HOST_NAME)
_ADDRESSES: Final = frozenset({"ip", "peer.ipv4"})
"""Attributes in which old instrumentation writes an address as a number."""
Warnings = Iterator[tuple[int, str]]
"""Each of a span, by its place."""
_UNITS: Final = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns"))


class Known(NamedTuple):
    """What is asked of a span again and again."""

    own: str
    parent: str
    start: int
    end: int
    host: str


def adjusted(trace: Trace) -> Trace:
    """The same trace as a person is to see it; nothing of the given one is changed."""
    made = Trace(trace.id, {key: (_ordered_around(around), []) for key, (around, _) in trace.groups.items()})
    for key, (_, given) in trace.groups.items():
        made.groups[key][1].extend(map(_ordered, given))
    spans = [span for _, span in made.spans()]
    _tell_apart(spans)
    known = [
        Known(span_of(span), parent_of(span), *times_of(span), host)
        for around, some in made.groups.values()
        for host in [_host(around[0])]
        for span in some
    ]
    warnings: dict[int, list[str]] = {}
    for n, said in (*_odd(known), *_without_trace(spans)):
        warnings.setdefault(n, []).append(said)
    for n, (shown, told) in untangle(spans).items():
        warnings.setdefault(n, []).extend(told)
        spans[n].clear()
        spans[n].update(shown)
    for n, told in warnings.items():
        spans[n]["attributes"] = warned(spans[n].get("attributes") or [], told)
    return made


# --- order ----------------------------------------------------------------------------------------------------------------


def _ordered_around(around: Around) -> Around:
    resource, url, scope, scope_url = around
    return _with_sorted(resource), url, _with_sorted(scope), scope_url


def _ordered(span: Json) -> Json:
    shown = _with_sorted(span)
    if span.get("events"):
        shown["events"] = sorted(map(_with_sorted, span["events"]), key=lambda event: ns_of(event.get("timeUnixNano")))
    if span.get("links"):
        shown["links"] = list(map(_with_sorted, span["links"]))
    return shown


def _with_sorted(of: Json) -> Json:
    """A copy of something that has attributes, with each key once and in order."""
    shown = dict(of)
    if of.get("attributes"):
        by_key = {str(pair.get("key", "")): pair for pair in of["attributes"]}
        shown["attributes"] = [by_key[key] for key in sorted(by_key)]
        if not _ADDRESSES.isdisjoint(by_key):
            shown["attributes"] = [_addressed(key, by_key[key]) for key in sorted(by_key)]
    return shown


def _addressed(key: str, pair: Json) -> Json:
    value = plain_of(pair) if key in _ADDRESSES else None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 1 << 32:
        return pair
    return {"key": key, "value": {"stringValue": str(ipaddress.IPv4Address(int(value)))}}


# --- ids ------------------------------------------------------------------------------------------------------------------


def _tell_apart(spans: list[Json]) -> None:
    """Both sides of a call may have one id (Zipkin's way): then the server's gets one of its own, below the client's."""
    kinds: dict[str, set[int]] = {}
    for span in spans:
        kinds.setdefault(span_of(span), set()).add(number_of(span.get("kind")))
    if len(kinds) == len(spans):
        return
    shared = {own for own, found in kinds.items() if {_SERVER, _CLIENT} <= found}
    if not shared:
        return
    free = (text for n in count(1) if (text := f"{n:016x}") not in kinds)
    new: dict[str, str] = {}
    for span in spans:
        own = span_of(span)
        if own in shared and number_of(span.get("kind")) == _SERVER:
            new[own] = next(free)
            span["spanId"], span["parentSpanId"] = new[own], own
    for span in spans:
        now = new.get(parent_of(span))
        if now is not None and now != span_of(span):
            span["parentSpanId"] = now


# --- warnings -------------------------------------------------------------------------------------------------------------


def _without_trace(spans: Sequence[Json]) -> Warnings:
    for n, span in enumerate(spans):
        links = span.get("links") or ()
        valid = [link for link in links if str(link.get("traceId") or "").strip("0")]
        if len(valid) < len(links):
            span["links"] = valid
            yield from [(n, "a link that names no trace is left out")] * (len(links) - len(valid))


def _odd(spans: Sequence[Known]) -> Warnings:
    """What is odd about ids and times: another span of the same id, a parent that is not there, a time outside of its."""
    places: dict[str, int] = {}
    for n, span in enumerate(spans):
        if places.setdefault(span.own, n) != n:
            yield n, "another span of this trace has the same id"
    below: dict[int, list[int]] = {}
    roots = []
    for n in places.values():
        parent = spans[n].parent
        if parent in places:
            below.setdefault(places[parent], []).append(n)
            continue
        roots.append(n)
        if parent:
            yield n, f"its parent {parent} is not in this trace"
    yield from _skewed(spans, roots, below)


def _skewed(spans: Sequence[Known], roots: Iterable[int], below: dict[int, list[int]]) -> Warnings:
    """The spans whose clock seems to differ from that of the host that called theirs."""
    left = [(root, 0) for root in roots]
    while left:
        n, skew = left.pop()
        parent = spans[n]
        for number in below.get(n, ()):
            child = spans[number]
            same = child.host == parent.host != ""
            found = skew if same else _skew(child, parent)
            if found:
                yield number, _said(found, same)
            left.append((number, found))


def _said(skew: int, inherited: bool) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if abs(skew) >= size)
    when = "early" if skew > 0 else "late"
    off = f"{abs(skew) / size:.6g} {unit} {when}"
    return f"the clock of its host seems to be {off}" if inherited else f"it seems to be {off} beside its parent"


def _skew(child: Known, parent: Known) -> int:
    """By how many ns a span would have to move to lie in its parent, in the middle; 0 where it does, or is only longer."""
    start, end, begun, over = child.start, child.end, parent.start, parent.end
    took, whole = end - start, over - begun
    if took > whole:
        return max(begun - start, 0)
    return 0 if begun <= start and end <= over else begun + (whole - took) // 2 - start


def _host(resource: Json) -> str:
    """What a resource calls its machine, by the first key that says it; an empty text where none does."""
    said = {pair.get("key"): pair for pair in resource.get("attributes") or ()}
    value = next((plain_of(said[key]) for key in _HOSTS if key in said), "")
    if isinstance(value, list):
        value = value[0] if value else ""
    return value if isinstance(value, str) else ""
