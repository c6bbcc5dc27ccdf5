"""Live events by asking again and again: the same events in the same form as on a stream, behind a place or since a time.

The law: nothing is kept between two requests; the cursor of an answer says everything.
"""

import asyncio
from functools import partial
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from whence.export.flat_json import json_bytes
from whence.filter.selection import OptionError, joined, parse_duration
from whence.filter.tree import Filter
from whence.serve.api.models import json_of
from whence.serve.door import JSON, Asking, Here, Selected, Strict, Within, of_job, of_run
from whence.serve.live.asking import Starting, view_of
from whence.serve.live.messages import Given, Notice
from whence.serve.live.models import PollModel
from whence.serve.live.past import Past, Start
from whence.serve.live.telling import in_reader
from whence.serve.problems import RESPONSES, Refusal

router = APIRouter(dependencies=[Strict], responses=RESPONSES, tags=["polling"])
_LOOK = 0.1
"""Seconds between two looks while an answer waits for the first event."""
_POLL = json_of(PollModel)


class Poll(NamedTuple):
    """How much is asked for, and how long the answer may wait for a first event."""

    limit: int
    wait: float


def polling(
    *,
    here: Here,
    limit: Annotated[int, Query(ge=1, description="At most so many events.")] = 1_000,
    wait: Annotated[str | None, Query(description="How long to wait for a first event, such as `10s`.")] = None,
) -> Poll:
    """What the parameters mean. Raises Refusal."""
    most = here.settings.most_events
    if limit > most:
        raise Refusal(422, f"cannot give {limit:,} events at once: at most {most:,}; go on with `cursor`")
    try:
        seconds = parse_duration(wait) / 1e9 if wait else 0.0
    except OptionError as fault:
        raise Refusal(422, f"cannot use the parameter wait: {fault}") from None
    return Poll(limit, min(seconds, here.settings.request_timeout))


Polled = Annotated[Poll, Depends(polling)]


class Portion:
    """What stands behind a place, up to a limit; asked again, what came since."""

    def __init__(self, past: Past, limit: int) -> None:
        self._past, self._limit = past, limit
        self.given: list[Given] = []
        self.notices: list[Notice] = list(past.notices)
        self.place = past.place
        self.has_more = False

    def read(self) -> bool:
        """Whether there is something to say."""
        for messages in self._past.read():
            for message in messages:
                if isinstance(message, Notice):
                    self.notices.append(message)
                elif len(self.given) == self._limit:
                    self.place, self.has_more = self.given[-1].cursor, True
                    return True
                else:
                    self.given.append(message)
            self.place = self._past.place
        return bool(self.given or self.notices)

    def body(self) -> bytes:
        """The answer."""
        events = b",".join(one.json for one in self.given)
        notices = json_bytes([{"message": one.name, "data": one.data} for one in self.notices])
        more = b"true" if self.has_more else b"false"
        return b'{"events":[%b],"notices":%b,"cursor":"%b","has_more":%b}' % (
            events,
            notices,
            self.place.encode(),
            more,
        )


@router.get("/api/poll", summary="Events behind a place", responses=_POLL)
@router.get("/api/events/poll", summary="Events behind a place", responses=_POLL)
async def poll(here: Here, start: Starting, wanted: Selected, asked: Polled) -> Response:
    """What streams give, by asking: with the `cursor` of the last answer what came since; since a time; or from now on.

    Oldest first, as far as each writer's clock tells. With neither cursor nor time there is no event, and a cursor to begin with.
    """
    return await answered(here, start, wanted, asked)


@router.get("/api/runs/{run}/poll", summary="Events of a run behind a place", responses=_POLL)
@router.get("/api/runs/{run}/events/poll", summary="Events of a run behind a place", responses=_POLL)
@router.get("/simulations/{run}/poll", summary="Events of a simulation behind a place", responses=_POLL)
@router.get("/simulations/{run}/events/poll", summary="Events of a simulation behind a place", responses=_POLL)
async def poll_of_run(*, run: str, here: Here, start: Starting, wanted: Within, asked: Polled) -> Response:
    """The same of one run, which may still be to come."""
    return await answered(here, start, joined([of_run(run), wanted]), asked)


@router.get("/jobs/{job}/poll", summary="Events of a job behind a place", responses=_POLL)
@router.get("/jobs/{job}/events/poll", summary="Events of a job behind a place", responses=_POLL)
async def poll_of_job(*, job: str, here: Here, start: Starting, wanted: Within, asked: Polled) -> Response:
    """The same of one job: what happens in the run of that id, and what names the job."""
    return await answered(here, start, joined([of_job(job), wanted]), asked)


async def answered(here: Asking, start: Start, wanted: Filter, asked: Poll) -> Response:
    """What stands behind a place."""
    served, loop = here.served, asyncio.get_running_loop()
    until = loop.time() + asked.wait
    past = await in_reader(partial(Past, served.directory, view_of(here, wanted), start, served.clock))
    portion = Portion(past, asked.limit)
    while not await in_reader(portion.read) and loop.time() < until:
        await asyncio.sleep(min(_LOOK, max(until - loop.time(), 0)))
    headers: dict[str, Any] = {"Cache-Control": "no-store"}
    return Response(portion.body(), 200, headers, JSON)
