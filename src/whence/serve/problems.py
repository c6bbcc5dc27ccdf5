"""What went wrong, as `application/problem+json` (RFC 9457): every error answer of the HTTP API, with what to do about it.

The law: an answer tells of the request and never of the machine: no path of ours, no traceback, no token.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from whence.errors import FilterError, NotFoundError, WhenceError
from whence.event.misfits import nearest
from whence.export.flat_json import json_bytes

_LOG: Final = logging.getLogger("whence.serve")
MEDIA: Final = "application/problem+json"


class Problem(BaseModel):
    """An error answer."""

    type: str = Field("about:blank", description="`about:blank`: the status says what kind of problem it is")
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="what could not be done, why, and what to do")
    instance: str = Field(description="the path that was asked for")
    place: list[str] | None = Field(None, description="of a filter: its text, and under it a caret at the fault")


class Refusal(Exception):
    """A request that is answered with a problem."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.more = status, detail, dict(headers or {}), more


def problem(status: int, detail: str, instance: str, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """The answer. `more`: members beside the standard ones."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": instance, **more}
    return Response(json_bytes(body), status, dict(headers or {}), MEDIA)


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "What went wrong, and what to do about it.",
        "content": {
            MEDIA: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "cannot find the event '01KDV': no id is that; ask /api/events for ids",
                    "instance": "/api/events/01KDV",
                },
            }
        },
    }
}
"""For each route's OpenAPI."""


def add_problems(app: FastAPI) -> None:
    """Turn everything that goes wrong in a route into a problem."""
    app.add_exception_handler(Refusal, _answered(_of_refusal))
    app.add_exception_handler(RequestValidationError, _answered(_of_parameters))
    app.add_exception_handler(WebSocketRequestValidationError, _answered(_of_parameters))
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(WhenceError, _answered(_of_ours))
    app.add_exception_handler(TimeoutError, _of_time)
    app.add_exception_handler(Exception, _of_anything)


def _answered(
    describe: Callable[[HTTPConnection, Exception], Response],
) -> Callable[[HTTPConnection, Exception], Awaitable[Response]]:
    """The same for requests that ask for a WebSocket: they are answered with the problem in place of one."""

    async def answer(connection: HTTPConnection, fault: Exception) -> Response:
        found = describe(connection, fault)
        if isinstance(connection, WebSocket):
            await connection.send_denial_response(found)
        return found

    return answer


def _path(request: HTTPConnection) -> str:
    return request.url.path


def _of_refusal(request: HTTPConnection, fault: Exception) -> Response:
    assert isinstance(fault, Refusal)
    return problem(fault.status, fault.detail, _path(request), fault.headers, **fault.more)


def _of_parameters(request: HTTPConnection, fault: Exception) -> Response:
    assert isinstance(fault, (RequestValidationError, WebSocketRequestValidationError))
    said = "; ".join(dict.fromkeys(map(_misfit, fault.errors())))
    return problem(422, f"cannot understand the request: {said}; see /docs", _path(request))


def _misfit(error: Mapping[str, Any]) -> str:
    where, *place = error["loc"]
    name = ".".join(map(str, place)) or where
    what = str(error["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{name}: missing"
    return f"{name}: expected {what}, got {str(error.get('input'))[:60]!r}"


def _of_http(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    detail = fault.detail
    if fault.status_code == HTTPStatus.NOT_FOUND and "route" not in request.scope:
        paths = list(request.app.openapi()["paths"])
        near = nearest(request.url.path, paths)
        detail = f"cannot find {request.url.path}: there is no such path{near or '; see /docs'}"
    elif fault.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (fault.headers or {}).get("allow", "GET")
        detail = f"cannot {request.method} {request.url.path}: use {allowed}"
    return problem(fault.status_code, detail, _path(request), fault.headers)


def _of_ours(request: HTTPConnection, fault: Exception) -> Response:
    assert isinstance(fault, WhenceError)
    said, *place = str(fault).split("\n")
    if isinstance(fault, NotFoundError):
        return problem(404, said, _path(request))
    if isinstance(fault, FilterError):
        return problem(400, said, _path(request), place=place) if place else problem(400, said, _path(request))
    if fault.fault == "caller":
        return problem(400, said, _path(request))
    _LOG.error("%s: %s", request.url.path, fault)
    return problem(503 if fault.retryable else 500, said, _path(request))


def _of_time(request: Request, fault: Exception) -> Response:
    return problem(
        503,
        f"cannot answer in time: {fault}; ask for less, or raise request_timeout",
        _path(request),
        {"Retry-After": "1"},
    )


def _of_anything(request: Request, fault: Exception) -> Response:
    _LOG.error("cannot answer %s %s", request.method, request.url.path, exc_info=fault)
    return problem(500, "cannot answer: a fault of the server's own; its log says more", _path(request))
