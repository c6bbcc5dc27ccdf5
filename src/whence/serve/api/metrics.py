"""`/metrics`: what the server says of itself, in the Prometheus text format."""

from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from whence.collect.telemetry import render
from whence.serve.door import Here, Strict
from whence.serve.problems import RESPONSES

router = APIRouter(dependencies=[Strict], responses=RESPONSES, tags=["server"])
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


@router.get(
    "/metrics",
    summary="Metrics of the server",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text"}},
)
def metrics(here: Here) -> Response:
    """Requests by route and status, how long answers take, and the process's time and memory."""
    return Response(render(here.served.telemetry.families()), media_type=_TEXT)
