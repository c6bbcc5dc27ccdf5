"""Jaeger's query API v1 over HTTP: what its UI's trace page and Grafana's Jaeger data source ask.

The law: every path and form is Jaeger's (v2.20); what is absent is not asked for, so an old archive needs no window.
"""

from collections.abc import Iterable
from typing import Any, Final

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from whence.serve.door import Here
from whence.serve.jaeger.adjust import adjusted
from whence.serve.jaeger.asked import DEPTH, BadQuery, checked
from whence.serve.jaeger.forms import NotFound, answering, json_answer, store_here
from whence.serve.jaeger.search import Search
from whence.serve.jaeger.v1_json import short, v1_trace
from whence.serve.jaeger.whole import Trace, spans_in
from whence.serve.jaeger.words import attributes_of, duration_of, ns_of, trace_of, truth_of, whole_of

router = APIRouter(include_in_schema=False)
_LARGEST: Final = 64 << 20
"""Bytes of a file that may be drawn."""
_MICRO: Final = 1_000
_MILLI: Final = 1_000_000


def _form(data: Any, total: int = 0, errors: Any = None) -> dict[str, Any]:
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}


def _refused(status: int, said: str) -> dict[str, Any]:
    return _form(None, errors=[{"code": status, "msg": said}])


_answering = answering(_refused)


@router.get("/api/services")
@_answering
def services(request: Request, here: Here) -> Response:
    """The services that have spans."""
    found = store_here(here).lists.services(here.caller)
    return json_answer(request, _form(found, len(found)))


@router.get("/api/services/{service:path}/operations")
@_answering
def names(request: Request, here: Here) -> Response:
    """The names of what a service does."""
    found = store_here(here).lists.operations(here.caller, request.path_params["service"])
    named = list(dict.fromkeys(one.name for one in found))
    return json_answer(request, _form(named, len(named)))


@router.get("/api/operations")
@_answering
def operations(request: Request, here: Here) -> Response:
    """What a service does, by name and kind."""
    service = request.query_params.get("service", "")
    if not service:
        raise BadQuery("parameter 'service' is required")
    found = store_here(here).lists.operations(here.caller, service, request.query_params.get("spanKind", ""))
    return json_answer(request, _form([{"name": one.name, "spanKind": one.kind} for one in found], len(found)))


@router.get("/api/traces")
@_answering
def traces(request: Request, here: Here) -> Response:
    """The traces of these ids, or those with a span that fits, whole."""
    store = store_here(here)
    if given := request.query_params.getlist("traceID"):
        ids = [trace_of(text) for text in given]
        found = list(store.whole(here.caller, ids))
        held = {trace.id for trace in found}
        missing = [{"msg": "trace not found", "traceID": short(id)} for id in ids if id not in held]
        return json_answer(request, _form(_drawn(request, found), errors=missing or None))
    wanted = store.find(here.caller, search_of(request))
    return json_answer(request, _form(_drawn(request, store.whole(here.caller, wanted))))


def _drawn(request: Request, found: Iterable[Trace]) -> list[Any]:
    """Traces in the v1 form, adjusted unless raw ones are asked for."""
    raw = truth_of("raw", request.query_params.get("raw", ""))
    return [v1_trace(one if raw else adjusted(one)) for one in found]


def search_of(request: Request) -> Search:
    """The search of the parameters. Raises BadQuery."""
    given = request.query_params
    tags: dict[str, str] = {}
    for tag in given.getlist("tag"):
        key, colon, value = tag.partition(":")
        if not colon:
            raise BadQuery(f"malformed 'tag' parameter, expecting key:value, received: {tag[:100]}")
        tags[key] = value
    return checked(
        Search(
            service=given.get("service", ""),
            operation=given.get("operation", ""),
            attributes=tags | attributes_of("tags", given.getlist("tags")),
            start_min=ns_of("start", given.get("start", ""), _MICRO),
            start_max=ns_of("end", given.get("end", ""), _MICRO),
            duration_min=duration_of("minDuration", given.get("minDuration", "")),
            duration_max=duration_of("maxDuration", given.get("maxDuration", "")),
            depth=whole_of("limit", given.get("limit", "")) or DEPTH,
        )
    )


@router.get("/api/traces/{trace}")
@_answering
def trace(request: Request, here: Here) -> Response:
    """One trace whole."""
    found = list(store_here(here).whole(here.caller, [trace_of(request.path_params["trace"])]))
    if not found:
        raise NotFound("trace not found")
    return json_answer(request, _form(_drawn(request, found)))


@router.get("/api/dependencies")
@_answering
def dependencies(request: Request, here: Here) -> Response:
    """Who calls whom, in the time before `endTs`."""
    given = request.query_params
    end = ns_of("endTs", given.get("endTs", ""), _MILLI)
    back = ns_of("lookback", given.get("lookback", ""), _MILLI)
    service = given.get("service", "")
    found = store_here(here).lists.dependencies(here.caller, max(end - back, 0) if end and back else 0, end)
    return json_answer(
        request,
        _form(
            [
                {"parent": one.parent, "child": one.child, "callCount": one.calls}
                for one in found
                if service in ("", one.parent, one.child)
            ]
        ),
    )


@router.post("/api/transform")
async def transform(request: Request, here: Here) -> Response:
    """OTLP JSON of a file that somebody drops on the UI, as traces it can draw. Nothing is kept of it."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST:
            break
    return await run_in_threadpool(_transformed, bytes(body), request, here)


def _transformed(body: bytes, request: Request, here: Here) -> Response:
    @_answering
    def answer(request: Request, here: Here) -> Response:
        if len(body) > _LARGEST:
            raise BadQuery(f"cannot draw more than {_LARGEST >> 20} MiB at once: give a smaller file")
        found = [v1_trace(one) for one in _traces_in(body)]
        if not found:
            raise BadQuery("cannot draw this: expected OTLP JSON with resourceSpans")
        return json_answer(request, _form(found))

    return answer(request, here)


def _traces_in(body: bytes) -> Iterable[Trace]:
    for id, spans in spans_in(body).items():
        made = Trace(id)
        for around, span in spans:
            made.add(around, span)
        yield made
