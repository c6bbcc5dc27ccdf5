"""How both of Jaeger's HTTP APIs answer: a route that fails answers in the API's own form, with the status that says whose fault.

The law: a fault of ours says no more than its kind; the log has the rest.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from whence.errors import WhenceError
from whence.serve.door import JSON, Here
from whence.serve.jaeger.asked import BadQuery
from whence.serve.jaeger.limit import answered_within
from whence.serve.jaeger.store import store_of
from whence.serve.jaeger.traces import TraceStore

_LOG: Final = logging.getLogger("whence.serve")
PLAIN: Final = "text/plain; charset=utf-8"
"""What Jaeger calls the JSON of an error."""
Route = Callable[[Request, Here], Response]


class NotFound(Exception):
    """What is asked for by its id is not there, or not for this caller."""


def store_here(here: Here) -> TraceStore:
    """The traces of the archive that is asked."""
    return store_of(here.served)


def json_answer(request: Request, value: Any) -> Response:
    """A value as JSON; indented where `prettyPrint` asks for it."""
    pretty = request.query_params.get("prettyPrint", "") not in ("", "false")
    return Response(orjson.dumps(value, option=orjson.OPT_INDENT_2 if pretty else 0), 200, None, JSON)


def answering(refused: Callable[[int, str], Any]) -> Callable[[Route], Route]:
    """A decorator of routes; `refused`: the body that says a status and a reason."""

    def decorate(route: Route) -> Route:
        @wraps(route)
        def answered(request: Request, here: Here) -> Response:
            try:
                with answered_within(here.settings.request_timeout, here.began):
                    return route(request, here)
            except Exception as fault:  # noqa: BLE001 - every fault has a status
                status, said = _told(request, fault)
                return Response(orjson.dumps(refused(status, said)) + b"\n", status, None, PLAIN)

        return answered

    return decorate


def _told(request: Request, fault: Exception) -> tuple[int, str]:
    if isinstance(fault, NotFound):
        return 404, str(fault)
    if isinstance(fault, BadQuery):
        return 400, str(fault)
    if isinstance(fault, TimeoutError):
        return 503, f"cannot answer in time: {fault}"
    if isinstance(fault, WhenceError):
        return 503 if fault.retryable else 500, str(fault)
    _LOG.error("cannot answer %s", request.url.path, exc_info=fault)
    return 500, "cannot answer: a fault of the server's own; its log says more"
