"""Named subscriptions over HTTP: made, listed, streamed or polled from where they were acknowledged, acknowledged, deleted.

The law: somebody else's subscription is not there, save for whoever administers.
"""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket

from whence.errors import ConflictError, DataError, NotFoundError, WhenceError
from whence.event.flat import format_time
from whence.filter.parse import parse
from whence.filter.printer import to_text
from whence.filter.selection import parse_moment, selection
from whence.filter.tree import Filter
from whence.serve.api.models import json_of
from whence.serve.door import Asking, Here, Strict, answer
from whence.serve.live.asking import Wish, buffering, refusing, view_of
from whence.serve.live.cursor import parse_cursor
from whence.serve.live.models import PollModel
from whence.serve.live.past import NOW, Past, Start
from whence.serve.live.polling import Polled, answered
from whence.serve.live.sse import STREAM, EventStream
from whence.serve.live.subscriber import Terms
from whence.serve.live.subscriptions import Subscription, Subscriptions
from whence.serve.live.telling import Terms as Telling
from whence.serve.live.telling import in_reader
from whence.serve.live.websocket import Together, converse
from whence.serve.problems import RESPONSES, Refusal

router = APIRouter(dependencies=[Strict], responses=RESPONSES, tags=["subscriptions"])


class Wanted(BaseModel):
    """What a subscription is to give."""

    model_config = ConfigDict(extra="forbid")

    filter: str = Field("", description="an expression of the filter language; everything where it is empty")
    cursor: str | None = Field(None, description="begin behind this place")
    since: str | None = Field(
        None, description="begin with what is there since this time, or 5m ago; else with what comes"
    )


class Acknowledged(BaseModel):
    """Up to where everything was dealt with."""

    model_config = ConfigDict(extra="forbid")

    cursor: str = Field(description="the id or cursor of the last message that was dealt with")


class SubscriptionModel(BaseModel):
    """A named subscription."""

    model_config = ConfigDict(extra="forbid", title="Subscription")

    name: str
    owner: str
    filter: str
    cursor: str = Field(description="everything before this place was acknowledged")
    created: str
    acknowledged: str = Field("", description="when; absent where nothing was yet")


class SubscriptionsModel(BaseModel):
    """Named subscriptions, by name."""

    model_config = ConfigDict(extra="forbid", title="Subscriptions")

    subscriptions: list[SubscriptionModel]


_ONE = json_of(SubscriptionModel)


def keeping(here: Here) -> Subscriptions:
    """The archive's subscriptions."""
    return Subscriptions(here.served.directory)


Keeping = Annotated[Subscriptions, Depends(keeping)]


@router.get("/api/subscriptions", summary="Named subscriptions", responses=json_of(SubscriptionsModel))
def subscriptions(here: Here, kept: Keeping) -> Response:
    """Those of the caller; all for whoever administers."""
    return answer({"subscriptions": [_shown(one) for one in kept.all() if _may_use(here, one)]})


@router.get("/api/subscriptions/{name}", summary="One subscription", responses=_ONE)
def subscription(here: Here, kept: Keeping, name: str) -> Response:
    """Its filter and position."""
    return answer(_shown(_found(here, kept, name)))


@router.put(
    "/api/subscriptions/{name}", summary="Make a subscription", responses=_ONE | {201: {"model": SubscriptionModel}}
)
def create(here: Here, kept: Keeping, name: str, wanted: Annotated[Wanted, Body()]) -> Response:
    """It is there once this is answered; with 200 where it was already. Its position moves as it is acknowledged only."""
    now = here.served.clock()
    tree = selection(filter=wanted.filter, since=wanted.since, now=now)
    view_of(here, tree)
    start = _start(wanted, now)
    made = Subscription(name, here.caller.name, to_text(tree), _place(here, tree, start), now)
    try:
        new = kept.create(made)
    except ConflictError as cause:
        raise Refusal(409, str(cause)) from None
    found = answer(_shown(made if new else kept.get(name)))
    found.status_code = 201 if new else 200
    return found


