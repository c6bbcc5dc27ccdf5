"""Live events as Server-Sent Events: over all runs, of one run, or of one job.

The law: ids are places. Whoever connects again with the last one goes on behind it, whatever became of the files meanwhile.
"""

from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from whence.filter.selection import joined
from whence.filter.tree import Filter
from whence.serve.door import Selected, Strict, Within, of_job, of_run
from whence.serve.live.asking import Wish, Wished
from whence.serve.live.messages import sse_of
from whence.serve.live.telling import Telling, until_gone
from whence.serve.problems import RESPONSES

router = APIRouter(dependencies=[Strict], responses=RESPONSES, tags=["live"])
RETRY: Final = 1_000
"""Milliseconds after which a browser connects again."""
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)
"""No proxy may keep, change or collect what is in them: nginx does unless it is told."""
STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Messages without end: `connected`, events, `heartbeat`s; `missed` for what is not given.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


class EventStream(Response):
    """An answer that does not end until the one who asked leaves, or is let go."""

    def __init__(self, wish: Wish, wanted: Filter) -> None:
        super().__init__()
        self._wish, self._listener = wish, wish.listener(wanted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            telling = Telling(self._listener, self._wish.telling, sse_of)
            await until_gone(self._listener.subscriber, lambda: _tell(telling, send), lambda: _left(receive))
        finally:
            self._listener.close()


async def _tell(telling: Telling, send: Send) -> None:
    begun = False
    async for portion in telling.portions():
        body = sse_of(portion)
        if not begun:
            begun, body = True, b"retry: %d\n%b" % (RETRY, body)
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@router.get("/api/stream", summary="Events as they come", response_class=Response, responses=STREAM)
@router.get("/api/events/stream", summary="Events as they come", response_class=Response, responses=STREAM)
async def stream(wish: Wished, wanted: Selected) -> Response:
    """Server-Sent Events of all runs. The parameters that select are those of `/api/events`; all of them must hold.

    Every message has an id, the place behind it: give the last one as `Last-Event-ID` or `cursor` to go on there.
    """
    return EventStream(wish, wanted)


@router.get("/api/runs/{run}/stream", summary="Events of a run as they come", response_class=Response, responses=STREAM)
@router.get("/api/runs/{run}/events/stream", summary="Events of a run as they come", responses=STREAM)
@router.get("/simulations/{run}/stream", summary="Events of a simulation as they come", responses=STREAM)
@router.get("/simulations/{run}/events/stream", summary="Events of a simulation as they come", responses=STREAM)
async def stream_of_run(run: str, wish: Wished, wanted: Within) -> Response:
    """The same of one run, which may still be to come."""
    return EventStream(wish, joined([of_run(run), wanted]))


@router.get("/jobs/{job}/stream", summary="Events of a job as they come", response_class=Response, responses=STREAM)
@router.get("/jobs/{job}/events/stream", summary="Events of a job as they come", responses=STREAM)
async def stream_of_job(job: str, wish: Wished, wanted: Within) -> Response:
    """The same of one job: what happens in the run of that id, and what names the job."""
    return EventStream(wish, joined([of_job(job), wanted]))
