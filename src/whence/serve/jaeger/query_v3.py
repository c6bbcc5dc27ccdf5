"""Jaeger's query API v3 over HTTP: what the UI asks for services, operations, searches and summaries.

The law: every path and form is Jaeger's (v2.20); traces are OTLP JSON. Each parameter has its older spelling too.
"""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from whence.serve.door import Here
from whence.serve.jaeger.adjust import adjusted
from whence.serve.jaeger.asked import DEPTH, BadQuery, checked
from whence.serve.jaeger.forms import NotFound, answering, json_answer, store_here
from whence.serve.jaeger.glance import Summary
from whence.serve.jaeger.search import Search
from whence.serve.jaeger.whole import Trace
from whence.serve.jaeger.words import attributes_of, duration_of, moment_of, trace_of, truth_of, whole_of

router = APIRouter(prefix="/api/v3", include_in_schema=False)


def _refused(status: int, said: str) -> dict[str, Any]:
    return {"error": {"httpCode": status, "message": said}}


_answering = answering(_refused)


@router.get("/services")
@_answering
def services(request: Request, here: Here) -> Response:
    """The services that have spans."""
    return json_answer(request, {"services": store_here(here).lists.services(here.caller)})


@router.get("/operations")
@_answering
def operations(request: Request, here: Here) -> Response:
    """What a service does; a span that says no kind is called internal."""
    kind = _given(request, "spanKind", "span_kind")
    found = store_here(here).lists.operations(here.caller, request.query_params.get("service", ""), kind)
    return json_answer(
        request, {"operations": [{"name": one.name, "spanKind": one.kind or "internal"} for one in found]}
    )


@router.get("/traces/{trace}")
@_answering
def trace(request: Request, here: Here) -> Response:
    """One trace whole."""
    wanted = [trace_of(request.path_params["trace"])]
    raw = truth_of("rawTraces", _given(request, "rawTraces", "raw_traces"))
    return _result(request, store_here(here).whole(here.caller, wanted), raw)


@router.get("/traces")
@_answering
def traces(request: Request, here: Here) -> Response:
    """The traces with a span that fits, whole, in one result."""
    store = store_here(here)
    raw = truth_of("query.rawTraces", _given(request, "query.rawTraces", "query.raw_traces"))
    return _result(request, store.whole(here.caller, store.find(here.caller, search_of(request))), raw)


@router.get("/trace-summaries")
@_answering
def summaries(request: Request, here: Here) -> Response:
    """The same at a glance."""
    store = store_here(here)
    found = store.summaries(here.caller, store.find(here.caller, search_of(request)))
    return json_answer(request, {"summaries": [_summary(one) for one in found]})


def _result(request: Request, found: Iterable[Trace], raw: bool) -> Response:
    groups = [group for one in found for group in (one if raw else adjusted(one)).tree()["resourceSpans"]]
    if not groups:
        raise NotFound("No traces found")
    return json_answer(request, {"result": {"resourceSpans": groups}})


def _summary(of: Summary) -> dict[str, Any]:
    return {
        "traceId": of.trace_id,
        "rootServiceName": of.root_service,
        "rootOperationName": of.root_operation,
        "minStartTimeUnixNano": str(of.start),
        "maxEndTimeUnixNano": str(of.end),
        "spanCount": of.spans,
        "errorSpanCount": of.errors,
        "orphanSpanCount": of.orphans,
        "services": [
            {"name": one.service, "spanCount": one.spans, "errorSpanCount": one.errors} for one in of.services
        ],
    }


def _given(request: Request, *spellings: str) -> str:
    return next((said for name in spellings if (said := request.query_params.get(name))), "")


def search_of(request: Request) -> Search:
    """The search of the parameters, both ends of whose window must be given. Raises BadQuery."""

    def said(*spellings: str) -> str:
        return _given(request, *(f"query.{name}" for name in spellings))

    after, before = said("startTimeMin", "start_time_min"), said("startTimeMax", "start_time_max")
    if not after or not before:
        raise BadQuery("query.startTimeMin and query.startTimeMax are required")
    start, end = moment_of("query.startTimeMin", after), moment_of("query.startTimeMax", before)
    if start >= end:
        raise BadQuery("query.startTimeMin must be before query.startTimeMax")
    given = request.query_params.get("query.attributes")
    return checked(
        Search(
            service=said("serviceName", "service_name"),
            operation=said("operationName", "operation_name"),
            attributes=attributes_of("query.attributes", [given] if given else []),
            start_min=start,
            start_max=end,
            duration_min=duration_of("query.durationMin", said("durationMin", "duration_min")),
            duration_max=duration_of("query.durationMax", said("durationMax", "duration_max")),
            depth=whole_of("query.searchDepth", said("searchDepth", "search_depth", "num_traces")) or DEPTH,
        )
    )