@router.post("/api/subscriptions/{name}/ack", summary="Acknowledge", responses=_ONE)
def acknowledge(here: Here, kept: Keeping, name: str, done: Annotated[Acknowledged, Body()]) -> Response:
    """Move the position behind what was dealt with: it is on the device once this is answered."""
    _found(here, kept, name)
    try:
        return answer(_shown(kept.acknowledge(name, done.cursor, here.served.clock())))
    except DataError as cause:
        raise Refusal(422, str(cause)) from None


@router.delete("/api/subscriptions/{name}", summary="Delete a subscription", status_code=204, response_class=Response)
def delete(here: Here, kept: Keeping, name: str) -> Response:
    """Its position is forgotten; no event is."""
    _found(here, kept, name)
    kept.remove(name)
    return Response(None, 204)


@router.get("/api/subscriptions/{name}/poll", summary="What was not acknowledged", responses=json_of(PollModel))
async def poll(here: Here, kept: Keeping, name: str, asked: Polled) -> Response:
    """What comes behind the position, as polling gives it; again, until it is acknowledged."""
    found = _found(here, kept, name)
    return await answered(here, Start(parse_cursor(found.cursor)), _tree(found), asked)


async def opened(
    connection: HTTPConnection, here: Here, kept: Keeping, name: str, terms: Annotated[Terms, Depends(buffering)]
) -> tuple[Wish, Subscription]:
    """Where a subscription goes on, and which it is. Raises NotFoundError."""
    found = await in_reader(lambda: _found(here, kept, name))
    telling = Telling(here.settings.stream.heartbeat, refusing(connection, here), here.served.clock)
    return Wish(here, Start(parse_cursor(found.cursor)), terms, telling), found


Opening = Annotated[tuple[Wish, Subscription], Depends(opened)]


@router.get("/api/subscriptions/{name}/stream", summary="Stream a subscription", tags=["live"], responses=STREAM)
async def stream(opening: Opening) -> Response:
    """Server-Sent Events behind its position; again from there, until it is acknowledged."""
    wish, found = opening
    return EventStream(wish, _tree(found))


@router.websocket("/api/subscriptions/{name}/stream")
async def stream_over_websocket(socket: WebSocket, opening: Opening, kept: Keeping, lines: Together = False) -> None:
    """The same over a WebSocket, on which `{"ack": CURSOR}` acknowledges."""
    wish, found = opening

    async def heard(text: str) -> dict[str, Any]:
        try:
            if not wish.here.caller.may("write"):
                raise Refusal(403, f"cannot acknowledge as {wish.here.caller.name!r}: that takes the role write")
            cursor = json.loads(text)["ack"]
            await in_reader(lambda: kept.acknowledge(found.name, str(cursor), wish.here.served.clock()))
        except (ValueError, KeyError, TypeError):
            return {"message": "refused", "data": {"detail": 'cannot understand that: say {"ack": CURSOR}'}}
        except (WhenceError, Refusal) as cause:
            return {"message": "refused", "data": {"detail": str(cause)}}
        return {"message": "acknowledged", "cursor": cursor, "data": {}}

    await converse(socket, wish, _tree(found), heard, lines=lines)


def _found(here: Asking, kept: Subscriptions, name: str) -> Subscription:
    found = kept.get(name)
    if not _may_use(here, found):
        raise NotFoundError(
            f"cannot find the subscription {name!r}: there is none of that name; see /api/subscriptions"
        )
    return found


def _may_use(here: Asking, found: Subscription) -> bool:
    return found.owner == here.caller.name or here.caller.may("admin")


def _tree(found: Subscription) -> Filter:
    return parse(found.filter, now=0)


def _start(wanted: Wanted, now: int) -> Start:
    try:
        if wanted.cursor:
            return Start(parse_cursor(wanted.cursor))
    except DataError as cause:
        raise Refusal(422, str(cause)) from None
    return Start(since=parse_moment(wanted.since, now)) if wanted.since else NOW


def _place(here: Asking, tree: Filter, start: Start) -> str:
    return Past(here.served.directory, view_of(here, tree), start, here.served.clock).place


def _shown(one: Subscription) -> dict[str, Any]:
    found = {
        "name": one.name,
        "owner": one.owner,
        "filter": one.filter,
        "cursor": one.cursor,
        "created": format_time(one.created),
    }
    return found if one.acknowledged is None else found | {"acknowledged": format_time(one.acknowledged)}
