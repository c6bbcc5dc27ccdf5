"""Tempo's HTTP API, below /tempo: traces by id in protobuf or JSON, search by TraceQL, tags and their values.

The law: forms are Tempo's (v3.0), with the members that Grafana 13 takes for granted always there; faults are plain text.
"""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from whence.errors import WhenceError
from whence.event import names
from whence.filter.paths import paths_in
from whence.filter.selection import joined
from whence.filter.tree import Filter
from whence.otlp.project import projected_span_id
from whence.serve.access.caller import Caller, hidden_from
from whence.serve.door import Here, answer
from whence.serve.jaeger.asked import MOST, BadQuery
from whence.serve.jaeger.forms import PLAIN, Route, store_here
from whence.serve.jaeger.glance import Summary
from whence.serve.jaeger.limit import answered_within
from whence.serve.jaeger.search import bounds
from whence.serve.jaeger.service import NO_SERVICE
from whence.serve.jaeger.traces import Row, TraceStore
from whence.serve.jaeger.untangle import drawable
from whence.serve.jaeger.whole import Trace, protobuf_of
from whence.serve.jaeger.words import ns_of, trace_of, whole_of
from whence.serve.tempo.on_trace import ON_TRACE, OnTrace, paths_of_traces
from whence.serve.tempo.tags import tags, values
from whence.serve.tempo.traceql import INTRINSICS, SCOPES, Query, Unsupported, query_of

router = APIRouter(prefix="/tempo/api", include_in_schema=False)
PROTOBUF: Final = "application/protobuf"
_SECOND: Final = 1_000_000_000
_LIMIT: Final = 20
_SPANS: Final = 3
"""Spans that are shown of each trace that is found."""
_VALUES: Final = 1_000
_AT_FIRST: Final = 100
"""Traces that are looked at, at least, where something is asked about whole traces and the first few do not fit."""
_UINT32: Final = (1 << 32) - 1
"""What Tempo's milliseconds and counts are at most: Grafana refuses a whole answer for a greater one."""


def _answering(route: Route) -> Route:
    """A route whose faults are answered as Tempo answers: a status and a line of text."""

    @wraps(route)
    def answered(request: Request, here: Here) -> Response:
        try:
            with answered_within(here.settings.request_timeout, here.began):
                return route(request, here)
        except BadQuery as fault:
            return Response(f"{fault}\n", 400, None, PLAIN)
        except TimeoutError as fault:
            return Response(f"cannot answer in time: {fault}\n", 503, None, PLAIN)
        except WhenceError as fault:
            return Response(f"{fault}\n", 503 if fault.retryable else 500, None, PLAIN)

    return answered


@router.get("/echo")
def echo(request: Request, here: Here) -> Response:
    """Grafana's question whether there is a Tempo."""
    return Response("echo", 200, None, PLAIN)


@router.get("/traces/{trace}")
@_answering
def trace(request: Request, here: Here) -> Response:
    """One trace whole: OTLP in protobuf where `Accept` asks for it, else in JSON."""
    return _whole(request, here, lambda data: data, lambda tree: {"batches": tree["resourceSpans"]})


@router.get("/v2/traces/{trace}")
@_answering
def trace_v2(request: Request, here: Here) -> Response:
    """The same, inside an answer that could say it is a part; it never is."""
    return _whole(request, here, _as_first_field, lambda tree: {"trace": tree})


def _whole(request: Request, here: Here, protobuf: Callable[[bytes], bytes], json: Callable[[Any], Any]) -> Response:
    found = list(store_here(here).whole(here.caller, [trace_of(request.path_params["trace"])]))
    if not found:
        return Response("trace not found\n", 404, None, PLAIN)
    tree = _complete(drawable(found[0]))
    if PROTOBUF in request.headers.get("accept", ""):
        return Response(protobuf(protobuf_of(tree)), 200, None, PROTOBUF)
    return answer(json(tree))


def _complete(found: Trace) -> Any:
    """The trace as OTLP JSON with all that Grafana takes for granted.

    It leaves out what has no attribute of its resource: then that gets its service's name. A span without a status would end it.
    """
    tree = found.tree()
    unnamed = [{"key": names.SERVICE_NAME, "value": {"stringValue": NO_SERVICE}}]
    for group in tree["resourceSpans"]:
        if not group["resource"].get("attributes"):
            group["resource"] = {**group["resource"], "attributes": unnamed}
        for part in group["scopeSpans"]:
            part["spans"] = [
                span if span.get("status") is not None else {**span, "status": {}} for span in part["spans"]
            ]
    return tree


def _as_first_field(data: bytes) -> bytes:
    """A message whose field 1 is this message."""
    length, left = bytearray(), len(data)
    while left > 0x7F:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    return b"\x0a" + bytes(length) + bytes([left]) + data


# --- search ---------------------------------------------------------------------------------------------------------------


@router.get("/search")
@_answering
def search(request: Request, here: Here) -> Response:
    """The newest traces with a span that a TraceQL query is about, and some of those spans."""
    given = request.query_params
    for name in ("tags", "minDuration", "maxDuration"):
        if given.get(name):
            raise BadQuery(f"cannot search by {name}: write it as TraceQL in `q`")
    limit = min(whole_of("limit", given.get("limit", "")) or _LIMIT, MOST)
    shown = whole_of("spss", given.get("spss", "")) or _SPANS
    if limit < 0 or shown < 0:
        raise BadQuery("cannot search: limit and spss are numbers from 1 on")
    store, asked = store_here(here), query_of(given.get("q", ""))
    tree = joined([asked.tree, _window(request)])
    found = [] if _asks_for_hidden(here.caller, asked) else _search(store, here.caller, tree, asked.on_trace, limit)
    matched = store.rows(here.caller, [one.trace_id for one in found], spans=True, of=tree)
    traces = [_found(one, list(_shown(store, matched.get(one.trace_id, []))), shown, here.caller) for one in found]
    return answer({"traces": traces, "metrics": {}})


def _search(
    store: TraceStore, caller: Caller, tree: Filter, on_trace: tuple[OnTrace, ...], limit: int
) -> list[Summary]:
    """At most so many traces, the newest first; what is asked about whole traces, of the newest `MOST` that fit the rest."""
    fitting: dict[str, Summary] = {}
    seen: set[str] = set()
    depth = limit
    while True:
        wanted = store.find_where(caller, tree, depth)
        for one in store.summaries(caller, [id for id in wanted if id not in seen]):
            if all(asked.holds(one) for asked in on_trace):
                fitting[one.trace_id] = one
        if not on_trace or len(fitting) >= limit or len(wanted) < depth or depth >= MOST:
            return list(fitting.values())[:limit]
        seen.update(wanted)
        depth = min(max(4 * depth, _AT_FIRST), MOST)


def _asks_for_hidden(caller: Caller, asked: Query) -> bool:
    return hidden_from(caller, {*paths_in(asked.tree), *paths_of_traces(asked.on_trace)}) is not None


def _window(request: Request) -> Filter:
    start, end = (ns_of(name, request.query_params.get(name, ""), _SECOND) for name in ("start", "end"))
    return joined(bounds("time", start, end))


def _shown(store: TraceStore, rows: list[Row]) -> Iterator[Row]:
    """Those of the rows that are spans, or are shown as one because no span is known that they happened in."""
    is_span = store.spans()
    for row in rows:
        if row.signal == "span":
            yield row
        elif not (row.trace_id and row.span_id and is_span((row.trace_id, row.span_id))):
            yield row._replace(span_id=f"{projected_span_id(row.id):016x}")


def _found(of: Summary, spans: list[Row], most: int, caller: Caller) -> dict[str, Any]:
    text = (lambda text: text) if caller.mask is None else caller.mask.text
    return {
        "traceID": of.trace_id,
        "rootServiceName": of.root_service,
        "rootTraceName": of.root_operation,
        "startTimeUnixNano": str(of.start),
        "durationMs": min(max(of.end - of.start, 0) // 1_000_000, _UINT32),
        "spanSets": [
            {
                "spans": [
                    {
                        "spanID": row.span_id or "",
                        "name": text(row.type),
                        "startTimeUnixNano": str(row.time),
                        "durationNanos": str(row.duration),
                        "attributes": [{"key": names.SERVICE_NAME, "value": {"stringValue": text(row.service)}}],
                    }
                    for row in spans[:most]
                ],
                "matched": len(spans),
            }
        ],
        "serviceStats": {one.service: {"spanCount": one.spans, "errorCount": one.errors} for one in of.services},
    }


@router.get("/metrics/query_range")
@router.get("/metrics/query")
@_answering
def metrics(request: Request, here: Here) -> Response:
    """What Grafana asks where a query ends in `rate()` and the like."""
    query_of(request.query_params.get("q", ""))
    raise Unsupported(
        "cannot compute metrics of TraceQL here: whence finds traces; leave out what stands behind the braces"
    )


# --- tags -----------------------------------------------------------------------------------------------------------------


@router.get("/v2/search/tags")
@_answering
def scoped(request: Request, here: Here) -> Response:
    """The names of attributes of the newest spans, by scope."""
    found = _tags(request, store_here(here), here.caller)
    most = whole_of("limit", request.query_params.get("limit", "")) or None
    return answer({"scopes": [{"name": name, "tags": keys[:most]} for name, keys in found.items()], "metrics": {}})


@router.get("/search/tags")
@_answering
def unscoped(request: Request, here: Here) -> Response:
    """The same without their scopes."""
    found = _tags(request, store_here(here), here.caller)
    return answer({"tagNames": sorted({key for keys in found.values() for key in keys}), "metrics": {}})


def _tags(request: Request, store: TraceStore, caller: Caller) -> dict[str, list[str]]:
    scope = request.query_params.get("scope", "")
    if scope == "intrinsic":
        return {scope: list(INTRINSICS)}
    found = tags(store, caller, _window(request))
    if scope not in ("", "none", *found):
        raise BadQuery(f"cannot list the tags of the scope {scope[:40]!r}: there are {', '.join(found)}")
    return found if scope in ("", "none") else {scope: found[scope]}


@router.get("/v2/search/tag/{tag:path}/values")
@_answering
def typed_values(request: Request, here: Here) -> Response:
    """The values of a tag of the newest spans, with their types."""
    found = _values(request, here)
    return answer({"tagValues": [{"type": one.type, "value": one.value} for one in found], "metrics": {}})


@router.get("/search/tag/{tag:path}/values")
@_answering
def plain_values(request: Request, here: Here) -> Response:
    """The same, as texts; a tag without a scope may stand anywhere."""
    return answer({"tagValues": [one.value for one in _values(request, here)], "metrics": {}})


def _values(request: Request, here: Here) -> Any:
    tag = request.path_params["tag"]
    known = tag in (*INTRINSICS, *ON_TRACE) or ":" in tag or tag.partition(".")[0] in ("", *SCOPES)
    given = request.query_params
    try:
        asked = query_of(given.get("q", ""))
    except BadQuery:  # still being written, or not known here: then the values of all spans are offered
        asked = query_of("")
    if _asks_for_hidden(here.caller, asked):
        return []
    within = joined([asked.tree, _window(request)])
    found = values(store_here(here), here.caller, tag if known else f".{tag}", within)
    return found[: whole_of("limit", given.get("limit", "")) or _VALUES]
